"""What travels between the driver of a run and its workers; all of it can be pickled, and no secret is in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...protocols.identity import RunId
from ...protocols.items import Item
from ...protocols.lifecycle import Failure
from ...protocols.ports import ModelClient
from ...runtime.cluster.relay import Text
from ...runtime.log.scribe import Row
from ...runtime.models.endpoints import Endpoint
from ...runtime.models.prices import PriceTable
from ...runtime.recording import Fit, Parcel
from ...runtime.session import Limits
from ..directory import Left
from ..live import Stall


@dataclass(frozen=True, slots=True, kw_only=True)
class Charter:
    """All that a worker has to know of a run before it is given items."""

    run: RunId
    directory: str
    """The run's, on the driver's machine: for errors."""
    record: dict[str, Any]
    """What decides what is said."""
    plugins: dict[str, dict[str, Any]]
    """Where its plugins come from."""
    files: dict[str, bytes]
    """The plugins that are files: source by name."""
    seed: int
    limits: Limits
    """Of the whole run: they are kept by the bank."""
    conversations: int
    """The most that this worker plays at once."""
    way: str
    """The transport."""
    stream: bool
    prices: PriceTable
    cache: bool
    """Whether the node's cache of answers is used."""
    cache_here: bool
    addresses: dict[str, str]
    """Variables of the environment that say where endpoints are, as the driver has them."""
    salt: bytes
    """Of the digests by which the bank knows endpoints."""
    fit: Fit
    recorded: bool
    """Whether all answers come from a cassette."""
    client: ModelClient | None
    least: int
    """The least level that the driver's logs listen to."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker has come to be."""

    node: str
    """The id of its node."""
    address: str
    """Of the node."""
    host: str
    pid: int
    version: str
    """Of this package."""
    now_s: float
    """Its clock, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a worker is told of the place it has come to be in."""

    name: str
    """The worker's."""
    address: str
    """Of its node: loopback endpoints are the node's own."""
    engines: Mapping[str, Endpoint] = field(default_factory=dict[str, Endpoint])
    """The node's engines of embedded models, by model."""


@dataclass(frozen=True, slots=True)
class Work:
    """An item that is to be played."""

    number: int
    """Place in the data set, from 0."""
    item: Item
    left: Left | None = None
    """What was left of it: by an earlier start, or by a worker that is no more."""
    past: bytes | None = None
    """An excerpt of the log: what was said in it."""
    recording: Parcel | None = None
    """Its part of the cassette."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the driver tells a worker. One that comes twice, since its answer was lost, is carried out once."""

    number: int
    taken: int = 0
    """The newest of the worker's events that is durable."""
    texts: int = 0
    """How many of the worker's texts are, of all that it has told."""
    works: tuple[Work, ...] = ()
    more: bool = True
    """Whether there may be more to play."""
    draining: bool = False
    """Whether no further item is to be begun."""
    stop: bool = False
    """Whether all that is being played is to be broken off."""
    leave: bool = False
    """Whether the worker is done with."""
    gather_s: float = 0.0
    """How long events gather before they are sent."""


Line = tuple[str, str, dict[str, object]]
"""A line of the logs: its level, the event, and its facts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker tells the driver."""

    rows: list[Row] = field(default_factory=list[Row])
    """Its events that are not known to be durable."""
    texts: list[Text] = field(default_factory=list[Text])
    """Its texts that are not known to be durable."""
    lines: list[Line] = field(default_factory=list[Line])
    room: int = 0
    """Items that it could play beside those it has."""
    playing: int = 0
    """Items that it has."""
    calls: int = 0
    """Model calls begun so far, and what they took; so are the next three."""
    tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    off_usd: float = 0.0
    """What was counted in full so far, because nobody says what it cost; so is the next."""
    off_tokens: int = 0
    stalls: tuple[Stall, ...] | None = None
    """The calls that have been on their way for longest; none where nobody has looked."""
    left_open: tuple[str, ...] = ()
    """Items that it was given so far and plays no more, though they have no outcome."""
    stopped_by: Failure | None = None
    """Why no further item can succeed."""
    failed: Failure | None = None
    """Why the worker cannot go on at all."""
