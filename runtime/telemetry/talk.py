"""One conversation as a trace: a span for itself, one for whatever an agent is asked for, one for each model call.

A conversation that goes on after it had an outcome, because its item is played again, gets a second span at its top,
in the same trace. What an agent was asked for and did not do is closed with the outcome, and is opened again where it
does it after all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ...protocols.events import KINDS, known_classes
from ...protocols.identity import call_id
from ...protocols.messages import Command, Fact, Message, named
from .evaluations import OF, evaluations
from .mapping import EVALUATION, Asked, GenAI, failed
from .records import Attributes, Happening, Place, Record, Sender, Span

SECOND_NS = 1_000_000_000
ENDS = frozenset({"item_finished", "item_failed"})
NOT_OVER = "fellowship.unfinished"
"""Set on spans of what had not come to an end when it was exported, or never did."""


@dataclass(slots=True)
class Pending:
    """Something that an agent was asked for and has not done yet."""

    asked: Asked
    sequence: int
    span: bytes
    start_ns: int
    calls: int = 0
    tries: int = 0
    """How often its handler failed."""


@dataclass(slots=True)
class Top:
    """The span of a conversation, from its beginning, or from where it goes on after an outcome."""

    place: Place
    start_ns: int
    own: Attributes
    links: tuple[Place, ...] = ()
    calls: int = 0
    resumed: int = 0


def class_of(kind: str) -> type[Message] | None:
    """Return the class of a kind of message, of a plugin's, too; none where it is not known here."""
    found = known_classes().get(kind)
    return KINDS[kind] if found is None and kind in KINDS else found


def is_command(kind: str) -> bool:
    """Whether a kind is that of a command."""
    known = commands().get(kind)
    if known is None:
        found = class_of(kind)
        return found is not None and issubclass(found, Command)
    return known


@cache
def commands() -> Mapping[str, bool]:
    """Return of each of the package's own kinds whether it is that of a command."""
    return {kind: issubclass(one, Command) for kind, one in known_classes().items()}


def answers(fact: str, command: str) -> bool:
    """Whether a fact of a kind answers a command of a kind."""
    return (fact, command) in _answering() or (not (commands().keys() >= {fact, command}) and _answers(fact, command))


@cache
def _answering() -> frozenset[tuple[str, str]]:
    """Return the package's own kinds of facts and of commands that they answer."""
    return frozenset(
        (fact, command)
        for command, it_is in commands().items()
        for fact in known_classes()
        if it_is and _answers(fact, command)
    )


def _answers(fact: str, command: str) -> bool:
    said, asked = class_of(fact), class_of(command)
    return said is not None and asked is not None and issubclass(asked, Command) and issubclass(said, asked.wants)


def own_kind(kind: str) -> str:
    """Return the kind that the package knows a plugin's fact by: that of the class which it extends."""
    return kind if kind in OF else _own_kinds().get(kind) or _own_kind(kind)


@cache
def _own_kinds() -> Mapping[str, str]:
    return {kind: _own_kind(kind) for kind in known_classes()}


def _own_kind(kind: str) -> str:
    bases = class_of(kind)
    for base in bases.__mro__ if bases is not None else ():
        if issubclass(base, Fact) and (known := base.model_fields.get("kind")) is not None and known.default in OF:
            return str(known.default)
    return kind


