"""How a run is carried out, and how it goes."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..protocols.errors import DeclarationError, ModelError
from ..protocols.lifecycle import Failure
from ..protocols.models import Completion, ModelCall, Usage
from ..protocols.ports import Clock, ModelClient
from ..runtime.log import Durability
from ..runtime.models.leases import AdmissionState
from ..runtime.recording import Cassette, Fit
from ..runtime.session import Access, Limits
from .cluster.cluster import Cluster
from .live import Stall, Workers


@dataclass(slots=True)
class Progress:
    """A run as it goes; one object all along, to be read at any moment."""

    items: int
    """Items the run covers."""
    earlier: int = 0
    """Items that an earlier start had ended."""
    done: int = 0
    failed: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])
    """Those of this start, by class of error."""
    in_flight: int = 0
    calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    """Calls whose cost nobody knows."""
    draining: bool = False
    """Set it to begin no further item, and to leave when those in flight have ended."""
    stopped_by: Failure | None = None
    """Why no further item can succeed."""
    begun: bool = False
    """Whether the run has been opened: its log is there."""
    budget: str | None = None
    admissions: Callable[[], tuple[AdmissionState, ...]] = tuple
    """Returns every endpoint's controller as it is now."""
    stalls: Callable[[], tuple[Stall, ...]] = tuple
    """Returns the calls that have been on their way for longest."""
    workers: Callable[[], Workers | None] = lambda: None
    """Returns who plays, where that is not this process alone."""

    def stop_for(self, cause: Failure) -> None:
        """Begin no further item; the first cause is the one that counts."""
        self.stopped_by = self.stopped_by or cause
        self.draining = True


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run is carried out."""

    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    """For everything that is left to chance."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    """Where keys and addresses are looked up."""
    client: ModelClient | None = None
    """Answers model calls in place of real endpoints."""
    clock: Clock | None = None
    access: Access = field(default_factory=Access)
    """By which way real endpoints are reached."""
    accept_changes: bool = False
    """Whether a run goes on though it is of something else than before; outcomes that this does not affect are kept."""
    cassette: Cassette | None = None
    """Recorded calls: their answers come in place of models', or before them, as `fit` says."""
    fit: Fit = "exact"
    """How the calls of the cassette have to fit those that are made. `exact` asks no model at all."""
    durability: Durability = "process"
    """What the log outlives: the end of the process, or also that of the machine."""
    cluster: Cluster | None = None
    """Where items are played; none for this process."""
    watch: Callable[[Progress], None] | None = None
    """Is handed the progress when the run begins."""
    about: Mapping[str, str] = field(default_factory=dict[str, str])
    """Noted in run.yaml: where the data came from, and the like."""

    def __post_init__(self) -> None:
        if self.cluster is not None and self.access.batch:
            raise DeclarationError("--batch and --engine ray exclude each other: a batch leaves from one place")

    @property
    def conversations(self) -> int:
        """How many conversations are played at once: some more than calls, where those are admitted one by one.

        While one is at its log, another can call: without these, a fifth of the calls in flight were missing at 256.
        """
        most = self.limits.concurrency
        return most if self.client is not None else most + most // 4

    @property
    def recorded(self) -> bool:
        """Whether all answers come from a cassette."""
        return self.cassette is not None and self.fit == "exact"


class Counting:
    """A ModelClient that counts, for the progress."""

    def __init__(self, client: ModelClient, progress: Progress) -> None:
        self._client = client
        self._progress = progress

    async def complete(self, call: ModelCall) -> Completion:
        """Answer a call."""
        progress = self._progress
        progress.calls += 1
        try:
            completion = await self._client.complete(call)
        except ModelError as error:
            self._count(error.usage or Usage(), error.cost_usd)
            raise
        self._count(completion.usage, completion.cost_usd)
        return completion

    def _count(self, usage: Usage, cost_usd: float | None) -> None:
        self._progress.tokens += usage.input_tokens + usage.output_tokens
        self._progress.cost_usd += cost_usd or 0.0
        self._progress.unpriced += not usage.reported or (cost_usd is None and usage.input_tokens > 0)
