"""What preference data is made of: the drafts and feedback of a conversation, and what judges said of them."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from .aggregation import Rule
from .comparing import DraftsCompared, DraftScored
from .generation import DraftWritten
from .judging import MIRRORED, Judging, Verdict, verdict_of
from .messages import Fact, named
from .pairing import Preference
from .review import FeedbackGiven


@dataclass(frozen=True, slots=True)
class Selection:
    """Which drafts are set against one another."""

    name: Literal["best-worst", "best-all", "consecutive", "all", "versions", "consensus"]
    versions: tuple[int, int] | None = None
    """Of each writer, for `versions`."""


def identical(one: str, other: str) -> bool:
    """Whether two texts are the same but for white space."""
    return one.split() == other.split()


class Material:
    """All of a conversation that preference data can be made of."""

    def __init__(self, said: Sequence[tuple[str, Fact]], among: Collection[str] | None = None) -> None:
        """Gather it.

        Args:
            said: Speaker and fact, in the order they were said.
            among: Writers whose drafts count; none: all.
        """
        self._said = said
        self.drafts: dict[str, tuple[str, DraftWritten]] = {}
        """Writer and draft, by name, as they were written."""
        self.feedback: dict[str, FeedbackGiven] = {}
        """By name."""
        for who, fact in said:
            if isinstance(fact, DraftWritten) and (among is None or who in among):
                self.drafts[named(who, fact.version)] = (who, fact)
            elif isinstance(fact, FeedbackGiven) and fact.number is not None:
                self.feedback[named(who, fact.number)] = fact

    @property
    def writers(self) -> tuple[str, ...]:
        """Return who has written drafts, in the order in which they began."""
        return tuple(dict.fromkeys(writer for writer, _ in self.drafts.values()))

    def text(self, name: str) -> str:
        """Return the words of a draft or of feedback; raises KeyError where there is none of that name."""
        return self.drafts[name][1].text if name in self.drafts else self.feedback[name].said()

    def preference(self, first: str, second: str, rule: Rule, judges: Collection[str]) -> Preference | None:
        """Return what judges said of two drafts, each one's last word; None where none of them compared the two.

        A judge that has not compared them but scored both, each alone, prefers the higher score. Scores on several
        scales are brought to the longest one.
        """
        votes = self._votes(first, second)
        counted = {judge: vote for judge, vote in votes.items() if judge in judges}
        if not counted:
            return None
        scales = [vote.scale for vote in counted.values() if vote.score_a is not None]
        scale = max(scales, default=None)
        tally = rule.tally([vote if scale is None else vote.on(scale) for vote in counted.values()])
        count = Counter(vote.verdict for vote in counted.values())
        return Preference(
            first=first,
            second=second,
            verdict=tally.verdict,
            score_first=tally.score_a,
            score_second=tally.score_b,
            scale=scale,
            votes=(count["a"], count["tie"], count["b"], count["unread"]),
            judges=tuple(counted),
        )

    def compared(self, first: str, second: str, judging: Judging) -> Collection[str]:
        """Return the judges who need not be asked to compare two drafts so: they have, or have scored both alone."""
        return {who for who, vote in self._votes(first, second).items() if vote.judging in (judging, None)}

    def _votes(self, first: str, second: str) -> "dict[str, _Vote]":
        scores: dict[tuple[str, str], DraftScored] = {}
        votes: dict[str, _Vote] = {}
        for who, fact in self._said:
            if isinstance(fact, DraftScored):
                scores[who, fact.draft] = fact
            elif isinstance(fact, DraftsCompared) and {fact.first, fact.second} == {first, second}:
                votes[who] = _Vote.of(fact, swapped=fact.first == second)
        for who, draft in scores:
            if draft == first and (who, second) in scores and who not in votes:
                votes[who] = _Vote.alone(scores[who, first], scores[who, second])
        return votes

    def decided(self, rule: Rule, judges: Collection[str]) -> list[Preference]:
        """Return what judges said of every two drafts that were compared."""
        pairs = combinations(self.drafts, 2)
        return [known for pair in pairs if (known := self.preference(*pair, rule, judges)) is not None]

    # what could become pairs

    def answers(self, selection: Selection, ranked: Sequence[str]) -> list[tuple[str, str]]:
        """Return the drafts to be set against one another, each pair in the order of writing.

        Args:
            selection: Which.
            ranked: The drafts, the best first.
        """
        order = list(self.drafts)
        match selection.name:
            case "all":
                pairs = list(combinations(order, 2))
            case "best-all":
                pairs = [(ranked[0], other) for other in order if other != ranked[0]]
            case "best-worst":
                pairs = [(ranked[0], ranked[-1])] if len(ranked) > 1 else []
            case "consecutive":
                pairs = self._revisions(lambda one, other: other == one + 1)
            case "versions":
                wanted = set(selection.versions or ())
                pairs = self._revisions(lambda one, other: {one, other} == wanted)
            case "consensus":  # which asks what was decided, not who is the best
                pairs = []
        return [(one, other) if order.index(one) < order.index(other) else (other, one) for one, other in pairs]

    def _revisions(self, wanted: Callable[[int, int], bool]) -> list[tuple[str, str]]:
        return [
            (one, other)
            for (one, (writer, earlier)), (other, (same, later)) in combinations(self.drafts.items(), 2)
            if writer == same and wanted(earlier.version, later.version)
        ]

    def revisions(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Return each draft that revises another one: the other, itself, and the feedback that it follows."""
        found: list[tuple[str, str, tuple[str, ...]]] = []
        for name, (writer, draft) in self.drafts.items():
            if draft.revises is not None and draft.by:
                earlier = named(writer, draft.revises)
                if earlier in self.drafts:
                    found.append((earlier, name, draft.by))
        return found

    def is_on(self, feedback: str, draft: str) -> bool:
        """Whether feedback is on a draft, and not on another one alone that its writer has heard of."""
        on = self.feedback[feedback].on if feedback in self.feedback else None
        return on is not None and draft in on

    def alternatives(self) -> list[tuple[tuple[str, str], tuple[str, str]]]:
        """Return every two feedbacks on one draft that were followed apart; each with the revision that came of it."""
        alone = [
            (earlier, by[0], later)
            for earlier, later, by in self.revisions()
            if len(by) == 1 and self.is_on(by[0], earlier)
        ]
        return [
            ((feedback, revision), (other, another))
            for (earlier, feedback, revision), (same, other, another) in combinations(alone, 2)
            if earlier == same and feedback != other
        ]


