"""Everything a run needs, opened once and closed in reverse order."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..protocols.errors import DeclarationError, Problem
from ..protocols.models import ModelSettings
from ..protocols.ports import Clock, ModelClient
from .clock import SystemClock
from .log import SqliteLog, open_log
from .models import weights
from .models.access import ModelAccess, Retries
from .models.embedded import EmbeddedEngine
from .models.endpoints import EMBEDDED, Endpoint, resolve, split
from .models.lean import LeanTransport
from .system import ActorSystem


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard endpoints are worked, and how patiently."""

    concurrency: int = 64
    """The most calls in flight at an endpoint, and conversations in flight in all."""
    deadline_s: float = 300.0
    """The longest a single request may take."""
    retries: Retries = field(default_factory=Retries)


@dataclass(frozen=True, slots=True)
class Session:
    """An open run: its log, and the system in which conversations are played."""

    log: SqliteLog
    system: ActorSystem


def prove(models: Sequence[ModelSettings], environ: Mapping[str, str]) -> None:
    """Check that every model can be reached as far as can be known without reaching for it.

    Raises:
        DeclarationError: all keys, addresses and weights that are missing.
    """
    problems: list[Problem] = []
    for settings in models:
        provider, model = split(settings.model)
        try:
            if provider == EMBEDDED:
                weights.find(model)
            else:
                resolve(settings, environ)
        except DeclarationError as error:
            problems.extend(problem for problem in error.problems if problem not in problems)
    if problems:
        raise DeclarationError(problems)


@asynccontextmanager
async def open_session(
    log: Path,
    models: Sequence[ModelSettings],
    *,
    environ: Mapping[str, str],
    limits: Limits,
    seed: int,
    client: ModelClient | None = None,
    clock: Clock | None = None,
) -> AsyncGenerator[Session, None]:
    """Open a run: transport, embedded engines, log and actor system.

    Args:
        log: The log's file.
        models: What will be asked.
        environ: Where keys and addresses are looked up.
        limits: How hard endpoints are worked.
        seed: For everything that is left to chance.
        client: Answers calls in place of real endpoints.
        clock: In place of the machine's.

    Raises:
        DeclarationError: a model cannot be reached.
        LogError: the log cannot be opened.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        if client is None:
            client = await _access(stack, models, environ, limits, seed, clock)
        written = await stack.enter_async_context(open_log(log, clock=clock))
        yield Session(written, ActorSystem(written, models=client, clock=clock, seed=seed))


async def _access(
    stack: AsyncExitStack,
    models: Sequence[ModelSettings],
    environ: Mapping[str, str],
    limits: Limits,
    seed: int,
    clock: Clock,
) -> ModelAccess:
    transport = await stack.enter_async_context(LeanTransport())
    endpoints: dict[ModelSettings, Endpoint] = {}
    engines: dict[str, EmbeddedEngine] = {}
    for settings in models:
        provider, model = split(settings.model)
        if provider != EMBEDDED:
            endpoints[settings] = resolve(settings, environ)
            continue
        if model not in engines:
            engine = EmbeddedEngine(settings.model, weights.find(model))
            engines[model] = await stack.enter_async_context(engine)
        endpoints[settings] = engines[model].endpoint
    return ModelAccess(
        transport,
        endpoints,
        clock=clock,
        concurrency=limits.concurrency,
        deadline_s=limits.deadline_s,
        retries=limits.retries,
        seed=seed,
    )
