"""Which pairs, or which sides of them, a format can say, and why not the others."""

from dataclasses import dataclass

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
MIX = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no bit is lost by multiplying."""


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
    said = _together(columns.prompt[rows], answer)
    different, begins, group = np.unique(said, return_index=True, return_inverse=True)
    once_good, once_bad = np.zeros(len(different), dtype=np.bool_), np.zeros(len(different), dtype=np.bool_)
    once_good[group[sides == 0]] = True
    once_bad[group[sides == 1]] = True
    contradictory = (once_good & once_bad)[group]
    first = np.zeros(len(group), dtype=np.bool_)
    first[begins] = True
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
    said = np.concatenate([_together(prompt, columns.chosen[rows]), _together(prompt, columns.rejected[rows])])
    both = np.unique(said, return_inverse=True)[1]
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


def _together(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return 64 bits that stand for two that stand for texts each; apart where only the second differs."""
    return first * MIX ^ second
