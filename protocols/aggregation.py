"""How votes become one verdict, and answers one answer.

Each rule is a pure function with a version; what is unread never enters. What sums are compared is exact: a number
counts as its decimal form says, so that rounding decides nothing.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, Literal, Protocol, TypeVar

from .errors import NothingToDecide
from .judging import Verdict, verdict_of
from .registry import Registry

Ties = Literal["tie", "first", "random"]
"""What a split comes to: a tie (of answers: none), the one of those level that was said first, or one by chance."""
Exact = Fraction | int
Option = TypeVar("Option", bound=str)
"""What is voted for: a verdict, or what tells an answer from others."""


@dataclass(frozen=True, slots=True)
class Split(Generic[Option]):
    """What a rule comes to that has no winner."""

    level: tuple[Option, ...]
    """Those that are level; where several would have to be in front for none to win, those in front."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a rule made of the votes."""

    verdict: Verdict
    votes: int
    """Votes that entered."""
    unread: int
    """Votes that did not."""
    score_a: float | None = None
    """Mean over the votes that entered, each alike; None where one of them has no scores."""
    score_b: float | None = None
    split: bool = False
    """Whether there was no winner, so that `ties` decided."""


class Voted(Protocol):
    """What a rule looks at in a vote."""

    @property
    def verdict(self) -> Verdict:
        """a, b, tie or unread."""
        ...

    @property
    def score_a(self) -> float | None:
        """None where the vote has no scores."""
        ...

    @property
    def score_b(self) -> float | None:
        """None where the vote has no scores."""
        ...

    @property
    def confidence(self) -> float | None:
        """From 0 to 1; None where it was not asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Poll:
    """One answer to a question, as it enters a decision."""

    key: str | None
    """What tells it from others; None where it could not be read."""
    text: str
    """As it was given."""
    confidence: float | None = None
    """From 0 to 1; None where it was not asked for."""
    weight: float = 1.0
    """What it counts, at least 0, for rules that weigh."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What a rule made of the answers."""

    answer: str | None
    """The words of the first who gave it; None where nothing could be read, or a split came to nothing."""
    votes: int
    """Answers that entered."""
    unread: int
    """Answers that did not."""
    split: bool = False
    """Whether there was no winner, so that `ties` decided."""
    key: str | None = None
    """What tells the answer from others; None where there is none."""


class Elect(Protocol):
    """A rule of counts: it looks at what was voted for and how much each vote counts, and at nothing else."""

    def __call__(self, options: Sequence[Option], weights: Sequence[Exact]) -> Option | Split[Option]:
        """Return the winner, or those that are level. There is one vote at least, and a weight for each."""
        ...


