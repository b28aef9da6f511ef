"""One configuration of an export: a format of a data set, while it is chosen and written."""

from collections import Counter

import numpy as np

from ...protocols.pairing import Data
from .balance import balance
from .columns import Rows
from .exported import DATA, Balance, Format, Written
from .selection import Mask, choose
from .splits import TRAIN, Splits
from .writers import Files


class Config:
    """What a configuration is made of: two bytes a pair."""

    def __init__(self, data: Data, target: Format, pairs: int, splits: Splits, *, implicit: bool) -> None:
        """Have a configuration without rows.

        Args:
            data: The data set.
            target: The format.
            pairs: How many there are in all.
            splits: The splits.
            implicit: Of DPO: whether the prompt stands within both answers.
        """
        self.data: Data = data
        self.target: Format = target
        self.implicit = implicit and target == "dpo"
        self.name = f"{data}-{target}"
        self._splits = splits
        self._good, self._bad = (np.zeros(pairs, np.bool_) for _ in range(2))
        self._rows = np.zeros((len(splits.names), 2), np.int64)
        self._prompts = np.zeros(len(splits.names), np.int64)
        self._left_out: Counter[str] = Counter()

    def choose(self, pairs: Rows, kept: Mask) -> None:
        """Choose rows of all pairs of some prompts, of those that are kept."""
        chosen = choose(self.target, pairs, kept & np.equal(pairs.data, DATA.index(self.data)))
        self._left_out.update(chosen.left_out)
        for side, (written, mask) in enumerate(((self._good, chosen.good), (self._bad, chosen.bad))):
            written[pairs.place[mask]] = True
            self._rows[:, side] += np.bincount(pairs.split[mask], minlength=len(self._rows))
        either = chosen.good | chosen.bad
        for split in range(len(self._prompts)):
            self._prompts[split] += len(np.unique(pairs.prompt[either & np.equal(pairs.split, split)]))

    def sides(self, pairs: Rows) -> tuple[Mask, Mask]:
        """Return of which pairs the chosen side, or the pair itself, becomes a row, and of which the rejected one."""
        return self._good[pairs.place], self._bad[pairs.place]

    def file(self, split: str, files: Files) -> str:
        """Return the file of a split, relative to the folder."""
        return f"{self.name}/{split}.{files}"

    def told(self, files: Files) -> Written:
        """Return what it has come to."""
        rows = dict(zip(self._splits.names, (int(number) for number in self._rows.sum(axis=1)), strict=True))
        notes = [f"{split} is empty: it has no file" for split, number in rows.items() if not number]
        if not any(rows.values()):
            notes = ["there is no row: it has no file"]
        weights = self._weights()
        if weights and (weights.desirable == 0) != (weights.undesirable == 0):
            missing = "undesirable" if weights.desirable else "desirable"
            notes.append(f"{TRAIN} has no {missing} completion: KTO needs both labels")
        return Written(
            config=self.name,
            data=self.data,
            format=self.target,
            files={split: self.file(split, files) for split, number in rows.items() if number},
            rows=rows,
            prompts=dict(zip(self._splits.names, (int(number) for number in self._prompts), strict=True)),
            left_out={why: number for why, number in self._left_out.items() if number},
            balance=weights,
            implicit=self.implicit or self.target == "reward",
            notes=tuple(notes),
        )

    def _weights(self) -> Balance | None:
        if self.target != "kto":
            return None
        good, bad = self._rows[self._splits.names.index(TRAIN)]
        return balance(int(good), int(bad))
