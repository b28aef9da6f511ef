"""Which pairs, or which sides of them, a format can say, and why not the others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exported import Format
from .spool import Columns

Mask = NDArray[np.bool_]
SINGLE = "single labels"
NO_SCORES = "no scores"
CONTRADICTORY = "contradictory"
REPEATED = "repeated"
NOT_BEST = "not the best"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What one configuration is made of; a row for each that is True."""

    good: Mask
    """Pairs, by their chosen side. All formats but KTO have one row a pair, which is this one."""
    bad: Mask
    """Of KTO: by their rejected side."""
    left_out: dict[str, int]

    @property
    def any(self) -> Mask:
        """Return which pairs are written at all."""
        return self.good | self.bad


def choose(target: Format, columns: Columns, among: Mask) -> Chosen:
    """Return what a format makes of the pairs `among` all; with what is left out, all of these are accounted for."""
    nothing = np.zeros(len(columns), dtype=np.bool_)
    if target == "kto":
        return _labelled(columns, among)
    paired = among & (columns.chosen != 0) & (columns.rejected != 0)
    left_out = {SINGLE: int((among & ~paired).sum())}
    if target == "reward":
        scored = paired & ~np.isnan(columns.margin)
        left_out[NO_SCORES] = int((paired & ~scored).sum())
        return _told(scored, nothing, left_out)
    if target == "sft":
        best = _best(columns, paired)
        left_out[NOT_BEST] = int((paired & ~best).sum())
        return _told(best, nothing, left_out)
    return _told(paired, nothing, left_out)


def _told(good: Mask, bad: Mask, left_out: dict[str, int]) -> Chosen:
    return Chosen(good, bad, {why: count for why, count in left_out.items() if count})


def _labelled(columns: Columns, among: Mask) -> Chosen:
    """Return the sides of pairs, each (prompt, text) once; a text that is good here and bad there is left out."""
    good, bad = among & (columns.chosen != 0), among & (columns.rejected != 0)
    rows, sides = np.nonzero(np.stack([good, bad], axis=1))  # in order: chosen before rejected of a pair
    answer = np.where(sides == 0, columns.chosen[rows], columns.rejected[rows])
    group = _groups(columns.prompt[rows], answer)
    groups = int(group.max()) + 1 if len(group) else 0
    once_good, once_bad = np.zeros(groups, dtype=np.bool_), np.zeros(groups, dtype=np.bool_)
    once_good[group[sides == 0]] = True
    once_bad[group[sides == 1]] = True
    contradictory = (once_good & once_bad)[group]
    first = np.zeros(len(group), dtype=np.bool_)
    first[np.unique(group, return_index=True)[1]] = True
    kept = first & ~contradictory
    left_out = {CONTRADICTORY: int(contradictory.sum()), REPEATED: int((~first & ~contradictory).sum())}
    good, bad = np.zeros_like(good), np.zeros_like(bad)
    good[rows[kept & (sides == 0)]] = True
    bad[rows[kept & (sides == 1)]] = True
    return _told(good, bad, left_out)


def _best(columns: Columns, paired: Mask) -> Mask:
    """Return a pair for every prompt: one whose chosen text is the best of those that were chosen for it.

    That is the text that was rejected least often; of several the one with the highest score, as a share of the scale;
    then the one chosen most often; then the first.
    """
    rows = np.flatnonzero(paired)
    best = np.zeros(len(columns), dtype=np.bool_)
    if not len(rows):
        return best
    prompt = columns.prompt[rows]
    both = _groups(np.concatenate([prompt, prompt]), np.concatenate([columns.chosen[rows], columns.rejected[rows]]))
    text, lost = both[: len(rows)], both[len(rows) :]
    size = int(both.max()) + 1
    losses, wins = np.bincount(lost, minlength=size), np.bincount(text, minlength=size)
    score = np.full(size, -np.inf)
    np.maximum.at(score, text, columns.score[rows])
    order = np.lexsort((rows, -wins[text], -score[text], losses[text], prompt))
    ranked = prompt[order]
    leads = np.ones(len(order), dtype=np.bool_)
    leads[1:] = ranked[1:] != ranked[:-1]
    best[rows[order[leads]]] = True
    return best


def _groups(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.int64]:
    """Return a number for each two numbers, the same for the same two."""
    order = np.lexsort((second, first))
    another = np.zeros(len(order), dtype=np.int64)
    another[1:] = (first[order][1:] != first[order][:-1]) | (second[order][1:] != second[order][:-1])
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.cumsum(another)
    return group
