"""Votes side by side: who voted for what, and when, and what was made of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...protocols.comparing import DraftsCompared, MatchDecided
from ...protocols.generation import DraftWritten
from ...protocols.jury import VoteCast
from ...protocols.lifecycle import DecisionMade
from ..remarks import on_a_line
from ..traces.talk import Talk, Turn
from .lanes import opinion

Key = tuple[str, int | None, str]
"""Step and round of a poll, and the drafts that are compared in it."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One vote in a matrix."""

    sequence: int
    says: str
    """a, b, tie or unread; of a question, the answer."""
    score_a: float | None
    score_b: float | None
    before: str | None
    """What the same voter's vote before was, where it was another."""


@dataclass(slots=True)
class Poll:
    """Votes that were asked for together: one column."""

    label: str
    votes: dict[str, Vote] = field(default_factory=dict[str, Vote])
    """By voter."""
    decided: MatchDecided | None = None
    """Of a comparison of drafts: what came of it."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Voters in rows, polls in columns."""

    title: str
    voters: tuple[str, ...]
    polls: tuple[Poll, ...]
    decision: DecisionMade | None = None
    """The last one that was made; of comparisons of drafts, each has its own."""
    decided_at: int | None = None
    """Sequence of the decision."""


def matrices(talk: Talk) -> tuple[Matrix, ...]:
    """Return the votes of a conversation, its answers to a question, and its comparisons of drafts, as far as it has any."""
    votes: list[Turn] = []
    answers: list[Turn] = []
    matches: list[Turn] = []
    decided: dict[tuple[str, str], MatchDecided] = {}
    decision: DecisionMade | None = None
    decided_at: int | None = None
    for turn in talk.turns:
        match turn.message:
            case VoteCast():
                votes.append(turn)
            case DraftsCompared():
                matches.append(turn)
            case DraftWritten() as draft if opinion(draft) is not None:
                answers.append(turn)
            case MatchDecided() as made:
                decided[made.first, made.second] = made
            case DecisionMade() as made:
                decision, decided_at = made, turn.sequence
            case _:
                pass
    found: list[Matrix] = []
    if votes:
        found.append(_matrix("Votes", votes, decision, decided_at))
    if answers:
        found.append(_matrix("Answers", answers, None if votes else decision, None if votes else decided_at))
    if matches:
        compared = _matrix("Comparisons of drafts", matches, None, None)
        for poll in compared.polls:
            first, _, second = poll.label.partition(" : ")
            poll.decided = decided.get((first, second))
        found.append(compared)
    return tuple(found)


def _matrix(title: str, turns: Sequence[Turn], decision: DecisionMade | None, decided_at: int | None) -> Matrix:
    polls: dict[Key, list[Poll]] = {}
    ordered: list[Poll] = []
    before: dict[tuple[str, str], str] = {}
    for turn in turns:
        message = turn.message
        drafts = f"{message.first} : {message.second}" if isinstance(message, DraftsCompared) else ""
        several = polls.setdefault((turn.step, turn.round, drafts), [])
        poll = next((each for each in several if turn.speaker not in each.votes), None)
        if poll is None:
            poll = Poll(drafts or _label(turn))
            several.append(poll)
            ordered.append(poll)
        vote = _vote(turn, before.get((turn.speaker, drafts)))
        before[turn.speaker, drafts] = vote.says
        poll.votes[turn.speaker] = vote
    voters = tuple(dict.fromkeys(turn.speaker for turn in turns))
    return Matrix(title, voters, tuple(ordered), decision, decided_at)


def _vote(turn: Turn, before: str | None) -> Vote:
    message = turn.message
    if isinstance(message, (VoteCast, DraftsCompared)):
        says, score_a, score_b = message.verdict, message.score_a, message.score_b
    else:
        says, score_a, score_b = on_a_line(opinion(message) or ""), None, None
    return Vote(turn.sequence, says, score_a, score_b, before if before != says else None)


def _label(turn: Turn) -> str:
    return f"round {turn.round}" if turn.round is not None else f"step {turn.step}" if turn.step else "votes"
