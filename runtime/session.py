"""Everything a run needs, opened once and closed in reverse order."""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..protocols.errors import DeclarationError, FellowshipError, Problem
from ..protocols.models import EMBEDDED, ModelSettings
from ..protocols.ports import Clock, ModelClient
from .clock import SystemClock
from .log import Durability, LogReader, SqliteLog, open_log
from .log.reader import WRITTEN_OFF
from .models import weights
from .models.access import ModelAccess, Route
from .models.admission import Admission, everybody
from .models.batch import BatchTransport
from .models.batch_journal import LogJournal, submitted
from .models.budget import LONGEST_ANSWER, Budget, Funds, Purse, Reservation
from .models.cache import AnswerCache, open_cache
from .models.embedded import EmbeddedEngine
from .models.endpoints import Endpoint, resolve, split
from .models.leases import Gates
from .models.pace import MINUTE_S
from .models.prices import Price, PriceTable
from .models.retries import Retries
from .models.transports import opened, transport_of
from .models.wire import Transport
from .secrecy import Secrets, secrets_of
from .system import ActorSystem
from .tracing import within

RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([km]?)(rpm|tpm)", re.IGNORECASE)
THOUSANDS = {"": 1, "k": 1_000, "m": 1_000_000}
BATCH_DEADLINE_S = 26 * 3600.0
"""A provider takes up to a day over a batch."""
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class Rate:
    """What an endpoint allows a minute, where the user knows."""

    requests: float | None = None
    tokens: float | None = None
    """Input and output."""


def read_rate(text: str) -> tuple[str, Rate]:
    """Read `[MODEL=]600rpm,100ktpm`; returns the model, or `*` for all, and what it allows.

    Raises:
        DeclarationError: it is of another form.
    """
    name, equals, amounts = text.rpartition("=")
    model = name.strip() if equals else "*"
    found: dict[str, float | None] = {"rpm": None, "tpm": None}
    for amount in amounts.split(","):
        part = RATE.fullmatch(amount.strip())
        if not model or part is None or float(part[1]) <= 0 or found[part[3].lower()] is not None:
            raise DeclarationError(f"{text!r} is no rate: write 600rpm, 100ktpm, or openai/gpt-4o=600rpm,2Mtpm")
        found[part[3].lower()] = float(part[1]) * THOUSANDS[part[2].lower()]
    return model, Rate(found["rpm"], found["tpm"])


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard endpoints are worked, how patiently, and for how much."""

    concurrency: int = 64
    """The most calls in flight at an endpoint, and about as many conversations at once."""
    deadline_s: float = 300.0
    """The longest a single request may take."""
    item_deadline_s: float | None = None
    """The longest an item may take; then it has failed."""
    run_deadline_s: float | None = None
    """How long a run begins items; then it ends those in flight and stops, resumable."""
    retries: Retries = field(default_factory=Retries)
    rates: Mapping[str, Rate] = field(default_factory=dict[str, Rate])
    """By `provider/model`, by provider, or `*` for all; what endpoints announce corrects them downwards."""
    minute_s: float = MINUTE_S
    """Length of the minute that rates are of: for load tests in scaled time."""
    budget: Budget | None = None

    def rate(self, model: str) -> Rate:
        """Return what is known of a model's rates."""
        for name in (model, split(model)[0], "*"):
            if name in self.rates:
                return self.rates[name]
        return Rate()


@dataclass(frozen=True, slots=True)
class Access:
    """By which way models are reached."""

    way: str = "lean"
    """Straight over aiohttp (lean), through the openai client (sdk), or a plugin's."""
    batch: bool = False
    """Whether calls go through the provider's Batch API."""
    stream: bool = False
    """Whether answers are received word by word, so that those on their way can be looked at; it costs CPU."""
    transport: Transport | None = None
    """In place of both; it is opened and closed by whoever made it, and streams if it was made to."""
    prices: PriceTable = field(default_factory=PriceTable.shipped)
    cache: Path | None = None
    """A file of answers that were paid for; none for none."""
    cache_here: bool = False
    """Whether answers of endpoints on this machine are kept, too."""
    admissions: Gates | None = None
    """Controllers shared with others; none shares them with all of the process."""
    engines: Mapping[str, Endpoint] = field(default_factory=dict[str, Endpoint])
    """Embedded models that somebody on this machine serves already."""

    def __post_init__(self) -> None:
        if self.batch and self.stream:
            raise DeclarationError("--batch and --stream exclude each other: a batch is answered as a whole")


