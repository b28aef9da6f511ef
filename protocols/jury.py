"""Judging: a juror (a judge is a jury of one) is asked for a vote and casts it."""

from typing import ClassVar, Literal

from .judging import MIRRORED, Ballot, Judging, Order, Verdict, in_order
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
    confidence: float | None = None
    """Mean over the ballots that could be read, where it was asked for."""

    def said(self, order: Order = "ab") -> str:
        """Return the reasons, then the vote and how sure it is, in the listener's terms; nothing of an unread one."""
        if self.verdict == "unread":
            return ""
        words = [
            in_order(ballot.reason, ballot.order, order)
            for ballot in self.ballots
            if ballot.verdict != "unread" and ballot.reason
        ]
        ab = order == "ab"
        if self.score_a is None or self.score_b is None:
            verdict = self.verdict if ab else MIRRORED[self.verdict]
            words.append(f"Vote: {verdict if verdict == 'tie' else verdict.upper()}")
        else:
            scores = (self.score_a, self.score_b) if ab else (self.score_b, self.score_a)
            words.append(f"Scores: A {scores[0]:g}, B {scores[1]:g}")
        if self.confidence is not None:
            words.append(f"Confidence: {self.confidence:g}")
        return "\n\n".join(words)


class CastVote(Command[VoteCast]):
    """Judge the item's candidates."""

    wants: ClassVar[type[Fact]] = VoteCast

    kind: Literal["cast_vote"] = "cast_vote"
    judging: Judging
    """How to judge."""
    orders: tuple[Order, ...]
    """The orders to show the candidates in; a ballot for each."""
