"""Runs on Ray: the one file that knows it. Workers, the bank and embedded engines are its actors.

Ray ships no types, and is loaded when a run asks for it.
"""

import asyncio
import logging
import os
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any

import anyio.to_thread

from ...protocols.errors import BankLost, DeclarationError, FellowshipError, WorkerLost
from ...protocols.models import EMBEDDED, ModelSettings
from ...runtime.cluster.bank import Bank, BankState
from ...runtime.cluster.terms import Report, Told
from ...runtime.models import weights
from ...runtime.models.budget import Budget, Reservation
from ...runtime.models.embedded import EmbeddedEngine
from ...runtime.models.endpoints import Endpoint, split
from .cluster import HERE, Cluster
from .parcels import Answer, Charter, Order, Place, Welcome
from .wheels import told_apart
from .worker import Worker
from .yard import Hand, Unreachable, Yard

CALLS_AT_ONCE = 1_000
"""Calls of an actor that may be under way at once; a worker of a cluster has two with the bank."""
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
LOCAL_STORE_BYTES = 200 * 2**20
"""Shared memory of a Ray that is started for a run: what travels is small."""
REACH_S = 5.0
"""The longest that it may take to reach a cluster."""


def ray() -> Any:  # noqa: ANN401 - it has no types
    """Return Ray; raises DeclarationError where it is not installed."""
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^")  # else it prints who died, on stdout, where our JSON goes
    try:
        return import_module("ray")
    except ImportError as error:
        raise DeclarationError("--engine ray needs the extra `ray`: pip install 'llm-fellowship[ray]'") from error


class BankActor(Bank):
    """The bank as an actor: it lives as long as its process."""

    async def open(self) -> None:
        """Begin; in the loop that the actor has."""
        await self.__aenter__()


class EngineActor:
    """An embedded model that one process serves to all workers of its node."""

    def __init__(self) -> None:
        self._engines: dict[str, EmbeddedEngine] = {}
        self._opening = asyncio.Lock()

    async def serve(self, model: str) -> Endpoint:
        """Return where a model is served, once it is."""
        async with self._opening:  # workers of a node come at once
            if model not in self._engines:
                engine = EmbeddedEngine(model, weights.find(split(model)[1]))
                self._engines[model] = await engine.__aenter__()
        return self._engines[model].endpoint


class WorkerActor(Worker):
    """A worker as an actor, which knows its node."""

    def place(self) -> Place:
        """Return where it is."""
        found, context = super().place(), ray().get_runtime_context()
        return replace(found, node=context.get_node_id(), address=ray().util.get_node_ip_address())


class RayBank:
    """The bank, as workers reach it. Who cannot, is taken for lost: what it was given is given to others."""

    def __init__(self, actor: Any) -> None:  # noqa: ANN401 - a handle of Ray's
        self._actor = actor

    async def report(self, worker: str, report: Report) -> Told:
        """Tell what has happened, and ask for more."""
        told: Told = await self._heard(self._actor.report.remote(worker, report))
        return told

    async def listen(self, worker: str) -> Told:
        """Wait for what the bank has to tell."""
        told: Told = await self._heard(self._actor.listen.remote(worker))
        return told

    async def _heard(self, reference: Awaitable[Any]) -> Any:  # noqa: ANN401 - whatever the bank returns
        try:
            return await _told(reference)
        except Unreachable as error:
            raise WorkerLost(f"what leases limits cannot be reached: {error}") from error


class RayHand:
    """A worker, as the driver reaches it."""

    def __init__(self, actor: Any, bank: RayBank) -> None:  # noqa: ANN401 - a handle of Ray's
        self._actor = actor
        self._bank = bank

    async def place(self) -> Place:
        """Return where it is."""
        place: Place = await _told(self._actor.place.remote())
        return place

    def run(self, charter: Charter, welcome: Welcome) -> Awaitable[None]:
        """Let it begin."""
        return _told(self._actor.run.remote(charter, welcome, self._bank))

    async def exchange(self, order: Order) -> Answer:
        """Tell it what to do, and return what has happened."""
        answer: Answer = await _told(self._actor.exchange.remote(order))
        return answer

    async def dismiss(self) -> None:
        """End its process."""
        ray().kill(self._actor)


