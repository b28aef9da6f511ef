"""The course of a conversation: what was said in it, in the order of the flow, without what is left to chance.

In the log the agents that were asked together stand as they came to speak. Here the conductor's own messages stand in
the order of the log, and below each command all that came of it: found by cause, and in the order of the log for each
agent. Left out is what nobody said or what does not count: tries of a call that was made again, letters that nobody
took, whatever was set aside when the item went on, and outcomes that were.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import zip_longest
from typing import Any, cast

import orjson

from ..protocols.events import Event

UNSAID = frozenset({"item_resumed", "outcome_set_aside", "letter_undelivered"})
"""Kinds that are about the carrying out. What a lost letter leads to shows where it would have been heard."""
ENDS = frozenset({"item_finished", "item_failed"})
FAILURES = frozenset({"agent_failed", "agent_recused", "item_failed"})
BY_CHANCE = {
    "item_finished": ("number",),
    "item_failed": ("number",),
    "agent_failed": ("attempt",),
    "hearing_changed": ("caught_up",),
}
"""Fields that say where in the log or in the data something stands, or how often it was tried."""


@dataclass(slots=True)
class Said:
    """One message, as far as it is needed to set it beside another one's."""

    sequence: int
    cause: int | None
    sender: str
    kind: str
    content: bytes
    """Digest of all that counts in it."""
    request: bytes = b""
    """Of a model call: digest of what was asked."""
    answered: bool = True
    """Of a model call: whether it has a reply."""
    again: bool = False
    """Of a failure: whether what failed was tried again."""
    recused: bool = False
    """Of a failure: whether the conversation went on without the agent."""
    verdict: str | None = None
    """Of a vote."""
    after: "list[Said]" = field(default_factory=list["Said"])
    """What came of it."""

    @classmethod
    def of(cls, event: Event) -> "Said":
        """Return the message of an event."""
        body = read(event)
        said = cls(event.sequence, event.cause, event.sender, event.kind, _digest(substance(event, body)))
        if event.kind == "model_called":
            said.request, said.answered = _digest(_request(body)), body.get("text") is not None
        elif event.kind == "agent_failed":
            said.again, said.recused = body["then"] == "retry", body["then"] == "recuse"
        elif event.kind == "vote_cast":
            said.verdict = body["verdict"]
        return said


def read(event: Event) -> dict[str, Any]:
    """Return the body of an event."""
    return cast("dict[str, Any]", orjson.loads(event.body))


