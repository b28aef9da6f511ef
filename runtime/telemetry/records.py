"""What is sent: spans and events, in no exporter's own terms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Literal, NamedTuple

Value = str | int | float | bool | tuple[str, ...]
Attributes = dict[str, Value]
Kind = Literal["internal", "client"]


class Common:
    """Attributes that many have in common, so that they are put together, and encoded, once."""

    __slots__ = ("attributes", "encoded")

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        self.encoded: dict[bytes, bytes] = {}
        """By the field that they are in; whoever encodes them keeps it here."""


NONE = Common({})


class Held:
    """What all that is sent of a conversation says of it; encoded once, like what sorts have in common."""

    __slots__ = ("conversation", "encoded", "item")

    def __init__(self, conversation: tuple[str, str], item: tuple[str, str]) -> None:
        self.conversation = conversation
        """Name of the attribute, and its value."""
        self.item = item
        """Likewise; said of what is about the item alone."""
        self.encoded: tuple[bytes, bytes] | None = None


class Place(NamedTuple):
    """A span, as others refer to it."""

    trace: bytes
    """16 bytes."""
    span: bytes
    """8 bytes."""


@dataclass(slots=True)
class Span:
    """Something that took time."""

    place: Place
    parent: bytes | None
    """Of the same trace; none for one that stands at its top."""
    name: str
    kind: Kind
    start_ns: int
    """Since the epoch."""
    end_ns: int
    common: Common
    """What all of its sort say."""
    held: Held
    own: Attributes
    error: str | None = None
    """Words on what went wrong, empty where they are not to be told; none where nothing did."""
    links: tuple[Place, ...] = ()
    about_item: bool = False
    """Whether it says, too, which item it is about."""

    @property
    def attributes(self) -> Attributes:
        """Return all of them."""
        held = dict((self.held.conversation, self.held.item) if self.about_item else (self.held.conversation,))
        return {**self.common.attributes, **held, **self.own}


@dataclass(slots=True)
class Happening:
    """An event, as OpenTelemetry's logs have it: something that happened at one moment."""

    place: Place
    """The span that it is about."""
    name: str
    time_ns: int
    common: Common
    held: Held
    own: Attributes
    grave: bool = False
    """Whether it tells of something that went wrong."""

    @property
    def attributes(self) -> Attributes:
        """Return all of them."""
        return {**self.common.attributes, **dict((self.held.conversation, self.held.item)), **self.own}


Record = Span | Happening


@dataclass(frozen=True, kw_only=True)
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
        if self.above is not None:
            return self.above.trace
        return blake2b(f"{self.run}/{conversation}".encode("utf-8", "replace"), digest_size=16).digest()

    def span_of(self, *names: object) -> bytes:
        """Return the span of something that the log has a name or number for; always the same."""
        found = self._digest.copy()
        for name in names:
            found.update(f"/{name}".encode("utf-8", "replace"))
        return found.digest()

    @cached_property
    def _digest(self) -> blake2b:
        return blake2b(self.run.encode("utf-8", "replace"), digest_size=8)
