"""Questions with a known answer: how many are answered rightly, before anybody heard anybody and in the end."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict

from .confusion import Interval
from .estimate import Estimate, holm, mean
from .exact import wilson
from .frontier import frontier
from .paired import METHODS as PAIRED
from .paired import Discordance, Paired, facts

Mark: TypeAlias = Literal["right", "wrong", "unread"]
AFTER, BEFORE = "decision", "first answers"
METHODS = {
    "accuracy": (
        "share of the questions whose answer is known; what is split or unread is not right; 95 %: Wilson score "
        "interval"
    ),
    "before": (
        "whether more agents gave the known answer than any other one when they were first asked, in the first step "
        "that asks for answers; a split is not right"
    ),
    "calls": "mean over items, calls of earlier tries included; 95 %: normal, of the standard error over items",
    "frontier": "no other takes as few calls and is as accurate, or better in one of the two",
    **PAIRED,
}


@dataclass(frozen=True, slots=True)
class Solved:
    """A question that has an outcome."""

    outcome: Literal["answer", "split", "unread"]
    correct: bool | None
    """Whether the outcome is the known answer; None where none is known."""
    before: bool | None = None
    """Whether the most frequent first answer was; None where no answer is known, or nobody was asked for one."""
    agents: Mapping[str, tuple[Mark, Mark]] = field(default_factory=dict[str, tuple[Mark, Mark]])
    """The first answer of each agent, and its last; nothing where no answer is known."""
    calls: int = 0
    tokens: int = 0
    again: bool = True
    """Whether anybody gave an answer after the first ones."""


class Frozen(BaseModel):
    """A part of the result."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Accuracy(Frozen):
    """A share of questions that are answered rightly."""

    correct: int
    n: int
    """Questions whose answer is known."""
    accuracy: float | None
    """None of nothing."""
    accuracy_ci: Interval | None

    @classmethod
    def of(cls, correct: int, n: int) -> "Accuracy":
        """Return the share with its interval."""
        return cls(correct=correct, n=n, accuracy=correct / n if n else None, accuracy_ci=wilson(correct, n))


class AgentAccuracy(Frozen):
    """How often one agent was right."""

    first: Accuracy
    """Of its first answers."""
    last: Accuracy
    first_unread: int
    """First answers that could not be read, or were none of the kind that was asked for; none of them is right."""
    last_unread: int


class BeforeAfter(Frozen):
    """The most frequent first answer of an item against what was decided."""

    before: Accuracy
    after: Accuracy
    rescued: int
    """Wrong before, and right after."""
    lost: int
    """Right before, and wrong after."""
    test: Paired
    """The first is the decision, the second the first answers: a positive difference is what talking has gained."""


class Solving(Frozen):
    """One way in which questions were answered."""

    name: str
    """The scenario, or the variant of a sweep."""
    items: int
    """That have an outcome."""
    failed: int
    """Items beside them that failed: they are in no figure."""
    unknown: int
    """Of the items, those whose answer is not known: they are in no share."""
    decision: Accuracy
    split: int
    """Items that came to no answer, because no answer had the votes."""
    unread: int
    """Items that came to no answer, because none could be read."""
    agents: dict[str, AgentAccuracy]
    """Those who gave answers."""
    change: BeforeAfter | None
    """None where first answers are all the answers there are, or no answer is known."""
    calls: Estimate | None
    """Model calls an item; None of no items."""
    tokens: Estimate | None
    """Input and output, an item."""
    frontier: bool
    """Of several ways: whether no other is as cheap and as accurate."""


class Answering(Frozen):
    """Every way in which questions were answered."""

    ways: tuple[Solving, ...]
    methods: dict[str, str]
    """What figures are, and how their intervals and tests are made."""


