"""A run sent by OTLP: as it is, or by a process of its own while it is being played."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel, ConfigDict

from ..protocols.errors import LogError, UnknownName
from ..protocols.identity import ConversationId
from ..runtime.collecting import collector_at_rest
from ..runtime.log import LogReader
from ..runtime.secrecy import known
from ..runtime.telemetry.exporting import (
    COLLECT_EVERY,
    AsItIs,
    Until,
    WhileOpen,
    WhileWritten,
    export,
    opened,
)
from ..runtime.telemetry.mapping import LATEST, OPT_IN, GenAI, OpenInference, resource
from ..runtime.telemetry.otlp import SIGNALS, Address, Collector, Signal, above, address, resource_of
from ..runtime.telemetry.records import Place, Sender
from .declared import roles_of

if TYPE_CHECKING:
    from collections.abc import Iterable

LOG = "run.db"
"""As `directory` has it, which takes a while to load."""
URL = "FELLOWSHIP_OTLP"
"""The variable that has the address, as --endpoint."""
ENVIRONMENT = "env"
"""In place of an address: as OTEL_EXPORTER_OTLP_… says."""


class Lost(BaseModel):
    """Something that was not taken."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    what: Literal["spans", "events"]
    count: int
    reason: str

    @property
    def told(self) -> str:
        """Return it for people."""
        what = f"1 {self.what[:-1]} was" if self.count == 1 else f"{self.count:,} {self.what} were"
        return f"{what} not taken: {self.reason}"


class SentRun(BaseModel):
    """What became of a run that was sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal["otlp"] = "otlp"
    to: tuple[str, ...]
    """Addresses, without what is secret in them."""
    spans: int
    """Taken, as far as the receiver has said."""
    events: int
    calls: int
    """Model calls that they tell of."""
    unfinished: int
    """Conversations that had no outcome yet."""
    up_to: int
    """The last event that is told of."""
    lost: tuple[Lost, ...] = ()

    def lines(self) -> Iterator[str]:
        """Return what was taken, for people."""
        yield f"{self.spans:,} spans and {self.events:,} events of {self.calls:,} model calls: {', '.join(self.to)}"
        if self.unfinished:
            what = "conversation has" if self.unfinished == 1 else "conversations have"
            yield f"{self.unfinished:,} {what} no outcome yet: sent as far as said, as unfinished"

    def losses(self) -> Iterator[str]:
        """Return what was not, for people."""
        for lost in self.lost:
            yield lost.told


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where spans and events go, and what they say."""

    url: str | None
    content: bool
    openinference: bool
    to: Mapping[Signal, Address]
    above: Place | None
    state: str
    environ: Mapping[str, str]

    @classmethod
    def of(
        cls,
        url: str | None,
        *,
        content: bool = False,
        openinference: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> "Tracing":
        """Read where to send; raises DeclarationError where an address, or the environment, is wrong."""
        environ = os.environ if environ is None else environ
        base = None if url in (None, ENVIRONMENT) else url
        secrets = known()
        if base is not None and secrets is not None:
            secrets.add_address(base)
        found: dict[Signal, Address | None] = {
            signal: address(signal, environ, base) for signal in SIGNALS if signal == "traces" or not openinference
        }
        place, state = above(environ)
        to: dict[Signal, Address] = {signal: one for signal, one in found.items() if one is not None}
        return cls(base, content, openinference, to, place, state, environ)

    def names(self) -> GenAI:
        """Return what things are called."""
        latest = LATEST in self.environ.get(OPT_IN, "").replace(" ", "").split(",")
        return (OpenInference if self.openinference else GenAI)(content=self.content, latest=latest)

    def sender(self, log: LogReader) -> Sender:
        """Return the run that a log is of."""
        return Sender(
            run=log.run_id(),
            workflow=log.meta("name") or "unknown",
            roles=roles_of(log),
            servers=_servers(log),
            above=self.above,
            state=self.state,
        )


def send_run(
    path: Path,
    tracing: Tracing,
    *,
    items: Sequence[str] = (),
    follow: bool = False,
    owned: bool = False,
    after: int = 0,
) -> SentRun:
    """Send a run's log, and return what became of it.

    Args:
        path: The log.
        tracing: Where to, and what is said.
        items: Only these items; none: all.
        follow: Whether to go on until nothing is written to it any more.
        owned: Whether, instead, to go on until stdin is closed.
        after: Only conversations that go on after this event.

    Raises:
        UnknownName: the run has not begun such an item.
        LogError: the log cannot be read.
    """
    until: Until = AsItIs()
    if owned:
        until = WhileOpen(sys.stdin.buffer)
    elif follow:
        until = WhileWritten(path)
    to = tuple(one.shown for one in tracing.to.values())
    log = opened(path, after, until)
    if log is None:
        return SentRun(to=to, spans=0, events=0, calls=0, unfinished=0, up_to=after)
    with log, collector_at_rest(COLLECT_EVERY):
        sender, names = tracing.sender(log), tracing.names()
        release = version("llm-fellowship")
        said = resource_of(tracing.environ, resource(sender, release))
        scope = ("llm-fellowship", release)
        collectors: dict[Signal, Collector] = {
            signal: Collector(signal, one, said, scope, names.schema_url) for signal, one in tracing.to.items()
        }
        following = follow or owned
        conversations = _conversations(log, items) if items and not following else None
        wanted: Callable[[str], bool] | None = None
        if items and following:
            wanted = _among(frozenset(items))
        sent = export(log, sender, names, collectors, until, conversations=conversations, wanted=wanted, after=after)
    lost = tuple(Lost(what="spans" if what == "spans" else "events", count=n, reason=why) for what, n, why in sent.lost)
    return SentRun(
        to=to,
        spans=sent.spans,
        events=sent.events,
        calls=sent.calls,
        unfinished=sent.unfinished,
        up_to=sent.up_to,
        lost=lost,
    )


def newest_event(path: Path) -> int:
    """Return the sequence of the newest event of a log; 0 where there is none yet."""
    with suppress(LogError), LogReader(path) as log:
        return log.last()
    return 0


def _among(items: frozenset[str]) -> Callable[[str], bool]:
    return lambda conversation: conversation.rpartition("~")[0] in items


def _conversations(log: LogReader, items: Sequence[str]) -> tuple[ConversationId, ...]:
    """Return all conversations about some items, in the order of the log."""
    begun = [name for _, name, _ in log.landmarks(("item_opened",))]
    wanted = _among(frozenset(items))
    found = tuple(name for name in begun if wanted(name))
    missing = set(items) - {name.rpartition("~")[0] for name in found}
    for item in items:
        if item in missing:
            raise UnknownName("item of this run", item, {name.rpartition("~")[0] for name in begun})
    return found


def _servers(log: LogReader) -> dict[str, tuple[str, int]]:
    """Return hosts and ports of models, as far as the run was told them."""
    about: Mapping[str, Any] = orjson.loads(log.meta("about") or b"{}")
    found = {"*": about["base_url"]} if "base_url" in about else {}
    played: Mapping[str, Any] = orjson.loads(log.meta("played") or b"{}")
    records: Iterable[Mapping[str, Any]] = played["variants"].values() if "variants" in played else (played,)
    for record in records:
        for settings in record.get("models", {}).values():
            if settings.get("base_url"):
                found[settings["model"]] = settings["base_url"]
    return {name: server for name, url in found.items() if (server := _server(url)) is not None}


def _server(url: str) -> tuple[str, int] | None:
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.hostname is not None:
            return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    return None
