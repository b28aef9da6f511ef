"""What votes, or answers, come to."""

import random
from collections.abc import Callable, Sequence

from ..protocols.aggregation import Poll, poll
from ..protocols.generation import DraftWritten
from ..protocols.jury import VoteCast
from ..protocols.lifecycle import DecisionMade
from ..protocols.messages import Fact
from .steps import DecideStep


def decision(
    step: DecideStep, said: Sequence[tuple[str, Fact]], alike: Callable[[str], str | None], dice: random.Random | None
) -> DecisionMade:
    """Return the decision by the last vote, or answer, of everyone who counts.

    Args:
        step: By what rule, and who counts.
        said: Speaker and fact, in the order they were said.
        alike: Says what tells an answer from others; None of one that is no answer.
        dice: For splits that are left to chance; none where none are.

    Raises:
        NothingToDecide: nobody who counts has voted, or a vote lacks what the rule needs.
    """
    counted = said if step.among is None else [(who, fact) for who, fact in said if who in step.among]
    return _of_answers(step, counted, alike, dice) if step.of == "answer" else _of_votes(step, counted, dice)


def _of_votes(step: DecideStep, counted: Sequence[tuple[str, Fact]], dice: random.Random | None) -> DecisionMade:
    last: dict[str, VoteCast] = {name: fact for name, fact in counted if isinstance(fact, VoteCast)}
    weights = [step.weights.get(name, 1.0) for name in last] if step.weights else None
    tally = step.rule.tally(tuple(last.values()), weights=weights, ties=step.ties, dice=dice)
    return DecisionMade(
        rule=step.name,
        version=step.rule.version,
        verdict=tally.verdict,
        score_a=tally.score_a,
        score_b=tally.score_b,
        votes=tally.votes,
        unread=tally.unread,
    )


def _of_answers(
    step: DecideStep,
    counted: Sequence[tuple[str, Fact]],
    alike: Callable[[str], str | None],
    dice: random.Random | None,
) -> DecisionMade:
    last = {
        name: fact
        for name, fact in counted
        if isinstance(fact, DraftWritten) and (fact.answer is not None or fact.unread)
    }
    polls = [
        Poll(
            key=None if fact.answer is None else alike(fact.answer),
            text=fact.answer or "",
            confidence=fact.confidence,
            weight=step.weights.get(name, 1.0),
        )
        for name, fact in last.items()
    ]
    polled = poll(step.rule, polls, ties=step.ties, dice=dice)
    return DecisionMade(
        rule=step.name,
        version=step.rule.version,
        verdict="tie" if polled.votes else "unread",
        votes=polled.votes,
        unread=polled.unread,
        answer=polled.answer,
    )
