"""Which prompts repeat or nearly repeat an earlier one, and which overlap with an evaluation set."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from os import SEEK_END
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Literal, Self, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ...protocols.errors import DeclarationError
from ..datasets import open_dataset
from ..hub import file_of
from .runs import Runs
from .shingles import Hashes, jaccard, normal, shingles
from .signatures import Meetings, Signatures

How = Literal["same", "near", "run"]
"""same: the same text but for white space, small and capital letters, and forms of characters (NFKC).
near: the similarity reaches the threshold. run: a run of words is shared, of evaluation sets only."""
HOW: tuple[How, ...] = get_args(How)
SAME, NEAR, RUN = range(3)
NONE = -1
THRESHOLD = 0.8
_AT_ONCE = 1024
_MET_AT_ONCE = 8192
_MAPPED = 64
"""Texts that are compared before the file of signatures is mapped anew, so that little of it stays in memory."""

Numbers: TypeAlias = NDArray[np.int64]
Small: TypeAlias = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Found:
    """What became of each prompt; at most one of both is true of any. Prompts count from 0, as they were added."""

    threshold: float | None
    sets: tuple[str, ...]
    """The evaluation sets."""
    duplicates: Numbers
    """A prompt to the earlier one that it repeats; -1 where it repeats none."""
    overlaps: Small
    """A prompt to its evaluation set's place in `sets`; -1 where there is none."""
    hows: Small
    """A prompt to the place in `HOW` of what it has in common; -1 where it is kept."""

    def __len__(self) -> int:
        return self.hows.size

    def duplicate_of(self, number: int) -> int | None:
        """Return the earlier prompt that a prompt repeats, which is one that was kept; raises IndexError."""
        found = int(self.duplicates[number])
        return None if found == NONE else found

    def overlap_of(self, number: int) -> str | None:
        """Return the name of the evaluation set that a prompt overlaps with; raises IndexError."""
        found = int(self.overlaps[number])
        return None if found == NONE else self.sets[found]

    def how(self, number: int) -> How | None:
        """Return what a prompt has in common with the one that it repeats, or with the evaluation set."""
        found = int(self.hows[number])
        return None if found == NONE else HOW[found]

    def count(self, how: How, evaluation: str | None = None) -> int:
        """Return how many prompts repeat an earlier one in this way, or overlap so with this evaluation set."""
        alike = self.hows == HOW.index(how)
        if evaluation is None:
            return int(np.count_nonzero(alike & (self.duplicates != NONE)))
        return int(np.count_nonzero(alike & (self.overlaps == self.sets.index(evaluation))))


@dataclass(frozen=True, slots=True)
class _Verdicts:
    """As of `Found`, of different texts, evaluation prompts among them; duplicates are places among these."""

    duplicates: Numbers
    overlaps: Small
    hows: Small

    @classmethod
    def none(cls, count: int) -> Self:
        return cls(np.full(count, NONE, np.int64), np.full(count, NONE, np.int16), np.full(count, NONE, np.int16))


