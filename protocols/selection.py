"""Which of several drafts is the outcome: rules over what was said, and matches between drafts that a jury decides.

A rule is a generator: it yields the matches it wants decided, is sent each one's decision, and returns the draft that
is picked. Drafts have names, in the order in which they were written.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from .pairing import Preference
from .registry import Registry

Scores = Mapping[str, float]
"""Mean score of each draft that was scored, by name."""
Picking = Generator[tuple[str, str], Preference, str]
"""Yields two drafts, the one to be shown first in front; takes the decision; returns the draft that is picked."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A way to pick as it is registered."""

    rule: Callable[[Sequence[str], Scores], Picking]
    """Takes the drafts, at least one, and scores where it `needs` them."""
    needs: Literal["nothing", "scores", "matches"] = "nothing"
    """scores: of reviewers, or of the judges in `by`. matches: the judges in `by`."""


def last(drafts: Sequence[str], scores: Scores) -> Picking:
    """The one written last."""
    del scores
    return drafts[-1]
    yield  # without a match


def first(drafts: Sequence[str], scores: Scores) -> Picking:
    """The one written first."""
    del scores
    return drafts[0]
    yield  # without a match


def best(drafts: Sequence[str], scores: Scores) -> Picking:
    """The one with the highest score; of equal ones the first. Drafts without a score do not count, if any has one."""
    return max(drafts, key=lambda draft: scores.get(draft, float("-inf")))
    yield  # without a match


def knock_out(drafts: Sequence[str], scores: Scores) -> Picking:
    """Each in turn against the best so far, which stays unless it is beaten."""
    del scores
    standing = drafts[0]
    for draft in drafts[1:]:
        decided = yield standing, draft
        if decided.verdict == "b":
            standing = draft
    return standing


def knock_out_as_published(drafts: Sequence[str], scores: Scores) -> Picking:
    """The knock-out as Arif et al. 2025 recorded it (arXiv 2408.08688): from the third draft on it is inverted.

    The first two meet. Each further draft is shown first, against the best so far: where it scores higher the other is
    kept, where it scores lower or the same it is taken. After a first match that nobody won, the newest is taken.
    What could not be read counts as the same; the published code took it for a score of -1.
    """
    del scores
    standing: str | None = None
    shown = drafts[0]
    for number, draft in enumerate(drafts[1:]):
        if number == 0:
            decided = yield shown, draft
            standing = {"a": shown, "b": draft}.get(decided.verdict)
            shown = standing or draft
            continue
        decided = yield draft, shown
        if decided.verdict != "a":
            standing = shown = draft
    return standing or drafts[-1]


def round_robin(drafts: Sequence[str], scores: Scores) -> Picking:
    """Each against each; the one with the most points is picked, as `standings` counts them."""
    del scores
    decided: list[Preference] = []
    for one, other in combinations(drafts, 2):
        known = yield one, other
        decided.append(known)
    return standings(drafts, decided)[0]


def standings(drafts: Sequence[str], decided: Sequence[Preference]) -> list[str]:
    """Return drafts, the best first: by points (a win 1, a tie or what could not be read a half), then by the sum of
    score differences, then as they were written."""  # noqa: D205, D209 - one sentence
    points = dict.fromkeys(drafts, 0.0)
    leads = dict.fromkeys(drafts, 0.0)
    for match in decided:
        share = {"a": 1.0, "b": 0.0}.get(match.verdict, 0.5)
        scores = match.score_first, match.score_second
        lead = 0.0 if scores[0] is None or scores[1] is None else scores[0] - scores[1]
        for name, won, by in ((match.first, share, lead), (match.second, 1 - share, -lead)):
            if name in points:
                points[name] += won
                leads[name] += by
    return sorted(drafts, key=lambda name: (-points[name], -round(leads[name], 9)))


PICKS: Registry[Pick] = Registry(
    "way to pick",
    {
        "last": Pick(last),
        "first": Pick(first),
        "best": Pick(best, "scores"),
        "knock-out": Pick(knock_out, "matches"),
        "round-robin": Pick(round_robin, "matches"),
    },
)
AS_PUBLISHED = Pick(knock_out_as_published, "matches")
"""What a knock-out is where it is to be played as published."""
