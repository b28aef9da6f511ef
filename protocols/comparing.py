"""Comparing drafts: a juror is shown two drafts of the conversation, or one alone, and says how good they are."""

from typing import ClassVar, Literal

from .judging import Ballot, Judging, Order, Verdict
from .messages import Command, Fact


class DraftsCompared(Fact):
    """One juror's vote on two drafts: its ballots, one an order, and what they come to."""

    kind: Literal["drafts_compared"] = "drafts_compared"
    round: int
    """Round in which it was cast, from 1."""
    first: str
    """The draft that is `a` in ballots and verdict, by its name: `writer/2` is the second of writer."""
    second: str
    """The draft that is `b`."""
    judging: Judging
    """How they were judged."""
    ballots: tuple[Ballot, ...]
    """One for each order in which the drafts were shown."""
    verdict: Verdict
    """The ballots reconciled."""
    score_a: float | None = None
    score_b: float | None = None


class CompareDrafts(Command[DraftsCompared]):
    """Judge two drafts, afresh: nothing that was said before counts."""

    wants: ClassVar[type[Fact]] = DraftsCompared

    kind: Literal["compare_drafts"] = "compare_drafts"
    first: str
    second: str
    judging: Judging
    """How to judge."""
    orders: tuple[Order, ...]
    """The orders to show the drafts in; a ballot for each."""


class DraftScored(Fact):
    """One juror's score of a draft that it was shown alone."""

    kind: Literal["draft_scored"] = "draft_scored"
    round: int
    """Round in which it was scored, from 1."""
    draft: str
    """By its name, as in `writer/2`."""
    score: float | None = None
    """From 0 to `scale`; None where no answer could be read."""
    scale: int
    """The best score possible."""
    reason: str = ""
    """The juror's own words; of one that could not be read, why."""
    requests: int = 1
    """Requests it took, further requests for unreadable answers included."""


class ScoreDraft(Command[DraftScored]):
    """Score one draft, afresh: nothing that was said before counts."""

    wants: ClassVar[type[Fact]] = DraftScored

    kind: Literal["score_draft"] = "score_draft"
    draft: str
    scale: int
    """The best score possible."""


class MatchDecided(Fact):
    """The votes on two drafts were brought to one verdict."""

    kind: Literal["match_decided"] = "match_decided"
    first: str
    second: str
    rule: str
    """The aggregation rule."""
    version: int
    """Version of the rule."""
    verdict: Verdict
    """a: the first draft is better. b: the second."""
    score_a: float | None = None
    score_b: float | None = None
    votes: int
    """Votes that entered."""
    unread: int
    """Votes that did not, because no answer could be read."""
