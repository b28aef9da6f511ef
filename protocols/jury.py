"""Judging: a juror (a judge is a jury of one) is asked for a vote and casts it."""

from typing import ClassVar, Literal

from .judging import Ballot, Judging, Order, Verdict
from .messages import Command, Fact


class VoteCast(Fact):
    """One juror's vote: its ballots, one an order, and what they come to."""

    kind: Literal["vote_cast"] = "vote_cast"
    round: int
    """Round in which it was cast, from 1."""
    judging: Judging
    """How it was cast."""
    ballots: tuple[Ballot, ...]
    """One for each order in which the candidates were shown."""
    verdict: Verdict
    """The ballots reconciled."""
    score_a: float | None = None
    score_b: float | None = None

    def said(self) -> str:
        """Return the reasons given, then the vote."""
        reasons = "\n\n".join(ballot.reason for ballot in self.ballots if ballot.reason)
        if self.score_a is None or self.score_b is None:
            return f"{reasons}\n\nVote: {self.verdict}"
        return f"{reasons}\n\nScores: A {self.score_a:g}, B {self.score_b:g}"


class CastVote(Command[VoteCast]):
    """Judge the item's candidates."""

    wants: ClassVar[type[Fact]] = VoteCast

    kind: Literal["cast_vote"] = "cast_vote"
    judging: Judging
    """How to judge."""
    orders: tuple[Order, ...]
    """The orders to show the candidates in; a ballot for each."""
