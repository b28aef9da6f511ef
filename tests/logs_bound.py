"""What tests of the lines that are logged share: the ids that each line promises, and its place in the run's log."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fellowship.protocols.events import Event
from fellowship.protocols.identity import CallId, call_id
from fellowship.protocols.lifecycle import ItemOpened, ModelCalled
from fellowship.runtime.log import LogReader

OF_A_RUN = {"run_started", "run_ended", "run_stopping", "changes_accepted", "nothing_to_retry"} | {
    "batch_prepared",
    "batch_submitted",
    "batch_ended",
}
OF_AN_ITEM = {"item_opened", "item_resumed", "item_finished", "item_failed", "decision_made", "condition_met"}
OF_A_CALL = {"call_sent", "call_answered", "call_failed", "call_put_off", "attempt_failed", "cache_hit"} | {
    "budget_reserved",
    "budget_refused",
    "endpoint_held",
    "endpoint_released",
    "endpoint_broken",
    "endpoint_given_up",
}
Line = Mapping[str, Any]


def promised(event: str) -> set[str]:
    """Return the ids that a line has; whatever is neither of the run nor of an item is said by or to an agent."""
    ids = {"run"}
    if event not in OF_A_RUN:
        ids |= {"item", "conversation"}
        if event not in OF_AN_ITEM:
            ids |= {"agent", "call"} if event in OF_A_CALL else {"agent"}
    return ids


def calls_in(log: LogReader) -> dict[CallId, tuple[Event, ModelCalled]]:
    """Return every call of a run by its name, as a fold finds it."""
    numbers: Counter[int] = Counter()
    found: dict[CallId, tuple[Event, ModelCalled]] = {}
    for event in log.events(kinds=("model_called",)):
        called = event.message()
        assert isinstance(called, ModelCalled)
        if event.cause is not None:
            numbers[event.cause] += 1
            found[call_id(event.cause, numbers[event.cause])] = event, called
    return found


def joined(lines: Iterable[Line], out: Path) -> None:
    """Check that every line has its ids, and that these are those of what it tells of in the run's log."""
    with LogReader(out / "run.db") as log:
        run, calls = log.run_id(), calls_in(log)
        items = {event.conversation: event.message() for event in log.events(kinds=("item_opened",))}
        events = {event.sequence: event for event in log.events()}
    ended: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for line in lines:
        ids = {name for name in ("run", "item", "conversation", "agent", "call") if name in line}
        assert ids == promised(line["event"]), line
        assert line["run"] == run, line
        opened = items[line["conversation"]] if "conversation" in line else None
        assert opened is None or (isinstance(opened, ItemOpened) and opened.item.id == line["item"]), line
        if "call" in line:
            event, called = calls[line["call"]]
            assert (event.conversation, event.sender) == (line["conversation"], line["agent"]), line
            failed[line["call"]] += line["event"] == "attempt_failed"
            if line["event"] in ("call_answered", "call_failed"):
                ended[line["call"]] += 1
                assert (line["event"] == "call_answered") == (called.text is not None), line
                assert (line["sequence"], line["source"]) == (event.sequence, called.source), line
                assert (line["input_tokens"], line["attempts"]) == (called.usage.input_tokens, len(called.attempts))
        elif "sequence" in line:
            assert events[line["sequence"]].kind == line["event"], line
            assert events[line["sequence"]].conversation == line["conversation"], line
    assert ended == dict.fromkeys(calls, 1)
    assert +failed == +Counter(
        {name: sum(each.error is not None for each in called.attempts) for name, (_, called) in calls.items()}
    )
