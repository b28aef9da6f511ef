"""Folds over a run's log: one outcome an item, and the state of the whole run."""

import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict

from ..protocols.errors import LogError
from ..protocols.identity import ItemId
from ..protocols.judging import Verdict
from ..protocols.lifecycle import ItemFailed, ItemFinished, RunEnded, RunStarted
from ..runtime.log import LogReader

FOLDED = ("item_opened", "model_called", "item_finished", "item_failed")


class Outcome(BaseModel):
    """One line of results.jsonl."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    item: ItemId
    status: Literal["done", "failed"]
    verdict: Verdict | None = None
    scores: dict[Literal["a", "b"], float] | None = None
    """Where the decision has scores."""
    text: str | None = None
    error: str | None = None
    """Why there is no outcome."""
    calls: int
    """Model calls, those of earlier starts included; tries within a call count once."""
    tokens: int
    """Input and output."""
    cost_usd: float | None = None
    """None where prices are not known."""


class Status(BaseModel):
    """A run at one moment."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str
    scenario: str
    state: Literal["running or broken off", "done", "stopped", "failed"]
    """`done` and `stopped` are what the last process said when it left; a run that says nothing is at work, or died."""
    items: int
    done: int
    failed: int
    verdicts: dict[Verdict, int]
    unread_votes: int
    """Votes that no verdict counts, because no answer could be read."""
    calls: int
    calls_failed: int
    input_tokens: int
    output_tokens: int
    dead_letters: int
    failures: dict[str, int]
    """Failed items by class of error."""
    models: tuple[str, ...]


class _Tally:
    """What an item has cost so far."""

    __slots__ = ("calls", "item", "number", "tokens")

    def __init__(self, item: ItemId) -> None:
        self.item = item
        self.number = 0
        self.calls = 0
        self.tokens = 0


def outcomes(log: LogReader) -> Iterator[tuple[int, Outcome]]:
    """Return each finished or failed item's number in the data set and its outcome, as they came about.

    An item that was broken off and begun anew is charged for both. Only items in the making are held.
    """
    by_item: dict[ItemId, _Tally] = {}
    by_conversation: dict[str, _Tally] = {}
    for event in log.events(kinds=FOLDED):
        if event.kind == "item_opened":
            body = orjson.loads(event.body)
            tally = by_item.setdefault(body["item"]["id"], _Tally(body["item"]["id"]))
            tally.number = body["number"]
            by_conversation[event.conversation] = tally
        elif event.kind == "model_called":
            usage = orjson.loads(event.body)["usage"]
            tally = by_conversation[event.conversation]
            tally.calls += 1
            tally.tokens += usage["input_tokens"] + usage["output_tokens"]
        else:
            tally = by_conversation.pop(event.conversation)
            del by_item[tally.item]
            end = event.message()
            if isinstance(end, (ItemFinished, ItemFailed)):
                yield tally.number, _outcome(tally, end)


def _outcome(tally: _Tally, end: ItemFinished | ItemFailed) -> Outcome:
    if isinstance(end, ItemFailed):
        error = f"{end.cause.error}: {end.cause.reason}"
        return Outcome(item=tally.item, status="failed", error=error, calls=tally.calls, tokens=tally.tokens)
    scores: dict[Literal["a", "b"], float] | None = None
    if end.score_a is not None and end.score_b is not None:
        scores = {"a": end.score_a, "b": end.score_b}
    return Outcome(
        item=tally.item,
        status="done",
        verdict=end.verdict,
        scores=scores,
        text=end.text,
        calls=tally.calls,
        tokens=tally.tokens,
    )


@dataclass(frozen=True, slots=True, order=True)
class _Placed:
    number: int
    outcome: Outcome = field(compare=False)


def in_order(found: Iterator[tuple[int, Outcome]]) -> Iterator[Outcome]:
    """Return outcomes in the order of the data set; holds only those that are ahead of one still to come."""
    ahead: list[_Placed] = []
    due = 0
    for number, outcome in found:
        heapq.heappush(ahead, _Placed(number, outcome))
        while ahead and ahead[0].number <= due:
            placed = heapq.heappop(ahead)
            due = placed.number + 1
            yield placed.outcome
    while ahead:
        yield heapq.heappop(ahead).outcome


def write_results(log: LogReader, path: Path) -> None:
    """Write results.jsonl, whole or not at all: one line an item, in the order of the data set.

    Raises:
        LogError: it cannot be written.
    """
    part = path.with_suffix(".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            for outcome in in_order(outcomes(log)):
                file.write(outcome.model_dump_json(exclude_none=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise LogError(f"{path} cannot be written: {error.strerror or error}; the log has it all") from error


def status(log: LogReader, run: str) -> Status:
    """Return the state of a run."""
    ended, started = log.newest("run_ended"), log.newest("run_started")
    states = {"done": "done", "stopped": "stopped", "failed": "failed"}
    state = "running or broken off"
    if ended is not None and started is not None and ended.sequence > started.sequence:
        end = ended.message()
        state = states[end.reason] if isinstance(end, RunEnded) else state
    start = started.message() if started is not None else None
    calls = log.count("model_called", "$.finish_reason")
    verdicts = log.count("item_finished", "$.verdict")
    failures = log.count("item_failed", "$.cause.error")
    return Status.model_validate(
        {
            "run": run,
            "scenario": log.meta("name") or "",
            "state": state,
            "items": start.items if isinstance(start, RunStarted) else 0,
            "done": sum(verdicts.values()),
            "failed": sum(failures.values()),
            "verdicts": {verdict: count for verdict, count in verdicts.items() if verdict},
            "unread_votes": log.total("decision_made", "$.unread"),
            "calls": sum(calls.values()),
            "calls_failed": calls.get("", 0),
            "input_tokens": log.total("model_called", "$.usage.input_tokens"),
            "output_tokens": log.total("model_called", "$.usage.output_tokens"),
            "dead_letters": sum(log.count("letter_undelivered").values()),
            "failures": failures,
            "models": tuple(log.count("model_called", "$.model")),
        }
    )