class Talk:
    """A conversation in the making."""

    __slots__ = (
        "_asked",
        "_drafts",
        "_held",
        "_left",
        "_name",
        "_names",
        "_now_ns",
        "_numbers",
        "_pending",
        "_sender",
        "_text_of",
        "_top",
        "_trace",
        "_went_on_ns",
        "item",
        "over",
    )

    def __init__(
        self, sender: Sender, names: GenAI, conversation: str, text_of: Callable[[str], str], time_s: float
    ) -> None:
        self._sender = sender
        self._names = names
        self._name = conversation
        self.item = conversation.rpartition("~")[0]
        self._held = names.held(sender, conversation, self.item)
        self._text_of = text_of
        self._trace = sender.trace_of(conversation)
        self._now_ns = int(time_s * SECOND_NS)
        self._pending: dict[int, Pending] = {}
        self._left: dict[int, Pending] = {}
        """What was closed without an answer, and may still get one."""
        self._drafts: dict[str, bytes] = {}
        """Spans in which drafts were written."""
        self._asked: str | None = None
        self._numbers: dict[int, int] = {}
        """How many calls each event has led to so far."""
        self._went_on_ns = 0
        """When its item went on, after it was broken off or had failed."""
        self.over = False
        """Whether it has an outcome."""
        self._top = self._begun(sender.span_of(conversation))

    def take(
        self, sequence: int, cause: int | None, speaker: str, kind: str, body: Mapping[str, Any], time_s: float
    ) -> list[Record]:
        """Take in its next event; returns what is whole now."""
        self._now_ns = max(self._now_ns, int(time_s * SECOND_NS))  # a clock may be put back
        if kind == "model_called":
            return [self._called(sequence, cause, speaker, body)]
        if kind == "item_opened":
            self._opened(body)
            return []
        if kind == "item_resumed":
            self._resumed(sequence)
            return []
        if kind == "agent_failed":
            return self._failed(cause, body)
        if kind in ENDS:
            found = self._evaluated(sequence, cause, speaker, kind, body)
            found += self._ended(kind, body)
            return found
        return self._said(sequence, cause, speaker, kind, body)

    def asked_for(self, sequence: int, asked: Asked, time_s: float) -> None:
        """Take in a command."""
        self._now_ns = max(self._now_ns, int(time_s * SECOND_NS))
        self._pending[sequence] = Pending(asked, sequence, self._sender.span_of(sequence), self._now_ns)

    def broken_off(self, why: str) -> list[Record]:
        """Return the spans of all that has not come to an end; it may still, and is then told again."""
        return [] if self.over else self._closed(why, {NOT_OVER: True}, error=None)

    # how it goes

    def _begun(self, span: bytes, links: tuple[Place, ...] = ()) -> Top:
        return Top(Place(self._trace, span), self._now_ns, {}, links)

    def _opened(self, body: Mapping[str, Any]) -> None:
        item = body["item"]
        self._asked = item["prompt"]
        if item.get("variant") is not None:
            self._top.own["fellowship.variant"] = item["variant"]
        over = body.get("over")
        if over is not None:
            self._top.own["fellowship.begun_anew_after"] = over
            self._top.links = (Place(self._sender.trace_of(over), self._sender.span_of(over)),)

    def _resumed(self, sequence: int) -> None:
        self._went_on_ns = self._now_ns
        if not self.over:
            self._top.resumed += 1
            return
        before = self._top.place
        variant = self._top.own.get("fellowship.variant")
        self.over = False
        self._top = self._begun(self._sender.span_of(self._name, sequence), (before,))
        self._top.own["fellowship.retried"] = True
        if variant is not None:
            self._top.own["fellowship.variant"] = variant

    def _going(self, cause: int | None, fact: str | None = None) -> Pending | None:
        """Return what a call, a failure or a fact is part of.

        What was closed is opened again by a call, or by the fact that answers it after all: its item goes on.
        """
        if cause is None:
            return None
        found = self._pending.get(cause)
        if found is not None or self.over or cause not in self._left:
            return found
        if fact is not None and not answers(fact, self._left[cause].asked.command):
            return None
        left = self._left.pop(cause)
        span = self._sender.span_of(self._top.place.span.hex(), cause, left.tries)
        start_ns = max(left.start_ns, self._went_on_ns)
        found = self._pending[cause] = Pending(left.asked, cause, span, start_ns, tries=left.tries)
        return found

    def _called(self, sequence: int, cause: int | None, speaker: str, body: Mapping[str, Any]) -> Span:
        top = self._top
        top.calls += 1
        waiting = self._going(cause)
        if waiting is None:
            parent, first_ns = top.place.span, top.start_ns
        else:
            parent, first_ns = waiting.span, waiting.start_ns
            waiting.calls += 1
        took_s = 0.0
        if body["source"] not in ("recording", "earlier"):  # that was then
            for attempt in body["attempts"]:
                took_s += attempt["latency_s"] + attempt["waited_s"]
        common, own = self._names.chat(self._sender, speaker, body)
        own["fellowship.event"] = sequence
        if cause is not None:
            number = self._numbers[cause] = self._numbers.get(cause, 0) + 1
            own["fellowship.call"] = call_id(cause, number)
        if self._names.content:
            messages = [(role, self._text_of(digest)) for role, digest in body["messages"]]
            own |= self._names.chat_said(messages, body)
        error = body.get("error")
        if error is not None:
            own |= failed(error["error"])
        now_ns = self._now_ns
        return Span(
            Place(self._trace, self._sender.span_of(sequence)),
            parent,
            self._names.chat_name(body),
            "client",
            min(max(now_ns - int(took_s * SECOND_NS), first_ns), now_ns),
            now_ns,
            common,
            self._held,
            own,
            None if error is None else self._words(error),
        )

    def _said(self, sequence: int, cause: int | None, speaker: str, kind: str, body: Mapping[str, Any]) -> list[Record]:
        waiting = self._going(cause, kind)
        if kind == "draft_written":
            self._drafts[named(speaker, body["version"])] = self._top.place.span if waiting is None else waiting.span
        found = self._evaluated(sequence, cause, speaker, own_kind(kind), body)
        if waiting is not None and cause is not None and answers(kind, waiting.asked.command):
            del self._pending[cause]
            found.append(self._done(waiting))
        return found

    def _evaluated(
        self, sequence: int, cause: int | None, speaker: str, kind: str, body: Mapping[str, Any]
    ) -> list[Record]:
        found: list[Record] = []
        names, held, top, now_ns = self._names, self._held, self._top.place, self._now_ns
        for number, one in enumerate(evaluations(kind, body)):
            about = self._about(one.about) if one.about else top
            common, own = names.evaluation(one, speaker, sequence)
            if names.events:
                found.append(Happening(about, EVALUATION, now_ns, common, held, own, one.unread))
                continue
            place = Place(self._trace, self._sender.span_of(sequence, number))
            waiting = self._pending.get(cause or 0)
            parent = top.span if waiting is None else waiting.span
            name, links = f"evaluation {one.name}", () if about == top else (about,)
            found.append(
                Span(place, parent, name, "internal", now_ns, now_ns, common, held, own, None, links, about_item=True)
            )
        return found

    def _about(self, drafts: Sequence[str]) -> Place:
        """Return the span in which the first of some drafts was written that is known; else that of all."""
        for name in drafts:
            if name in self._drafts:
                return Place(self._trace, self._drafts[name])
        return self._top.place

    def _failed(self, cause: int | None, body: Mapping[str, Any]) -> list[Record]:
        waiting = self._going(cause)
        if waiting is None or cause is None:
            return []
        waiting.tries += 1
        if body["then"] == "retry":
            return []
        recused: Attributes = {"fellowship.recused": True} if body["then"] == "recuse" else {}
        span = self._done(waiting, recused | failed(body["cause"]["error"]), self._words(body["cause"]))
        self._leave(cause)
        return [span]

    def _ended(self, kind: str, body: Mapping[str, Any]) -> list[Record]:
        self.over = True
        if kind == "item_failed":
            cause = body["cause"]
            return self._closed("failed", failed(cause["error"]), error=self._words(cause))
        told: Attributes = {"fellowship.verdict": body["verdict"]} if "verdict" in body else {}
        if self._names.content:
            answer = body.get("text") or body.get("answer") or body.get("verdict")
            told |= self._names.workflow_said(self._asked, answer)
        return self._closed("finished", told, error=None)

    def _closed(self, outcome: str, told: Attributes, *, error: str | None) -> list[Record]:
        found: list[Record] = []
        if self._pending:
            still = {key: told[key] for key in ("error.type", NOT_OVER) if key in told} or {NOT_OVER: True}
            for cause, waiting in list(self._pending.items()):
                found.append(self._done(waiting, still, error))
                self._leave(cause)
        top, above = self._top, self._sender.above
        own = top.own
        own["fellowship.outcome"], own["fellowship.calls"] = outcome, top.calls
        if top.resumed:
            own["fellowship.resumed"] = top.resumed
        found.append(
            Span(
                top.place,
                None if above is None else above.span,
                self._names.workflow_name(self._sender),
                "internal",
                top.start_ns,
                self._now_ns,
                self._names.workflow(self._sender),
                self._held,
                own | told,
                error,
                top.links,
                about_item=True,
            )
        )
        return found

    def _leave(self, cause: int) -> None:
        """Put away what was not done; should it be after all, that begins now at the earliest."""
        left = self._left[cause] = self._pending.pop(cause)
        left.start_ns = self._now_ns

    def _done(self, waiting: Pending, more: Attributes | None = None, error: str | None = None) -> Span:
        common, own = self._names.agent(self._sender, self._name, waiting.asked, waiting.sequence)
        own["fellowship.calls"] = waiting.calls
        if waiting.tries:
            own["fellowship.failures"] = waiting.tries
        if more is not None:
            own |= more
        return Span(
            Place(self._trace, waiting.span),
            self._top.place.span,
            self._names.agent_name(waiting.asked.agent),
            "internal",
            waiting.start_ns,
            self._now_ns,
            common,
            self._held,
            own,
            error,
        )

    def _words(self, failure: Mapping[str, Any] | None) -> str | None:
        """Return the words of a failure; they may repeat what was said, and are content."""
        if failure is None:
            return None
        return failure["reason"] if self._names.content else ""