def substance(event: Event, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what counts in a message: who said it, what it is and, for a command, to whom; then its own fields."""
    head: dict[str, Any] = {"sender": event.sender, "kind": event.kind}
    if "step" in body:  # a command: for a fact, the recipients are those who happened to be there to hear it
        head["to"] = ", ".join(event.recipients)
    if event.kind == "model_called":
        return {**head, **_request(body), "text": body.get("text")}
    if event.kind == "item_opened":
        return {**head, "item": content(body["item"])}
    left_out = BY_CHANCE.get(event.kind, ())
    fields = {name: value for name, value in body.items() if name != "kind" and name not in left_out}
    if event.kind in FAILURES:
        # An error's words have times and counts in them; its class and whom it met are what happened.
        fields["cause"] = {name: value for name, value in fields["cause"].items() if name != "reason"}
    return {**head, **fields}


def content(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an item asks: its prompt, what was said before it, and its candidates."""
    candidates: dict[str, dict[str, Any]] = {each["slot"]: each for each in item["candidates"]}
    offered = {slot: {"text": each["text"], "model": each.get("model")} for slot, each in candidates.items()}
    before = {"history": item["history"]} if item.get("history") else {}
    return {"prompt": item["prompt"], **before, **offered}


def _request(called: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": called["model"],
        "settings": called["settings"],
        "answer": called.get("answer"),
        "messages": called["messages"],
    }


def alike(one: object, other: object) -> bool:
    """Whether two values are the same as JSON: 1 and 1.0 are not, as they are not in the log."""
    return one == other if isinstance(one, str) else _json(one) == _json(other)


def _digest(value: object) -> bytes:
    return blake2b(_json(value), digest_size=12).digest()


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


class Course:
    """One conversation, gathered from its events."""

    def __init__(self) -> None:
        self._said: dict[int, Said] = {}
        self._resumed: list[tuple[int, frozenset[int]]] = []

    def take(self, event: Event) -> None:
        """Take in the next event."""
        if event.kind == "item_resumed":
            self._resumed.append((event.sequence, frozenset(read(event)["set_aside"])))
        elif event.kind not in UNSAID:
            self._said[event.sequence] = Said.of(event)

    def messages(self, set_aside: Collection[int], *, ended: bool) -> list[Said]:
        """Return the conductor's messages, each with what came of it; to be called once.

        Args:
            set_aside: Sequences of outcomes that do not count.
            ended: Whether it has an outcome. In one that has none, failures do not count yet.
        """
        resumed = max((sequence for sequence, _ in self._resumed), default=0)
        out: set[int] = set()
        opened: int | None = None
        first: list[Said] = []
        for said in self._said.values():
            ended_before = said.kind in ENDS and (said.sequence < resumed or said.sequence in set_aside)
            if ended_before or said.cause in out or self._undone(said):
                out.add(said.sequence)
            elif opened is None or said.cause == opened or said.cause not in self._said:
                opened = opened or said.sequence
                first.append(said)
            else:
                self._said[said.cause].after.append(said)
        for said in self._said.values():
            said.after = [each for group in _by_sender(said.after) for each in _settled(group, ended=ended)]
        return first

    def _undone(self, said: Said) -> bool:
        return any(said.sequence < resumed and said.cause in commands for resumed, commands in self._resumed)


def _by_sender(messages: Sequence[Said]) -> list[list[Said]]:
    groups: dict[str, list[Said]] = {}
    for said in messages:
        groups.setdefault(said.sender, []).append(said)
    return [groups[sender] for sender in sorted(groups)]


def _settled(messages: Sequence[Said], *, ended: bool) -> list[Said]:
    """Return what an agent said because of one letter, without its failed tries."""
    kept: list[Said] = []
    for said in messages:
        if said.again:  # the whole letter is handled once more, calls that were answered included
            kept = [each for each in kept if each.kind != "model_called"]
            continue
        kept = [each for each in kept if each.kind != "agent_failed"]  # the command was carried out again
        if said.kind == "model_called":
            kept = [each for each in kept if each.answered or each.request != said.request]
        kept.append(said)
    if ended:
        return kept
    return [said for said in kept if said.answered and (said.kind != "agent_failed" or said.recused)]


def walked(messages: Sequence[Said]) -> Iterator[Said]:
    """Return messages in the order of the flow."""
    for said in messages:
        yield said
        yield from walked(said.after)


def digest(messages: Sequence[Said]) -> bytes:
    """Return a digest of a whole conversation; those of two that do not differ are equal."""
    parts = blake2b(digest_size=16)

    def add(level: Sequence[Said]) -> None:
        parts.update(b"(")
        for said in level:
            parts.update(said.content)
            add(said.after)
        parts.update(b")")

    add(messages)
    return parts.digest()


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two conversations differ first."""

    shared: int
    """Messages before it that are the same."""
    first: Said | None
    """None where this one says nothing more there."""
    second: Said | None


def parting(first: Sequence[Said], second: Sequence[Said], *, ended: tuple[bool, bool]) -> Parting | None:
    """Return where two conversations differ first, or None.

    Where one of them has not ended, what it has not said yet is no difference.
    """
    shared = 0

    def look(one: Sequence[Said], other: Sequence[Said]) -> Parting | None:
        nonlocal shared
        for left, right in zip_longest(one, other):
            if (left is None and not ended[0]) or (right is None and not ended[1]):
                return None
            if left is None or right is None or left.content != right.content:
                return Parting(shared, left, right)
            shared += 1
            found = look(left.after, right.after)
            if found is not None:
                return found
        return None

    return look(first, second)
