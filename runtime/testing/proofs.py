"""What a run's directory must show after all: the same outcomes and the same talk as undisturbed, and a whole log."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from ...protocols.events import Event
from ..log import LogReader, examine
from .opinions import key_of

OUTCOME = ("item", "status", "verdict", "scores", "text")
"""What of a result has to be the same, however often its run was killed."""
ABOUT = frozenset({"model_called", "item_resumed"})
"""Kinds that say how the talk was come by."""


@dataclass(slots=True)
class Recorded:
    """The calls in a log."""

    calls: Counter[str] = field(default_factory=Counter[str])
    """Those that an endpoint has answered, by the key of their question."""
    timed_out: int = 0
    """Attempts that were given up at their deadline."""


def recorded(log: Path, sources: Container[str] = ("endpoint",)) -> Recorded:
    """Return the calls in a log whose answers came from somewhere; raises LogError where it cannot be read."""
    found = Recorded()
    with LogReader(log) as reader:
        for event in reader.events(kinds=("model_called",)):
            called = orjson.loads(event.body)
            found.timed_out += sum(
                attempt.get("error", "").startswith("CallTimedOut") for attempt in called["attempts"]
            )
            if "text" in called and called["source"] in sources:
                found.calls[key_of(called["model"].partition("/")[2], called["messages"])] += 1
    return found


def results(out: Path) -> list[dict[str, Any]]:
    """Return the lines of results.jsonl."""
    return [orjson.loads(line) for line in (out / "results.jsonl").read_bytes().splitlines()]


def outcomes(out: Path) -> list[dict[str, Any]]:
    """Return what of the results has to be the same however often a run is killed."""
    return [{name: line.get(name) for name in OUTCOME} for line in results(out)]


def differing_outcomes(out: Path, undisturbed: Path) -> list[str]:
    """Return in which items the outcomes of two runs differ."""
    found, expected = outcomes(out), outcomes(undisturbed)
    problems = [f"{here}, undisturbed {there}" for here, there in zip(found, expected, strict=False) if here != there]
    if len(found) != len(expected):
        problems.append(f"{len(found)} outcomes, undisturbed {len(expected)}")
    return problems


def differing_talk(out: Path, undisturbed: Path) -> list[str]:
    """Return in which conversations two runs have said anything else, or anything twice, whatever the order."""
    found, expected = _talk(out), _talk(undisturbed)
    problems: list[str] = []
    for name in sorted(found.keys() | expected.keys()):
        here, there = found.get(name, Counter()), expected.get(name, Counter())
        more, less = list((here - there).elements()), list((there - here).elements())
        if more or less:
            problems.append(f"{name}: more {more[:2]}, less {less[:2]}")
    return problems


def _talk(out: Path) -> dict[str, Counter[str]]:
    said: dict[str, Counter[str]] = {}
    with LogReader(out / "run.db") as reader:
        for event in reader.events():
            if event.conversation and event.kind not in ABOUT:
                body = orjson.loads(event.body)
                body.pop("caught_up", None)  # sequences
                line = f"{event.sender} to {','.join(event.recipients)}: {orjson.dumps(body).decode()}"
                said.setdefault(event.conversation, Counter())[line] += 1
            elif event.kind == "model_called":
                called = orjson.loads(event.body)
                line = f"{event.sender} asked {called['model']}: {called['messages']} -> {called.get('text')}"
                said.setdefault(event.conversation, Counter())[line] += 1
    return said


def gaps(out: Path) -> list[str]:
    """Return what is not whole in a run's log, and what its results charge otherwise than it says."""
    problems = list(examine(out / "run.db", thorough=True))
    with LogReader(out / "run.db") as reader:
        look = _Look()
        for event in reader.events():
            problems += look.at(event)
    problems += [
        f"{item} has {len(ends)} outcomes that count" for item, ends in look.outcomes().items() if len(ends) != 1
    ]
    for line in results(out):
        charged = (line["calls"], line["tokens"])
        if charged != (said := (look.calls[line["item"]], look.tokens[line["item"]])):
            problems.append(f"{line['item']} is charged for calls and tokens {charged}, and the log has {said}")
    return problems


class _Look:
    """One pass over a log."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self._last = 0
        self._opened: dict[str, int] = {}
        self._of: dict[int, str] = {}
        self._ends: dict[str, set[int]] = {}
        self._aside: set[int] = set()

    def outcomes(self) -> Mapping[str, set[int]]:
        return {item: ends - self._aside for item, ends in self._ends.items()}

    def at(self, event: Event) -> Iterator[str]:
        if event.sequence != self._last + 1:
            yield f"event {event.sequence} follows {self._last}"
        self._last = event.sequence
        if not event.conversation:
            return
        item, body = event.conversation.rpartition("~")[0], orjson.loads(event.body)
        self._of[event.sequence] = event.conversation
        self._ends.setdefault(item, set())
        if event.cause is not None and self._of.get(event.cause) != event.conversation:
            yield f"event {event.sequence} ({event.kind}) has a cause that is not in its conversation: {event.cause}"
        match event.kind:
            case "item_opened":
                if event.conversation in self._opened:
                    yield f"{event.conversation} is opened twice"
                self._opened[event.conversation] = event.sequence
            case "item_finished" | "item_failed":
                self._ends[item].add(event.sequence)
            case "outcome_set_aside":
                self._aside.add(body["outcome"])
            case "model_called" if body["source"] != "earlier":
                usage = body["usage"]
                self.calls[item] += 1
                self.tokens[item] += usage["input_tokens"] + usage["output_tokens"]
            case _:
                pass
        if event.conversation not in self._opened:
            yield f"event {event.sequence} ({event.kind}) is of {event.conversation}, which was not opened"
