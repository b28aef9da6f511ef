"""What a worker tells of events by its own numbers, told by their places in the one log."""

from ...protocols.identity import CallId
from ...runtime.cluster.intake import Intake, item_of
from ..live import Stall


def line_of(intake: Intake, facts: dict[str, object]) -> dict[str, object]:
    """Return the facts of a line with the places that events have in the one log."""
    item = facts.get("item") or item_of(str(facts.get("conversation", "")))
    found = dict(facts)
    for name in ("sequence", "cause"):
        if isinstance(value := found.get(name), int):
            found[name] = intake.place(str(item), value)
    if isinstance(call := found.get("call"), str):
        found["call"] = _call(intake, str(item), call)
    return found


def _call(intake: Intake, item: str, call: str) -> CallId:
    cause, dot, number = call.partition(".")
    return CallId(f"{intake.place(item, int(cause))}{dot}{number}" if cause.isdecimal() else call)


def stall_of(intake: Intake, stall: Stall) -> Stall:
    """Return a stalled call under the name that it has in the one log."""
    return stall.model_copy(update={"call": _call(intake, item_of(stall.conversation), stall.call)})
