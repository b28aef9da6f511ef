"""The ModelClient that agents are given: admission, deadline, retries, one call at a time or thousands."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...protocols.errors import CallTimedOut, ModelError, Overloaded, RateLimited
from ...protocols.models import Attempt, Completion, ModelCall, ModelSettings
from ...protocols.ports import Clock
from .admission import Admission
from .endpoints import Endpoint
from .wire import Transport

LONGEST_WORD = 200
"""Characters of an error that are kept with its attempt."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a call is tried again after an error that another try can help."""

    times: int = 5
    """Tries after the first."""
    first_s: float = 0.5
    """Wait before the second try; it doubles with each, and half of it is chance."""
    longest_s: float = 30.0
    """Bound on that wait; what an endpoint asks for is waited out in full."""
    patience_s: float = 600.0
    """The longest wait that an endpoint may ask for; the call fails at once where it asks for more."""

    def wait_s(self, error: ModelError, tries: int, rng: random.Random) -> float:
        """Return how long to wait after `tries` tries, the last of which ended in this error."""
        asked_for = error.retry_after_s if isinstance(error, (RateLimited, Overloaded)) else None
        backoff = min(self.longest_s, self.first_s * 2.0 ** (tries - 1)) * (0.5 + rng.random() / 2)
        return max(asked_for or 0.0, backoff)


class ModelAccess:
    """Answers calls through one transport; every endpoint has its own admission."""

    def __init__(
        self,
        transport: Transport,
        endpoints: Mapping[ModelSettings, Endpoint],
        *,
        clock: Clock,
        concurrency: int,
        deadline_s: float,
        retries: Retries | None = None,
        seed: int = 0,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._deadline_s = deadline_s
        self._retries = retries or Retries()
        self._rng = random.Random(f"{seed}/retries")  # noqa: S311 - not a secret
        caps = {endpoint: min(concurrency, endpoint.concurrency or concurrency) for endpoint in endpoints.values()}
        admissions = {endpoint: Admission(cap) for endpoint, cap in caps.items()}
        self._routes = {_address(settings): (end, admissions[end]) for settings, end in endpoints.items()}

    async def complete(self, call: ModelCall) -> Completion:
        """Answer a call.

        Raises:
            ModelError: no try brought an answer; `attempts` on it says what each one met.
        """
        route = self._routes.get(_address(call.settings))
        if route is None:
            raise ModelError(f"{call.settings.model} is not among the models that this run was opened with")
        endpoint, admission = route
        attempts: list[Attempt] = []
        while True:
            async with admission.lease():
                begun_s = self._clock.monotonic_s()
                try:
                    completion = await self._once(endpoint, call)
                except ModelError as error:
                    latency_s = self._clock.monotonic_s() - begun_s
                    attempts.append(Attempt(latency_s=latency_s, error=_in_short(error)))
                    if not error.retryable or len(attempts) > self._retries.times:
                        error.attempts = tuple(attempts)
                        raise
                    wait_s = self._retries.wait_s(error, len(attempts), self._rng)
                    if wait_s > self._retries.patience_s:
                        error.attempts = tuple(attempts)
                        raise
                else:
                    attempts.append(Attempt(latency_s=self._clock.monotonic_s() - begun_s))
                    return replace(completion, attempts=tuple(attempts))
            await self._clock.sleep(wait_s)

    async def _once(self, endpoint: Endpoint, call: ModelCall) -> Completion:
        try:
            async with asyncio.timeout(self._deadline_s):
                return (await self._transport.send(endpoint, call, endpoint.tier)).completion
        except TimeoutError as error:
            raise CallTimedOut(f"{endpoint.name} gave no answer within {self._deadline_s:g} s") from error


def _address(settings: ModelSettings) -> tuple[str | bool | None, ...]:
    """Return what leads to an endpoint; settings that differ in anything else share it."""
    return settings.model, settings.base_url, settings.key_env, settings.tier


def _in_short(error: ModelError) -> str:
    return f"{type(error).__name__}: {error}"[:LONGEST_WORD]