@dataclass(frozen=True, slots=True)
class Rule:
    """An aggregation rule as it is registered: it has `decide`, or `elect`."""

    decide: Callable[[Sequence[Voted]], Verdict | Split[Verdict]] | None = None
    """Takes votes that were read, at least one; returns the verdict, or those that are level. A verdict that is a tie
    is none that `ties` looks at."""
    needs_scores: bool = False
    version: int = 1
    needs_confidence: bool = False
    """Whether each vote counts as much as it is sure."""
    weighs: bool = False
    """Whether each vote counts as much as its agent's weight; other rules leave weights alone."""
    alone: bool = False
    """Whether it takes one vote and no more."""
    elect: Elect | None = None
    """In place of `decide`, for rules that answers can be put to as well."""

    @property
    def takes_answers(self) -> bool:
        """Whether it can decide on answers to a question, too, rather than on votes for a or b alone."""
        return self.elect is not None

    def tally(
        self,
        votes: Sequence[Voted],
        *,
        weights: Sequence[float] | None = None,
        ties: Ties = "tie",
        dice: random.Random | None = None,
    ) -> Tally:
        """Return the tally of votes; with none that could be read, the verdict is unread.

        Args:
            votes: In the order in which they were cast.
            weights: What each vote counts, at least 0, for rules that weigh; None: 1 each.
            ties: What a split comes to. Where nobody voted for any of those level, `first` comes to a tie.
            dice: For `random`. The order of votes decides nothing.

        Raises:
            NothingToDecide: there is no vote at all, or one without the scores or the confidence that the rule needs,
                or not the one that it takes.
            ValueError: weights that are not one for each vote or below 0; or no dice for `random`.
        """
        if not votes:
            raise NothingToDecide("nobody cast a vote")
        self.prove_number(len(votes))
        every = [1] * len(votes) if weights is None else _weights(weights, len(votes))
        read = [vote for vote in votes if vote.verdict != "unread"]
        unread = len(votes) - len(read)
        if not read:
            return Tally("unread", 0, unread)
        counted = [weight for vote, weight in zip(votes, every, strict=True) if vote.verdict != "unread"]
        totals = _totals(read)
        if totals is None and self.needs_scores:
            raise NothingToDecide("the rule needs scores, and a vote has none (strategy: direct gives none)")
        options: list[Verdict] = [vote.verdict for vote in read]
        if self.decide is not None:
            found = self.decide(read)
        else:
            found = self.elected(options, counted, [vote.confidence for vote in read])
        split = isinstance(found, Split)
        verdict = (_of_level(found.level, options, ties, dice) or "tie") if isinstance(found, Split) else found
        if totals is None:
            return Tally(verdict, len(read), unread, split=split)
        means = _means(read, counted) or (float(totals[0] / len(read)), float(totals[1] / len(read)))
        return Tally(verdict, len(read), unread, *means, split=split)

    def elected(
        self, options: Sequence[Option], weights: Sequence[Exact], sure: Sequence[float | None]
    ) -> Option | Split[Option]:
        """Return what a rule with `elect` makes of options, each with its weight and with how sure the vote for it is.

        Raises:
            NothingToDecide: the rule needs confidence, and a vote has none; or it is about votes for one of two.
        """
        if self.elect is None:
            raise NothingToDecide("the rule is about votes for one of two, and cannot decide on answers")
        if self.needs_confidence:
            known = [each for each in sure if each is not None]
            if len(known) < len(sure):
                raise NothingToDecide(
                    "the rule needs to know how sure each vote is, and one does not say: say confidence: true"
                )
            return self.elect(options, _weights(known, len(known)))
        return self.elect(options, weights if self.weighs else [1] * len(options))

    def prove_number(self, votes: int) -> None:
        """Raise NothingToDecide where a rule that takes one vote alone has not one."""
        if self.alone and votes != 1:
            raise NothingToDecide(f"the rule takes one vote as it is, and there are {votes}")


def _weights(weights: Sequence[float], votes: int) -> list[Exact]:
    if len(weights) != votes:
        raise ValueError(f"{len(weights)} weights for {votes} votes")
    if any(weight < 0 for weight in weights):
        raise ValueError("a weight is below 0")
    return [Fraction(str(weight)) for weight in weights]


def _means(votes: Sequence[Voted], weights: Sequence[Exact]) -> tuple[float, float] | None:
    """Return the weighted mean scores; None where all weigh alike, or nothing."""
    whole = sum(weights)
    if not whole or len(set(weights)) == 1:
        return None
    means = [
        sum(weight * Fraction(str(score)) for weight, score in zip(weights, scores, strict=True)) / whole
        for scores in ([vote.score_a or 0.0 for vote in votes], [vote.score_b or 0.0 for vote in votes])
    ]
    return float(means[0]), float(means[1])


def _of_level(
    level: Sequence[Option], options: Sequence[Option], ties: Ties, dice: random.Random | None
) -> Option | None:
    """Return what a split comes to; None: a tie."""
    if ties == "first":
        return next((option for option in options if option in level), None)
    if ties == "random":
        if dice is None:
            raise ValueError("ties: random needs dice")
        return dice.choice(sorted(level))
    return None


def poll(rule: Rule, answers: Sequence[Poll], *, ties: Ties = "tie", dice: random.Random | None = None) -> Polled:
    """Return what answers to a question come to; with none that could be read, there is no answer.

    Args:
        rule: One that takes answers.
        answers: In the order in which they were given.
        ties: What a split comes to; `tie`: no answer.
        dice: For `random`. The order of answers decides nothing but whose words are taken.

    Raises:
        NothingToDecide: there is no answer at all, one without the confidence that the rule needs, or not the one that
            it takes; or the rule is about votes for one of two.
        ValueError: a weight below 0; or no dice for `random`.
    """
    if not answers:
        raise NothingToDecide("nobody gave an answer")
    rule.prove_number(len(answers))
    weights = _weights([answer.weight for answer in answers], len(answers))
    read = [
        (answer.key, weight, answer) for answer, weight in zip(answers, weights, strict=True) if answer.key is not None
    ]
    unread = len(answers) - len(read)
    if not read:
        return Polled(None, 0, unread)
    options = [key for key, _, _ in read]
    found = rule.elected(options, [weight for _, weight, _ in read], [answer.confidence for _, _, answer in read])
    split = isinstance(found, Split)
    winner = _of_level(found.level, options, ties, dice) if isinstance(found, Split) else found
    text = next((answer.text for key, _, answer in read if key == winner), None)
    return Polled(text, len(read), unread, split, winner)