@dataclass(frozen=True, slots=True)
class _Vote:
    """A judge's vote on two drafts, whichever way they were compared."""

    verdict: Verdict
    score_a: float | None
    score_b: float | None
    scale: int
    judging: Judging | None
    """How the two were compared; None where each was scored alone."""
    confidence: float | None = None
    """Mean over the ballots that could be read; None where one of them does not say."""

    @classmethod
    def of(cls, fact: DraftsCompared, *, swapped: bool) -> "_Vote":
        read = [ballot for ballot in fact.ballots if ballot.verdict != "unread"]
        sure = [ballot.confidence for ballot in read if ballot.confidence is not None]
        confidence = sum(sure) / len(sure) if sure and len(sure) == len(read) else None
        if swapped:
            verdict = MIRRORED[fact.verdict]
            return cls(verdict, fact.score_b, fact.score_a, fact.judging.scale, fact.judging, confidence)
        return cls(fact.verdict, fact.score_a, fact.score_b, fact.judging.scale, fact.judging, confidence)

    @classmethod
    def alone(cls, first: DraftScored, second: DraftScored) -> "_Vote":
        scale = max(first.scale, second.scale)
        if first.score is None or second.score is None:
            return cls("unread", None, None, scale, None)
        scores = _scaled(first.score, first.scale, scale), _scaled(second.score, second.scale, scale)
        return cls(verdict_of(*scores), *scores, scale, None)

    def on(self, scale: int) -> "_Vote":
        """Return it with its scores on another scale."""
        if self.score_a is None or self.score_b is None or scale == self.scale:
            return self
        scores = _scaled(self.score_a, self.scale, scale), _scaled(self.score_b, self.scale, scale)
        return replace(self, score_a=scores[0], score_b=scores[1], scale=scale)


def _scaled(score: float, scale: int, to: int) -> float:
    return score if scale == to else score * to / scale