class Tally:
    """What the questions of one way come to; holds a few numbers an item."""

    def __init__(self) -> None:
        self.failed = 0
        self._outcomes: Counter[str] = Counter()
        self._correct: Counter[bool | None] = Counter()
        self._changes: Counter[tuple[bool, bool]] = Counter()
        """After, before."""
        self._again = False
        self._agents: dict[str, Counter[tuple[Mark, Mark]]] = {}
        self._calls = array("q")
        self._tokens = array("q")

    def add(self, solved: Solved) -> None:
        """Take in a question that has an outcome."""
        self._outcomes[solved.outcome] += 1
        self._correct[solved.correct] += 1
        if solved.correct is not None and solved.before is not None:
            self._changes[solved.correct, solved.before] += 1
            self._again = self._again or solved.again
        for agent, marks in solved.agents.items():
            self._agents.setdefault(agent, Counter())[marks] += 1
        self._calls.append(solved.calls)
        self._tokens.append(solved.tokens)

    @property
    def discordance(self) -> Discordance | None:
        """Return the decision against the first answers; None of nothing, and where nobody is ever asked again."""
        if not self._again:
            return None
        cells = ((True, True), (True, False), (False, True), (False, False))
        return Discordance(*(self._changes[cell] for cell in cells))

    def found(self, name: str, p: tuple[float, float] | None) -> Solving:
        """Return what it comes to; `p` is that of the test, alone and adjusted for other ways' tests."""
        items = len(self._calls)
        return Solving(
            name=name,
            items=items,
            failed=self.failed,
            unknown=self._correct[None],
            decision=Accuracy.of(self._correct[True], items - self._correct[None]),
            split=self._outcomes["split"],
            unread=self._outcomes["unread"],
            agents={agent: _agent(marks) for agent, marks in self._agents.items()},
            change=_change(self.discordance, p),
            calls=_mean(self._calls),
            tokens=_mean(self._tokens),
            frontier=False,
        )


def answering(tallies: Mapping[str, Tally]) -> Answering:
    """Return the figures of every way in which questions were answered, by name."""
    tested = {name: counts for name, tally in tallies.items() if (counts := tally.discordance) is not None}
    alone = [counts.p for counts in tested.values()]
    p = dict(zip(tested, zip(alone, holm(alone), strict=True), strict=True))
    ways = [tally.found(name, p.get(name)) for name, tally in tallies.items()]
    if len(ways) > 1:
        played = [way for way in ways if way.calls is not None]
        calls = [0.0 if way.calls is None else way.calls.value for way in played]
        best = {played[place].name for place in frontier(calls, [way.decision.accuracy for way in played])}
        ways = [way.model_copy(update={"frontier": way.name in best}) for way in ways]
    return Answering(ways=tuple(ways), methods=METHODS)


def most_frequent(keys: Sequence[str | None]) -> str | None:
    """Return the answer that more agents gave than any other; None where there is none, or several.

    Args:
        keys: What tells one answer from others; None for one that could not be read.
    """
    counts = Counter(key for key in keys if key is not None).most_common(2)
    if not counts or (len(counts) == 2 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]


def _agent(marks: Counter[tuple[Mark, Mark]]) -> AgentAccuracy:
    def counted(place: int, mark: Mark) -> int:
        return sum(count for both, count in marks.items() if both[place] == mark)

    n = marks.total()
    return AgentAccuracy(
        first=Accuracy.of(counted(0, "right"), n),
        last=Accuracy.of(counted(1, "right"), n),
        first_unread=counted(0, "unread"),
        last_unread=counted(1, "unread"),
    )


def _change(counts: Discordance | None, p: tuple[float, float] | None) -> BeforeAfter | None:
    if counts is None or p is None:
        return None
    return BeforeAfter(
        before=Accuracy.of(counts.both + counts.only_second, counts.n),
        after=Accuracy.of(counts.both + counts.only_first, counts.n),
        rescued=counts.only_first,
        lost=counts.only_second,
        test=Paired.model_validate(facts((AFTER, BEFORE), counts, *p)),
    )


def _mean(values: "array[int]") -> Estimate | None:
    found = np.asarray(values, dtype=np.float64)
    return mean(found, np.arange(len(found)))
