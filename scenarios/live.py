"""How a run stands at this moment: noted in its log every few seconds, for `status` from another shell."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from ..runtime.secrecy import hide_cut

if TYPE_CHECKING:
    from ..runtime.models.access import ModelAccess
    from ..runtime.session import Session
    from ..runtime.system import ActorSystem
    from .settings import Progress

LONGEST_SHOWN = 5
"""Calls named in a stall report."""


class Stall(BaseModel):
    """A call that has been on its way for long."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    agent: str
    conversation: str
    model: str
    seconds: float
    call: str = ""
    """Its name, as in the logs."""
    stage: str
    """waiting for its turn, sent, or putting off another try."""
    attempts: int
    words: str = ""
    """The last words so far, where answers stream."""
    quiet_s: float | None = None
    """Since these came; none where nothing has."""


class EndpointState(BaseModel):
    """An endpoint's controller at one moment."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    endpoint: str
    in_flight: int
    waiting: int
    most_in_flight: int
    """Calls that may be in flight now."""
    requests_per_minute: float | None
    requests_origin: str
    """configured, announced by the endpoint, learned by meeting it, or none."""
    tokens_per_minute: float | None
    tokens_origin: str
    held_s: float
    """Until anybody is sent again."""
    refused: int
    """429s so far."""
    broken: bool
    """Whether it fails everybody."""
    why: str
    """Its last words on it."""


class Worker(BaseModel):
    """A process of a cluster that plays items of the run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Its place, and how many have had that place before it and it: `2.1` is the second place's first."""
    host: str
    items: int
    """Being played by it."""


class Workers(BaseModel):
    """Who plays a run on a cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    there: tuple[Worker, ...]
    wanted: int
    lost: int
    """Workers that died, or could not be reached any more."""


class Live(BaseModel):
    """A run that is going on."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    time_s: float
    """When this was noted, in seconds since the epoch."""
    in_flight: int
    """Items being played."""
    calls: int
    """Model calls begun by this process."""
    tokens: int
    cost_usd: float | None
    """None where no price is known."""
    budget: str | None
    draining: bool
    endpoints: tuple[EndpointState, ...]
    stalls: tuple[Stall, ...]
    """The calls that have been on their way for longest: for whom, since when."""
    workers: Workers | None = None
    """None where the run is played by one process."""


def live(session: "Session", progress: "Progress") -> Live:
    """Return how a run stands."""
    return Live(
        time_s=session.system.clock.now_s(),
        in_flight=progress.in_flight,
        calls=progress.calls,
        tokens=progress.tokens,
        cost_usd=None if progress.unpriced else progress.cost_usd,
        budget=progress.budget,
        draining=progress.draining,
        endpoints=tuple(EndpointState.model_validate(state, from_attributes=True) for state in progress.admissions()),
        stalls=progress.stalls(),
        workers=progress.workers(),
    )


def stalls(system: "ActorSystem", access: "ModelAccess | None") -> tuple[Stall, ...]:
    """Return the calls that have been on their way for longest."""
    now_s = system.clock.monotonic_s()
    found: list[Stall] = []
    for pending in access.pending()[:LONGEST_SHOWN] if access else ():
        address, call, name = system.asking.get(id(pending.call), (None, pending.call, ""))
        found.append(
            Stall(
                agent=address.agent if address else "",
                conversation=address.conversation if address else "",
                model=call.settings.model,
                call=name,
                seconds=now_s - pending.since_s,
                stage=pending.stage,
                attempts=pending.attempts,
                words=hide_cut(pending.words),
                quiet_s=None if pending.last_word_s is None else now_s - pending.last_word_s,
            )
        )
    return tuple(found)