async def _told(reference: Awaitable[Any]) -> Any:  # noqa: ANN401 - whatever the actor returns
    """Return what an actor answers, its death translated."""
    exceptions: Any = import_module("ray.exceptions")
    try:
        return await reference
    except exceptions.ActorUnavailableError as error:
        raise Unreachable(_words(error)) from error
    except exceptions.RuntimeEnvSetupError as error:
        raise DeclarationError(f"what --ship names cannot be installed on a node: {_words(error)}") from error
    except exceptions.RayActorError as error:
        raise WorkerLost(_words(error)) from error
    except exceptions.RayTaskError as error:
        if isinstance(error.cause, Exception):
            raise error.cause from error
        raise
    except exceptions.RayError as error:  # an answer was lost, not its actor, as far as one knows
        raise Unreachable(_words(error)) from error


def _unhired(error: WorkerLost | Unreachable) -> FellowshipError:
    """Return why there is no worker."""
    told = str(error.__cause__)
    if "ModuleNotFoundError" in told or "No module named" in told:
        return DeclarationError(f"a node has no llm-fellowship: install it there, or ship it by --ship WHEEL ({error})")
    return WorkerLost(str(error))


def _words(error: Exception) -> str:
    """Return the first sentence of what Ray says."""
    lines = [line.strip() for line in COLOURS.sub("", str(error)).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


class RayYard(Yard):
    """Workers, engines and the bank, as actors of a cluster."""

    def __init__(self, bank: Any, models: tuple[ModelSettings, ...]) -> None:  # noqa: ANN401 - a handle of Ray's
        self._bank = bank
        self._models = tuple(
            dict.fromkeys(settings.model for settings in models if split(settings.model)[0] == EMBEDDED)
        )
        self._engines: dict[str, Any] = {}
        """Actors, by node."""

    async def hire(self, name: str) -> Hand:
        """Return a new worker."""
        del name  # Ray has names of its own
        remote = (
            ray()
            .remote(WorkerActor)
            .options(
                num_cpus=1,
                max_concurrency=CALLS_AT_ONCE,
                max_restarts=0,
                scheduling_strategy="SPREAD",
            )
        )
        actor = remote.remote()
        try:
            await _told(actor.__ray_ready__.remote())
        except BaseException as error:
            ray().kill(actor)  # it may live, and nobody else has it
            if isinstance(error, (WorkerLost, Unreachable)):
                raise _unhired(error) from error
            raise
        return RayHand(actor, RayBank(self._bank))

    async def engines(self, place: Place) -> Mapping[str, Endpoint]:
        """Return the engines of a node, one process for all of its workers."""
        if not self._models:
            return {}
        if place.node not in self._engines:
            actor = ray().remote(EngineActor).options(num_cpus=0, scheduling_strategy=_on(place.node))
            self._engines[place.node] = actor.remote()
        engine = self._engines[place.node]
        try:
            return {model: await _told(engine.serve.remote(model)) for model in self._models}
        except WorkerLost:
            if self._engines.get(place.node) is engine:
                del self._engines[place.node]  # the next worker there gets another
            raise

    def leave(self) -> None:
        """End the engines."""
        for engine in self._engines.values():
            ray().kill(engine)

    async def bank(self) -> BankState:
        """Return how the bank stands."""
        state: BankState = await self._asked(self._bank.state.remote())
        return state

    async def bury(self, name: str) -> Reservation:
        """Tell the bank that a worker is no more."""
        most: Reservation = await self._asked(self._bank.bury.remote(name))
        return most

    async def _asked(self, reference: Awaitable[Any]) -> Any:  # noqa: ANN401 - whatever the bank returns
        try:
            return await _told(reference)
        except (WorkerLost, Unreachable) as error:
            raise BankLost(
                f"what leases limits to all workers is no more ({error}): start the same command again"
            ) from error


def _on(node: str) -> Any:  # noqa: ANN401 - a strategy of Ray's
    strategies: Any = import_module("ray.util.scheduling_strategies")
    return strategies.NodeAffinitySchedulingStrategy(node, soft=False)


@asynccontextmanager
async def opened(
    cluster: Cluster,
    models: tuple[ModelSettings, ...],
    *,
    minute_s: float,
    patience_s: float,
    budget: Budget | None,
    spent_usd: float,
    spent_tokens: int,
) -> AsyncGenerator[RayYard, None]:
    """Open a cluster for a run, and leave it as it was.

    Raises:
        DeclarationError: Ray is not installed, or there is no cluster at the address.
    """
    found = ray()
    ours = not found.is_initialized()
    if ours:
        await anyio.to_thread.run_sync(_connect, cluster)
    elif cluster.wheel is not None:
        raise DeclarationError(
            "a wheel is shipped as Ray is opened, and this process has opened one: ship it by ray.init"
        )
    try:
        here = found.get_runtime_context().get_node_id()
        # The bank stands where the driver is: what ends the one ends the other.
        bank = (
            found.remote(BankActor)
            .options(num_cpus=0, max_concurrency=CALLS_AT_ONCE, scheduling_strategy=_on(here))
            .remote(
                minute_s=minute_s,
                patience_s=patience_s,
                budget=budget,
                spent_usd=spent_usd,
                spent_tokens=spent_tokens,
            )
        )
        await _told(bank.open.remote())
        yard = RayYard(bank, models)
        try:
            yield yard
        finally:
            found.kill(bank)
            yard.leave()
    finally:
        if ours:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(found.shutdown)


def _connect(cluster: Cluster) -> None:
    """Connect to a cluster, or start one here."""
    if cluster.address.startswith("ray://"):
        raise DeclarationError(
            f"{cluster.address} is the address of Ray Client: run the command on a node of the cluster with "
            "--address auto, or there by `ray job submit`"
        )
    _prove_there(cluster.address)
    logging.getLogger("ray").setLevel(logging.ERROR)  # else it tells of signals, and in colours of who died: so do we
    options: dict[str, Any] = {"configure_logging": False, "log_to_driver": False, "namespace": "fellowship"}
    if cluster.address == HERE:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
        os.environ.setdefault("RAY_worker_niceness", "0")  # else workers stand back for everything else on the machine
        options |= {"include_dashboard": False, "object_store_memory": LOCAL_STORE_BYTES}
        options["num_cpus"] = max(os.cpu_count() or 1, cluster.workers or 1)
    try:
        with ExitStack() as sent:
            if cluster.wheel is not None:  # a job's is uploaded, not an actor's; no key is in it: Ray shows it
                options["runtime_env"] = {"py_modules": [str(sent.enter_context(told_apart(cluster.wheel)))]}
            ray().init(address=cluster.address, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        token = "" if os.environ.get("RAY_AUTH_MODE") else " (one that asks for a token wants RAY_AUTH_MODE=token)"
        raise DeclarationError(f"no Ray answers at {cluster.address!r}: {_words(error)}{token}") from error


def _prove_there(address: str) -> None:
    """Look whether anything listens at HOST:PORT: Ray itself tries for a quarter of an hour, and hears no signal."""
    host, colon, port = address.rpartition(":")
    try:
        if colon:
            socket.create_connection((host, int(port)), REACH_S).close()
    except (OSError, ValueError) as error:
        raise DeclarationError(f"no Ray answers at {address!r}: {error}") from error


def processors() -> int:
    """Return how many processors the cluster has."""
    return int(ray().cluster_resources().get("CPU", 1))


def nodes() -> int:
    """Return how many nodes the cluster has."""
    return sum(bool(node["Alive"]) for node in ray().nodes())
