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


def matrices(talk: Talk, order: Sequence[str] = ()) -> tuple[Matrix, ...]:
    """Return votes, answers to a question, and comparisons of drafts: what a conversation has of them.

    Args:
        talk: The conversation.
        order: Names of agents, in the order in which voters are to stand.
    """
    turns = talk.turns
    votes = [turn for turn in turns if isinstance(turn.message, VoteCast)]
    answers = [turn for turn in turns if isinstance(turn.message, DraftWritten) and opinion(turn.message) is not None]
    matches = [turn for turn in turns if isinstance(turn.message, DraftsCompared)]
    decided = {_drafts(turn.message): turn.message for turn in turns if isinstance(turn.message, MatchDecided)}
    decisions = [(turn.message, turn.sequence) for turn in turns if isinstance(turn.message, DecisionMade)]
    last = decisions[-1] if decisions else (None, None)
    found: list[Matrix] = []
    if votes:
        found.append(_matrix("Votes", votes, order, last))
    if answers:
        found.append(_matrix("Answers", answers, order, (None, None) if votes else last))
    if matches:
        found.append(_matrix("Comparisons of drafts", matches, order, (None, None)))
        for poll in found[-1].polls:
            poll.decided = decided.get(poll.label)
    return tuple(found)


def _drafts(message: DraftsCompared | MatchDecided) -> str:
    return f"{message.first} : {message.second}"


def _matrix(
    title: str, turns: Sequence[Turn], order: Sequence[str], decided: tuple[DecisionMade | None, int | None]
) -> Matrix:
    polls: dict[Key, list[Poll]] = {}
    ordered: list[Poll] = []
    before: dict[tuple[str, str], str] = {}
    for turn in turns:
        message = turn.message
        drafts = _drafts(message) if isinstance(message, DraftsCompared) else ""
        several = polls.setdefault((turn.step, turn.round, drafts), [])
        poll = next((each for each in several if turn.speaker not in each.votes), None)
        if poll is None:
            poll = Poll(drafts or _label(turn))
            several.append(poll)
            ordered.append(poll)
        vote = _vote(turn, before.get((turn.speaker, drafts)))
        before[turn.speaker, drafts] = vote.says
        poll.votes[turn.speaker] = vote
    places = {name: place for place, name in enumerate(order)}
    voters = sorted(dict.fromkeys(turn.speaker for turn in turns), key=lambda name: places.get(name, len(places)))
    return Matrix(title, tuple(voters), tuple(ordered), *decided)


def _vote(turn: Turn, before: str | None) -> Vote:
    message = turn.message
    judged = message if isinstance(message, (VoteCast, DraftsCompared)) else None
    says: str = judged.verdict if judged else on_a_line(opinion(message) or "")
    score_a, score_b = (judged.score_a, judged.score_b) if judged else (None, None)
    return Vote(turn.sequence, says, score_a, score_b, before if before != says else None)


def _label(turn: Turn) -> str:
    return f"round {turn.round}" if turn.round is not None else f"step {turn.step}" if turn.step else "votes"