@dataclass(frozen=True, slots=True)
class Session:
    """An open run: its log, and the system in which conversations are played."""

    log: SqliteLog
    system: ActorSystem
    access: ModelAccess | None
    """The way to real endpoints; none where a client answers in their place."""
    purse: Funds | None = None


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
    access: Access | None = None,
    durability: Durability = "process",
    secrets: Secrets | None = None,
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
        access: By which way models are reached.
        durability: What the log outlives.
        secrets: What is not written; the environment's where there are none. Keys of endpoints come to them.

    Raises:
        DeclarationError: a model cannot be reached, or has no price that a budget in money needs.
        LogError: the log cannot be opened.
    """
    clock = clock or SystemClock()
    secrets = secrets if secrets is not None else secrets_of(environ)
    reason: FellowshipError | None = None
    async with AsyncExitStack() as stack:
        opening = open_log(log, clock=clock, durability=durability, hide=secrets.hide_json)
        written = await stack.enter_async_context(opening)
        stack.enter_context(within(run=written.run))
        reached, purse = None, None
        try:
            if client is None:
                purse = _purse(limits.budget, written) if limits.budget else None
                ways = open_access(
                    models,
                    environ=environ,
                    limits=limits,
                    seed=seed,
                    clock=clock,
                    access=access or Access(),
                    secrets=secrets,
                    purse=purse,
                    log=written,
                )
                client = reached = await stack.enter_async_context(ways)
        except FellowshipError as error:  # on its way through the log's task group it would become a group
            reason = error
        else:
            yield Session(written, ActorSystem(written, models=client, clock=clock, seed=seed), reached, purse)
    if reason is not None:
        raise reason


@asynccontextmanager
async def open_access(
    models: Sequence[ModelSettings],
    *,
    environ: Mapping[str, str],
    limits: Limits,
    seed: int,
    clock: Clock,
    access: Access,
    secrets: Secrets,
    purse: Funds | None = None,
    log: SqliteLog | None = None,
) -> AsyncGenerator[ModelAccess, None]:
    """Open the way to models: transports, embedded engines, admission; see `open_session`.

    Args:
        models: What will be asked.
        environ: Where keys and addresses are looked up.
        limits: How hard endpoints are worked.
        seed: For the chance in waits.
        clock: For everything that takes time.
        access: By which way models are reached.
        secrets: Keys of endpoints come to them.
        purse: What may be spent.
        log: Where batches are noted, by which calls go only then.

    Raises:
        DeclarationError: a model cannot be reached, or has no price that a budget in money needs.
    """
    reason: FellowshipError | None = None
    async with AsyncExitStack() as stack:
        try:
            reached = await _Opening(stack, environ, limits, access, clock, log, secrets).access(models, purse, seed)
        except FellowshipError as error:  # on its way through a transport's task group it would become a group
            reason = error
        else:
            yield reached
    if reason is not None:
        raise reason


def _purse(budget: Budget, log: SqliteLog) -> Purse:
    """Return what is left of a budget, what earlier starts have spent taken off."""
    with LogReader(log.path) as reader:
        (usd, tokens), (off_usd, off_tokens) = reader.spent(), reader.written_off()

    def write_off(most: Reservation) -> None:
        nonlocal off_usd, off_tokens
        off_usd, off_tokens = off_usd + most.usd, off_tokens + most.tokens
        log.note(**{WRITTEN_OFF: f"{off_usd} {off_tokens}"})

    return Purse(budget, spent_usd=usd, spent_tokens=tokens, write_off=write_off)


class _Opening:
    """Opens what leads to models; what it opens is closed with the stack."""

    def __init__(
        self,
        stack: AsyncExitStack,
        environ: Mapping[str, str],
        limits: Limits,
        access: Access,
        clock: Clock,
        log: SqliteLog | None,
        secrets: Secrets,
    ) -> None:
        self._stack = stack
        self._environ = environ
        self._limits = limits
        self._access = access
        self._clock = clock
        self._log = log
        self._secrets = secrets
        self._engines: dict[str, EmbeddedEngine] = {}
        self._admissions = access.admissions or everybody()
        self._proxied = any(name.lower() in PROXIES and value for name, value in environ.items())

    async def access(self, models: Sequence[ModelSettings], purse: Funds | None, seed: int) -> ModelAccess:
        endpoints = {settings: await self._endpoint(settings) for settings in models}
        for endpoint in endpoints.values():
            self._secrets.add(endpoint.key or "")
        own = {endpoint: name for endpoint in endpoints.values() if (name := transport_of(endpoint)) is not None}
        remote = [each for each in dict.fromkeys(endpoints.values()) if each.weights is None and each not in own]
        transport = self._access.transport or await self._transport(self._access.way)
        others = {name: await self._transport(name) for name in dict.fromkeys(own.values())}
        batches = await self._batches(remote) if self._access.batch and remote else None
        routes: dict[Endpoint, Route] = {}
        for endpoint in endpoints.values():
            if endpoint in own:
                routes[endpoint] = routes.get(endpoint) or self._route(endpoint, others[own[endpoint]])
            elif endpoint not in routes and batches is not None and endpoint.weights is None:
                routes[endpoint] = self._batch_route(endpoint, batches)
            elif endpoint not in routes:
                routes[endpoint] = self._route(endpoint, transport)
        ways = {settings: routes[endpoint] for settings, endpoint in endpoints.items()}
        return ModelAccess(
            ways,
            clock=self._clock,
            deadline_s=BATCH_DEADLINE_S if batches is not None else self._limits.deadline_s,
            retries=self._limits.retries,
            purse=purse,
            cache=await self._cache(),
            cache_here=self._access.cache_here,
            stream=self._access.stream,
            seed=seed,
        )

    async def _transport(self, name: str) -> Transport:
        return await opened(name, self._stack, proxied=self._proxied, stream=self._access.stream)

    async def _cache(self) -> AnswerCache | None:
        path = self._access.cache
        return await self._stack.enter_async_context(open_cache(path)) if path is not None else None

    async def _endpoint(self, settings: ModelSettings) -> Endpoint:
        provider, model = split(settings.model)
        if settings.model in self._access.engines:
            return self._access.engines[settings.model]
        if provider == EMBEDDED:
            if model not in self._engines:
                engine = EmbeddedEngine(settings.model, weights.find(model))
                self._engines[model] = await self._stack.enter_async_context(engine)
            return self._engines[model].endpoint
        endpoint = resolve(settings, self._environ)
        if self._limits.budget is None:
            return endpoint
        price = self._access.prices.of(settings.model)
        longest = (price.max_output_tokens if price is not None else None) or LONGEST_ANSWER
        return replace(endpoint, longest_answer=min(longest, LONGEST_ANSWER))

    async def _batches(self, endpoints: Sequence[Endpoint]) -> Transport:
        assert self._log is not None  # noqa: S101 - batches leave from where the log is
        with LogReader(self._log.path) as reader:
            earlier = submitted(reader)
        batches = BatchTransport(
            LogJournal(self._log), clock=self._clock, earlier=earlier, endpoints=endpoints, proxied=self._proxied
        )
        return await self._stack.enter_async_context(batches)

    def _batch_route(self, endpoint: Endpoint, transport: Transport) -> Route:
        """Return a way on which calls only gather: nothing is limited by the minute."""
        most = self._limits.concurrency
        admission = Admission(endpoint.name, most, clock=self._clock, start=most)
        return Route(endpoint, transport, admission, self._price(endpoint), batch=True)

    def _price(self, endpoint: Endpoint) -> Price | None:
        limits, price = self._limits, self._access.prices.of(endpoint.name)
        if limits.budget is not None and limits.budget.usd is not None and price is None:
            raise DeclarationError(
                f"no price is known for {endpoint.name}, so no budget in money can be kept: "
                "name a price file (--prices), or a budget in tokens (--budget 2Mtok)"
            )
        return price

    def _route(self, endpoint: Endpoint, transport: Transport) -> Route:
        limits, price = self._limits, self._price(endpoint)
        rate = limits.rate(endpoint.name)
        most = min(limits.concurrency, endpoint.concurrency or limits.concurrency)
        admission = self._admissions.of(
            endpoint,
            lambda: Admission(
                endpoint.name,
                most,
                clock=self._clock,
                minute_s=limits.minute_s,
                patience_s=limits.retries.patience_s,
            ),
        )
        route = Route(endpoint, transport, admission, price)
        admission.join(route.lane, most, requests_per_minute=rate.requests, tokens_per_minute=rate.tokens)
        self._stack.callback(admission.leave, route.lane)
        return route
