"""Which pairs, or which sides of them, a format can say, and why not the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .columns import Rows
from .exported import Format

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
    """What a configuration is made of, of some pairs; a row for each that is True."""

    good: Mask
    """Pairs, by their chosen side. All formats but KTO have one row a pair, which is this one."""
    bad: Mask
    """Of KTO: by their rejected side."""
    left_out: dict[str, int]
    """Why others are not, in the same order whatever they are; 0 where there are none."""


def choose(target: Format, pairs: Rows, among: Mask) -> Chosen:
    """Return what a format makes of the pairs `among` these; with what is left out, all are accounted for.

    Args:
        target: The format.
        pairs: All pairs of some prompts.
        among: Those of them that are kept, of one data set.
    """
    nothing = np.zeros(len(pairs), dtype=np.bool_)
    if target == "kto":
        return _labelled(pairs, among)
    paired = among & (pairs.chosen != 0) & (pairs.rejected != 0)
    left_out = {SINGLE: int((among & ~paired).sum())}
    if target == "sft":
        best = _best(pairs, paired)
        left_out[NOT_BEST] = int((paired & ~best).sum())
        return Chosen(best, nothing, left_out)
    contradictory, repeated = _said_before(pairs, paired)
    left_out |= {CONTRADICTORY: int(contradictory.sum()), REPEATED: int(repeated.sum())}
    paired &= ~contradictory & ~repeated
    if target == "reward":
        scored = paired & ~np.isnan(pairs.margin)
        left_out[NO_SCORES] = int((paired & ~scored).sum())
        return Chosen(scored, nothing, left_out)
    return Chosen(paired, nothing, left_out)


def _labelled(pairs: Rows, among: Mask) -> Chosen:
    """Return the sides of pairs, each (prompt, text) once; a text that is good here and bad there is left out."""
    good, bad = among & (pairs.chosen != 0), among & (pairs.rejected != 0)
    rows, sides = np.nonzero(np.stack([good, bad], axis=1))  # in order: chosen before rejected of a pair
    answer = np.where(sides == 0, pairs.chosen[rows], pairs.rejected[rows])
    said = _together(pairs.prompt[rows], answer)
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
    return Chosen(good, bad, left_out)


def _said_before(pairs: Rows, paired: Mask) -> tuple[Mask, Mask]:
    """Return which pairs say the contrary of another one, and which say the same as an earlier one."""
    rows = np.flatnonzero(paired)
    prompt, chosen, rejected = pairs.prompt[rows], pairs.chosen[rows], pairs.rejected[rows]
    said = _together(_together(prompt, chosen), rejected)
    contrary = np.isin(said, _together(_together(prompt, rejected), chosen))
    again = np.ones(len(rows), dtype=np.bool_)
    again[np.unique(said, return_index=True)[1]] = False
    contradictory, repeated = np.zeros_like(paired), np.zeros_like(paired)
    contradictory[rows] = contrary
    repeated[rows] = again & ~contrary
    return contradictory, repeated


def _best(pairs: Rows, paired: Mask) -> Mask:
    """Return a pair for every prompt: one whose chosen text is the best of those that were chosen for it.

    That is the text that was rejected least often; of several the one with the highest score, as a share of the scale;
    then the one chosen most often; then the first.
    """
    rows = np.flatnonzero(paired)
    best = np.zeros(len(pairs), dtype=np.bool_)
    if not len(rows):
        return best
    prompt = pairs.prompt[rows]
    said = np.concatenate([_together(prompt, pairs.chosen[rows]), _together(prompt, pairs.rejected[rows])])
    both = np.unique(said, return_inverse=True)[1]
    text, lost = both[: len(rows)], both[len(rows) :]
    size = int(both.max()) + 1
    losses, wins = np.bincount(lost, minlength=size), np.bincount(text, minlength=size)
    score = np.full(size, -np.inf)
    np.maximum.at(score, text, pairs.score[rows])
    order = np.lexsort((rows, -wins[text], -score[text], losses[text], prompt))
    ranked = prompt[order]
    leads = np.ones(len(order), dtype=np.bool_)
    leads[1:] = ranked[1:] != ranked[:-1]
    best[rows[order[leads]]] = True
    return best


def _together(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return 64 bits that stand for two that stand for texts each; apart where only the second differs."""
    return first * MIX ^ second
