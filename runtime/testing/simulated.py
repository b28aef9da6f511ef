"""Hours in seconds: an event loop whose time passes only when nothing can run, and an endpoint that lives in it."""

import asyncio
import selectors
from collections.abc import Callable
from random import Random

import orjson

from ...protocols.models import Attempt, Completion, ModelCall, Tier, Usage
from ..models.endpoints import Endpoint
from ..models.wire import Hear, Reply, refusal
from .enforcement import Enforced, Enforcer
from .latency import Latency, constant


class _Jumping(selectors.SelectSelector):
    """A selector that never waits: it moves the loop's time on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout is None:
            return ready or super().select(None)
        self.passed_s += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop for what waits on timers alone: no wait takes any time, and all of them end in order.

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
    """

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the seconds that have passed in this loop."""
        return self._jumping.passed_s


class LoopClock:
    """A Clock that tells the time of the running loop."""

    def now_s(self) -> float:
        """Return seconds since the epoch, as if the loop had begun with 2024."""
        return 1_704_067_200.0 + self.monotonic_s()

    def monotonic_s(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class SimulatedEndpoint:
    """A Transport to nowhere: limits are enforced, answers take their time, and nothing crosses a network."""

    def __init__(
        self,
        enforced: Enforced,
        clock: Callable[[], float],
        *,
        latency: Latency | None = None,
        usage: Callable[[Random], Usage] = lambda _: Usage(input_tokens=100, output_tokens=20),
        seed: int = 0,
    ) -> None:
        """Make an endpoint.

        Args:
            enforced: Its limits.
            clock: Seconds that never go back.
            latency: Draws the seconds before a reply.
            usage: Draws what an answer costs.
            seed: Of the two.
        """
        self.enforcer = Enforcer(enforced, clock)
        self._latency = latency or constant(0.2)
        self._usage = usage
        self._rng = Random(seed)  # noqa: S311 - chance, not secrets

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier, hear: Hear | None = None) -> Reply:
        """Answer once, as a whole; raises RateLimited, and what else the limits say."""
        del hear
        usage = self._usage(self._rng)
        refused = self.enforcer.enter(usage.input_tokens + usage.output_tokens, endpoint.model)
        if refused is not None:
            await asyncio.sleep(0.01)
            raise refusal(429, orjson.dumps({"error": refused.error}), refused.headers, endpoint)
        headers = self.enforcer.headers()
        try:
            await asyncio.sleep(self._latency(self._rng))
        finally:
            self.enforcer.leave()
        text = call.messages[-1].content
        completion = Completion(text, "stop", endpoint.model, usage, (Attempt(latency_s=0.0),), tier=tier)
        return Reply(completion, headers)
