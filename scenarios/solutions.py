"""A fold over a run's log: the questions that were answered in it, and by whom rightly.

Held are the conversations that have no outcome yet; of one that has, a few numbers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from ..protocols import answering
from ..protocols.events import Event
from ..runtime.log import LogReader
from ..runtime.log.faults import damaged
from ..runtime.recording.standing import sift
from .measures.accuracy import Answering, Mark, Solved, Tally, most_frequent
from .measures.accuracy import answering as reckoned
from .outcomes import Fold

SAID = ("give_answer", "draft_written", "decision_made")
KINDS = ("item_opened", "item_resumed", *SAID, "item_finished", "item_failed")
Key = Callable[[str, answering.Answers, Sequence[str]], str | None]
"""What tells an answer from others; see `answering.key`."""


def answers_of(log: LogReader, key: Key = answering.key) -> Answering | None:
    """Return how the questions of a run were answered; None of a run that gives no answers.

    Args:
        log: The run's.
        key: What tells answers from one another.

    Raises:
        LogError: the log is damaged.
    """
    record: dict[str, Any] = orjson.loads(log.meta("played") or "{}")
    if record.get("scenario", {}).get("gives") != "answer":
        return None
    records: dict[str, dict[str, Any]] = record.get("variants", {"": record})
    hows: dict[str, answering.Answers] = {
        name: each["scenario"].get("answers", "exact") for name, each in records.items()
    }
    tallies = {name: Tally() for name in records}
    for variant, solved in _solved(log, hows, key):
        if solved is None:
            tallies[variant].failed += 1
        else:
            tallies[variant].add(solved)
    return reckoned({name or str(record["scenario"]["scenario"]): tally for name, tally in tallies.items()})


@dataclass(slots=True)
class _Said:
    """What was answered in a conversation."""

    answers: dict[str, list[str | None]] = field(default_factory=dict[str, list[str | None]])
    """Of each agent; None for one that could not be read."""
    opening: list[str | None] = field(default_factory=list[str | None])
    """The first answers of those whom the first step asked that asks for answers."""
    decided: bool = False
    """Whether the last decision had votes that could be read."""
    _steps: dict[int, str] = field(default_factory=dict[int, str])
    """Of the commands, by sequence."""

    def take(self, event: Event) -> None:
        """Take in what happened."""
        content: dict[str, Any] = orjson.loads(event.body)
        if event.kind == "give_answer":
            self._steps[event.sequence] = content.get("step", "")
        elif event.kind == "decision_made":
            self.decided = content["votes"] > 0
        elif "answer" in content or content.get("unread"):
            answer: str | None = None if content.get("unread") else content["answer"]
            first = next(iter(self._steps.values()), "")
            if event.sender not in self.answers and self._steps.get(event.cause or 0, "") == first:
                self.opening.append(answer)
            self.answers.setdefault(event.sender, []).append(answer)


@dataclass(slots=True)
class _Talk:
    """A conversation that has no outcome yet."""

    item: dict[str, Any]
    said: _Said = field(default_factory=_Said)
    set_aside: bool = False


def _solved(log: LogReader, hows: Mapping[str, answering.Answers], key: Key) -> Iterator[tuple[str, Solved | None]]:
    """Return each item that has an outcome, by its variant; None where it failed."""
    spent = {outcome.item: (outcome.calls, outcome.tokens) for _, outcome in Fold(log).outcomes()}
    last = log.last()
    set_aside = log.set_aside(last)
    talks: dict[str, _Talk] = {}
    for event in log.events(kinds=KINDS):
        if event.sequence > last:
            return
        name = event.conversation
        try:
            if event.kind == "item_opened":
                content = orjson.loads(event.body)
                talks.pop(content.get("over") or "", None)
                talks[name] = _Talk(content["item"])
            elif name not in talks:
                continue  # a damaged log has lost its beginning
            elif event.kind == "item_resumed":
                talks[name].set_aside |= bool(orjson.loads(event.body).get("set_aside"))
            elif event.kind in SAID:
                talks[name].said.take(event)
            elif event.sequence not in set_aside:
                talk = talks.pop(name)
                variant = talk.item.get("variant") or ""
                if event.kind == "item_failed":
                    yield variant, None
                    continue
                said = _standing(log.events(name), event.sequence) if talk.set_aside else talk.said
                end: dict[str, Any] = orjson.loads(event.body)
                calls = spent.get(name.rpartition("~")[0], (0, 0))
                yield variant, _outcome(talk.item, said, end, calls, _keyed(key, hows[variant], talk.item))
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(log.path, f"event {event.sequence} is not what it was") from error


def _standing(events: Iterable[Event], until: int) -> _Said:
    """Return what counts where a part of a conversation was tried again."""
    said = _Said()
    for event in sift(events).standing():
        if event.kind in SAID and event.sequence < until:
            said.take(event)
    return said


def _keyed(key: Key, how: answering.Answers, item: Mapping[str, Any]) -> Callable[[str | None], str | None]:
    choices = tuple(item.get("choices", ()))
    return lambda answer: None if answer is None else key(answer, how, choices)


def _outcome(
    item: Mapping[str, Any],
    said: _Said,
    end: Mapping[str, Any],
    spent: tuple[int, int],
    key: Callable[[str | None], str | None],
) -> Solved:
    known = key(item.get("reference"))

    def mark(answer: str | None) -> Mark:
        given = key(answer)
        return "unread" if given is None else "right" if given == known else "wrong"

    scored = known is not None and end.get("correct") is not None
    return Solved(
        outcome="answer" if "answer" in end else "split" if said.decided else "unread",
        correct=end.get("correct"),
        before=most_frequent([key(answer) for answer in said.opening]) == known if scored and said.opening else None,
        again=sum(map(len, said.answers.values())) > len(said.opening),
        agents={agent: (mark(given[0]), mark(given[-1])) for agent, given in said.answers.items()} if scored else {},
        calls=spent[0],
        tokens=spent[1],
    )