def most_frequent(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the most frequent of one or more verdicts; where several are equally frequent, a tie."""
    if len(verdicts) == 1:
        return verdicts[0]
    counts = Counter(verdicts).most_common(2)
    if len(counts) == 2 and counts[0][1] == counts[1][1]:
        return "tie"
    return counts[0][0]


def _sums(options: Sequence[Option], weights: Sequence[Exact]) -> dict[Option, Exact]:
    sums: dict[Option, Exact] = {}
    for option, weight in zip(options, weights, strict=True):
        sums[option] = sums.get(option, 0) + weight
    return sums


def heaviest(options: Sequence[Option], weights: Sequence[Exact]) -> Option | Split[Option]:
    """Return what has the greatest sum of weights; level are all that have it."""
    sums = _sums(options, weights)
    most = max(sums.values())
    level = tuple(option for option, total in sums.items() if total == most)
    return level[0] if len(level) == 1 else Split(level)


def absolute(options: Sequence[Option], weights: Sequence[Exact]) -> Option | Split[Option]:
    """Return what has more than half of all weight; level are those with the most, be it one alone."""
    sums = _sums(options, weights)
    most = max(sums.values())
    level = tuple(option for option, total in sums.items() if total == most)
    return level[0] if 2 * most > sum(weights) else Split(level)


def single(options: Sequence[Option], weights: Sequence[Exact]) -> Option | Split[Option]:
    """Return the one that there is."""
    del weights
    return options[0]


def mean_score(votes: Sequence[Voted]) -> Verdict | Split[Verdict]:
    """Return the candidate with the higher mean score; equal means are level.

    Sums are compared rather than quotients.
    """
    totals = _totals(votes)
    if totals is None:
        raise NothingToDecide("a vote has no scores")
    return _higher(*totals)


def median_score(votes: Sequence[Voted]) -> Verdict | Split[Verdict]:
    """Return the candidate with the higher median score; equal medians are level.

    Of an even number of scores the median is the mean of the two in the middle.
    """
    scores = _scores(votes)
    if scores is None:
        raise NothingToDecide("a vote has no scores")
    return _higher(_twice_the_median(scores[0]), _twice_the_median(scores[1]))


def _twice_the_median(scores: Sequence[Fraction | float]) -> Fraction | float:
    ordered = sorted(scores)
    return ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]


def borda(votes: Sequence[Voted]) -> Verdict | Split[Verdict]:
    """Return the candidate with more points: a vote gives 1 to the one it is for, and a half to each on a tie."""
    counts = Counter(vote.verdict for vote in votes)
    return _higher(2 * counts["a"] + counts["tie"], 2 * counts["b"] + counts["tie"])


def _higher(a: Fraction | float, b: Fraction | float) -> Verdict | Split[Verdict]:
    verdict = verdict_of(a, b)
    return Split(("a", "b")) if verdict == "tie" else verdict


def _totals(votes: Sequence[Voted]) -> tuple[Fraction | float, Fraction | float] | None:
    """Return the exact sums of the scores; None where a vote has none."""
    scores = _scores(votes)
    return None if scores is None else (sum(scores[0]), sum(scores[1]))


def _scores(votes: Sequence[Voted]) -> tuple[list[Fraction] | list[float], list[Fraction] | list[float]] | None:
    """Return the exact scores; None where a vote has none."""
    scores_a = [vote.score_a for vote in votes if vote.score_a is not None]
    scores_b = [vote.score_b for vote in votes if vote.score_b is not None]
    if len(scores_a) < len(votes) or len(scores_b) < len(votes):
        return None
    if all(score.is_integer() for score in (*scores_a, *scores_b)):
        return scores_a, scores_b  # exact as they are
    return [Fraction(str(score)) for score in scores_a], [Fraction(str(score)) for score in scores_b]


RULES: Registry[Rule] = Registry(
    "aggregation rule",
    {
        "unique-mode": Rule(elect=heaviest),
        "majority": Rule(elect=absolute),
        "mean-score": Rule(mean_score, needs_scores=True),
        "median-score": Rule(median_score, needs_scores=True),
        "weighted": Rule(elect=heaviest, weighs=True),
        "confidence-weighted": Rule(elect=heaviest, needs_confidence=True),
        "borda": Rule(borda),
        "meta-judge": Rule(elect=single, alone=True),
    },
)
