"""What is sent: spans and events, in no exporter's own terms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

Value = str | int | float | bool | tuple[str, ...]
Attributes = dict[str, Value]
Kind = Literal["internal", "client"]


@dataclass(frozen=True, slots=True)
class Place:
    """A span, as others refer to it."""

    trace: bytes
    """16 bytes."""
    span: bytes
    """8 bytes."""


@dataclass(slots=True, kw_only=True)
class Span:
    """Something that took time."""

    place: Place
    parent: bytes | None
    """Of the same trace; none for one that stands at its top."""
    name: str
    kind: Kind = "internal"
    start_ns: int
    """Since the epoch."""
    end_ns: int
    attributes: Attributes
    error: str | None = None
    """Words on what went wrong, empty where they are not to be told; none where nothing did."""
    links: tuple[Place, ...] = ()


@dataclass(slots=True, kw_only=True)
class Happening:
    """An event, as OpenTelemetry's logs have it: something that happened at one moment."""

    place: Place
    """The span that it is about."""
    name: str
    time_ns: int
    attributes: Attributes


Record = Span | Happening


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The run that all is about, and where its traces hang."""

    run: str
    """Its id."""
    workflow: str
    """Name of its scenario."""
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    """By agent."""
    servers: Mapping[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    """Host and port of models whose address is known, by `provider/model`, or `*` for all others."""
    above: Place | None = None
    """The span of somebody else's that every conversation is part of: TRACEPARENT."""
    state: str = ""
    """What goes with it: TRACESTATE."""

    def trace_of(self, conversation: str) -> bytes:
        """Return the trace of a conversation: always the same, so that what is sent twice is known again."""
        return self.above.trace if self.above is not None else _digest(f"{self.run}/{conversation}", 16)

    def span_of(self, *names: object) -> bytes:
        """Return the span of something that the log has a name or number for; always the same."""
        return _digest("/".join((self.run, *map(str, names))), 8)


def _digest(text: str, size: int) -> bytes:
    return blake2b(text.encode("utf-8", "replace"), digest_size=size).digest()