class Prompts:
    """Prompts, added one by one and then looked at together.

    A prompt overlaps with an evaluation set where a prompt of that set has the same text, nearly the same, or shares a
    run of 13 words with it (or is contained in it whole, where it has 8 to 12 words: see `runs`). Of several sets the
    first that has the same text is named, else the first that has nearly the same, else the first with a run.

    Of the prompts that do not overlap, in the order in which they were added, each is dropped that repeats or nearly
    repeats one that was *kept*; the earliest such one is named. So a chain in which each is like the one before is not
    dropped as a whole, as it would be were likeness taken to be passed on. A prompt's fate rests on itself, on
    earlier prompts and on the evaluation sets alone: what was kept stays kept when more are added after it.

    Nearly: the Jaccard similarity of the two texts' sets of runs of 5 characters, `same` texts being equal, is at least
    the threshold. It is computed exactly, of pairs that MinHash signatures propose: no pair below the threshold is
    ever dropped, and of pairs just at it about 1 % at most are missed (at 0.8: 0.4 %), of more similar ones far fewer.

    Texts and signatures lie in temporary files. In memory are some 10 bytes a prompt while they are added, some 100
    while they are looked at, and 20 for each place in a bucket that a prompt shares (a prompt that is like no other
    shares none or few, one that is like another about 6 at the threshold and 21 at most). Many prompts made of one
    long template cost time: they meet one another in their buckets, so that it grows with the square of their number.
    """

    def __init__(
        self,
        evaluation: Mapping[str, Iterable[str]] | None = None,
        *,
        threshold: float | None = THRESHOLD,
        folder: Path | None = None,
    ) -> None:
        """Open the temporary files and read the evaluation sets.

        Args:
            evaluation: The prompts of each evaluation set, by its name.
            threshold: The least similarity at which two prompts are nearly the same, above 0 and at most 1. None
                compares whole texts and runs of words only, and does without the extra `data`.
            folder: Where temporary files are put, in place of the system's folder; about 350 bytes a prompt beside
                the texts themselves.

        Raises:
            DeclarationError: the threshold is out of range, or the extra `data` is not installed.
        """
        if threshold is not None and not 0 < threshold <= 1:
            raise DeclarationError(
                f"the threshold of near-duplicates lies above 0 and at most at 1, not at {threshold}"
            )
        self._threshold = threshold
        self._signatures = None if threshold is None else Signatures(threshold)
        self._sets = tuple(evaluation or ())
        self._set_of = array("h")
        self._ends = array("Q", [0])
        with ExitStack() as files:
            self._texts, self._digests, self._keys, self._bytes = (
                cast("BinaryIO", files.enter_context(TemporaryFile(dir=folder))) for _ in range(4)
            )
            for number, prompts in enumerate((evaluation or {}).values()):
                for text in prompts:
                    self._store(text)
                    self._set_of.append(number)
            self._runs = Runs((number, self._text(place)) for place, number in enumerate(self._set_of))
            self._texts.seek(0, SEEK_END)
            self._files = files.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary files."""
        self._files.close()

    def add(self, text: str) -> int:
        """Take the next prompt; returns its number, from 0."""
        self._store(text)
        return len(self._ends) - 2 - len(self._set_of)

    def finish(self) -> Found:
        """Return what became of each prompt; nothing can be added after."""
        with self._files:
            firsts, place = self._distinct()
            known = int(np.searchsorted(firsts, len(self._set_of)))
            verdicts = _Verdicts.none(firsts.size)
            verdicts.overlaps[:known] = np.array(self._set_of, np.int16)[firsts[:known]]
            verdicts.hows[:known] = SAME
            self._pass(firsts, known, verdicts)
            if self._signatures is not None and firsts.size:
                self._compare(self._signatures, firsts, known, verdicts)
            return self._found(firsts, place, verdicts)

    def _store(self, text: str) -> None:
        raw = normal(text).encode("utf-8", "surrogatepass")
        self._texts.write(raw)
        self._digests.write(blake2b(raw, digest_size=16).digest())
        self._ends.append(self._ends[-1] + len(raw))

    def _text(self, place: int) -> str:
        self._texts.seek(self._ends[place])
        return self._texts.read(self._ends[place + 1] - self._ends[place]).decode("utf-8", "surrogatepass")

    def _distinct(self) -> tuple[Numbers, Numbers]:
        """Return the place at which each different text stands first, in order, and of all places which text it is."""
        self._digests.seek(0)
        digests = np.frombuffer(self._digests.read(), "<u8").reshape(-1, 2)
        order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: of the same digests the first place comes first
        new = np.zeros(order.size, dtype=bool)
        new[:1] = True
        for column in (0, 1):
            ordered = digests[order, column]
            new[1:] |= ordered[1:] != ordered[:-1]
        first = np.empty(order.size, np.int64)
        first[order] = order[new][np.cumsum(new) - 1]
        firsts = np.sort(order[new])
        return firsts, np.searchsorted(firsts, first)

    def _pass(self, firsts: Numbers, known: int, verdicts: _Verdicts) -> None:
        """Look at each different text once: the runs that it shares, and its signature, which goes into the files."""
        signatures = self._signatures
        for start in range(0, firsts.size, _AT_ONCE):
            some = firsts[start : start + _AT_ONCE].tolist()
            found: list[NDArray[np.uint32]] = []
            for number, place in enumerate(some, start):
                text = self._text(place)
                if self._runs and number >= known and (shared := self._runs.shared(text)) is not None:
                    verdicts.overlaps[number], verdicts.hows[number] = shared, RUN
                if signatures is not None:
                    found.append(signatures.of(shingles(text)))
            if signatures is not None:
                values = np.array(found)
                self._bytes.write(values.astype(np.uint8).tobytes())
                for band, keys in enumerate(signatures.keys(values).T):
                    self._keys.seek(8 * (band * firsts.size + start))
                    self._keys.write(keys.tobytes())

    def _bands(self, signatures: Signatures, count: int) -> Iterator[Hashes]:
        self._keys.seek(0)
        for _ in range(signatures.bands):
            yield np.frombuffer(self._keys.read(8 * count), np.uint64)

    def _compare(self, signatures: Signatures, firsts: Numbers, known: int, verdicts: _Verdicts) -> None:
        """Find those that are nearly the same, in order, each among evaluation prompts and what was kept before it."""
        self._bytes.flush()
        low: NDArray[np.uint8] = np.zeros(0, np.uint8)
        meetings = Meetings(self._bands(signatures, firsts.size))
        for turn, (number, buckets) in enumerate(meetings):
            if turn % _MAPPED == 0:  # what was mapped before leaves the memory
                low = np.memmap(self._bytes, np.uint8, "r", shape=(firsts.size, signatures.size))
            if number < known:
                meetings.keep(number, buckets)
                continue
            met = meetings.met(buckets)
            by_run = verdicts.overlaps[number] != NONE
            near = self._near(firsts, low, number, met[met < known] if by_run else met)
            if near is not None:
                verdicts.hows[number] = NEAR
                if near < known:
                    verdicts.overlaps[number] = verdicts.overlaps[near]
                else:
                    verdicts.duplicates[number] = near
            elif not by_run:
                meetings.keep(number, buckets)

    def _near(self, firsts: Numbers, low: NDArray[np.uint8], number: int, met: NDArray[np.int32]) -> int | None:
        """Return the first of those met that is near enough."""
        if self._signatures is None or self._threshold is None or not met.size:
            return None
        own = None
        for start in range(0, met.size, _MET_AT_ONCE):
            some = met[start : start + _MET_AT_ONCE]
            alike = np.count_nonzero(low[some] == low[number], axis=1)
            for other in some[alike >= self._signatures.enough * self._signatures.size].tolist():
                own = shingles(self._text(int(firsts[number]))) if own is None else own
                if jaccard(own, shingles(self._text(int(firsts[other])))) >= self._threshold:
                    return int(other)
        return None

    def _found(self, firsts: Numbers, place: Numbers, verdicts: _Verdicts) -> Found:
        """Return the verdicts on different texts as verdicts on all prompts."""
        before = len(self._set_of)
        place = place[before:]
        near, hows = verdicts.duplicates[place], verdicts.hows[place]
        first = firsts[place]
        repeats = (hows == NONE) & (first != np.arange(before, before + place.size))
        hows[repeats] = SAME
        duplicates = np.where(repeats, first - before, NONE)
        duplicates[near != NONE] = firsts[near[near != NONE]] - before
        return Found(self._threshold, self._sets, duplicates, verdicts.overlaps[place], hows)


def find(
    prompts: Iterable[str],
    evaluation: Mapping[str, Iterable[str]] | None = None,
    *,
    threshold: float | None = THRESHOLD,
    folder: Path | None = None,
) -> Found:
    """Return which prompts repeat an earlier one or overlap with an evaluation set: `Prompts` in one call."""
    with Prompts(evaluation, threshold=threshold, folder=folder) as added:
        for text in prompts:
            added.add(text)
        return added.finish()


def evaluation_prompts(data: str, mapping: Mapping[str, str] | None = None) -> Iterator[str]:
    """Return the prompts of an evaluation set: any file that `--data` takes, or hub:NAME.

    Args:
        data: The file or the name.
        mapping: Of `prompt` to its column, where that has another name.

    Raises:
        DeclarationError: it cannot be had, or has rows without a prompt.
    """
    dataset = open_dataset(file_of(data), takes="instruction", mapping=mapping)
    return (item.prompt for item in dataset)
