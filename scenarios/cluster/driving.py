"""A run driven from here and played on a cluster: what workers are told, and how many there are."""

import pickle
import secrets
from collections.abc import Iterator, Mapping
from itertools import chain
from math import ceil
from pathlib import Path

from ...protocols.errors import DeclarationError
from ...protocols.models import EMBEDDED
from ...runtime.log import LogReader, SqliteLog
from ...runtime.models.budget import Reservation
from ...runtime.models.endpoints import PROVIDERS, Provider, split, variable_of
from ...runtime.recording import RecordedRun
from ...runtime.tracing import outermost
from ..live import Workers
from ..player import Tally
from ..plugins.loading import plugins
from ..plugins.playing import described
from ..settings import Progress, Settings
from ..stage import Todo
from ..steps import Playable
from . import rays
from .cluster import Cluster
from .crew import Crew
from .parcels import Charter
from .workload import Workload

CALLS_A_WORKER = 256
"""Calls in flight for which a further worker is worth its start, where nobody says how many there are to be: one does
some 1,500 calls a second, and more of them than are needed only make messages smaller (docs/cluster-at-scale.md)."""
RECORDED_AT_ONCE = 16
"""Items that a worker plays at once whose answers are all recorded: one goes on while another is on its way."""


async def drive(
    plan: Playable,
    todo: Iterator[Todo],
    log: SqliteLog,
    settings: Settings,
    progress: Progress,
    tally: Tally,
    own: RecordedRun | None,
) -> None:
    """Play all that is to be played on a cluster; see Crew.play for what it raises."""
    cluster, limits = settings.cluster, settings.limits
    assert cluster is not None  # noqa: S101 - else it is played here
    _prove_possible(settings)
    first = next(todo, None)
    if first is None:
        return
    todo = chain((first,), todo)
    progress.workers = lambda: Workers(there=(), wanted=0, lost=0)  # until the cluster is open
    with LogReader(log.path) as reader:
        (usd, tokens), off = reader.spent(), Reservation(*reader.written_off())
    async with rays.opened(
        cluster,
        plan.models,
        minute_s=limits.minute_s,
        patience_s=limits.retries.patience_s,
        budget=limits.budget,
        spent_usd=usd,
        spent_tokens=tokens,
    ) as yard:
        workers = _workers(cluster, settings, progress)
        charter = _charter(plan, log, settings, workers)
        workload = Workload(todo, log, progress, tally, own=own, cassette=settings.cassette)
        await Crew(yard, charter, log, workload, progress, tally, written_off=off).play(workers)


def _workers(cluster: Cluster, settings: Settings, progress: Progress) -> int:
    """Return how many workers there are to be."""
    left = max(1, progress.items - progress.done - progress.failed)
    if cluster.workers is not None:
        return min(cluster.workers, left)
    worth = max(rays.nodes(), ceil(settings.limits.concurrency / CALLS_A_WORKER))
    return max(1, min(left, worth, rays.processors()))


def _charter(plan: Playable, log: SqliteLog, settings: Settings, workers: int) -> Charter:
    limits, access = settings.limits, settings.access
    return Charter(
        run=log.run,
        directory=str(log.path.parent),
        record=plan.record(),
        plugins=described(plan),
        files={each.name: Path(each.origin).read_bytes() for each in plugins() if not each.packaged},
        seed=settings.seed,
        limits=limits,
        conversations=RECORDED_AT_ONCE if settings.recorded else ceil(settings.conversations / workers),
        way=access.way,
        stream=access.stream,
        prices=access.prices,
        cache=access.cache is not None,
        cache_here=access.cache_here,
        addresses=_addresses(plan, settings.environ),
        salt=secrets.token_bytes(16),
        fit=settings.fit,
        recorded=settings.recorded,
        client=settings.client,
        least=outermost().least,
    )


def _prove_possible(settings: Settings) -> None:
    if settings.access.transport is not None or settings.clock is not None:
        raise DeclarationError("a transport or a clock of one's own cannot be had by the workers of a cluster")
    try:
        pickle.dumps(settings.client)
    except Exception as error:
        raise DeclarationError(f"the client cannot be sent to the workers of a cluster: {error}") from error


def _addresses(plan: Playable, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that say where endpoints are: the same for all workers, as they are here."""
    providers = {split(settings.model)[0] for settings in plan.models} - {EMBEDDED}
    names = [f"{variable_of(provider)}_BASE_URL" for provider in providers]
    names += [address for provider in providers if (address := PROVIDERS.get(provider, Provider()).address)]
    return {name: environ[name] for name in names if name in environ}
