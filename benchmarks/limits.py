"""How much of an endpoint's limits is used, and how many requests meet a 429: minutes of simulated time, in seconds.

The endpoint enforces the limits and counts; the client is the project's own access with everything but a network. The
first minute, in which limits may still be found out, is not counted.

    python benchmarks/limits.py [MINUTES]
"""

import asyncio
import sys
from collections.abc import Iterator

from fellowship.protocols.models import ChatMessage, ModelCall, ModelSettings, Usage
from fellowship.runtime.models import Admission, Endpoint, ModelAccess, Route
from fellowship.runtime.testing import Enforced
from fellowship.runtime.testing.latency import lognormal
from fellowship.runtime.testing.simulated import LoopClock, SimulatedEndpoint, VirtualTimeLoop

SETTINGS = ModelSettings(model="simulated/m")
CALL = ModelCall(SETTINGS, (ChatMessage("user", "why is it so? " * 20),))
MINUTE_S = 60.0


def cases() -> Iterator[tuple[str, Enforced, int, dict[str, float]]]:
    """Return name, limits, tokens of a request, and what the client is told of the limits."""
    for style in ("window", "sliding", "bucket"):
        both = {"requests_per_minute": 600, "tokens_per_minute": 100_000}
        yield f"{style}, requests bind, announced", Enforced(**both, style=style), 120, {}
        yield f"{style}, tokens bind, announced", Enforced(**both, style=style), 400, {}
        told = Enforced(**both, style=style, announced=False)
        yield f"{style}, requests bind, configured", told, 120, {"requests_per_minute": 600, "tokens_per_minute": 1e5}
        yield f"{style}, tokens bind, configured", told, 400, {"requests_per_minute": 600, "tokens_per_minute": 1e5}
        for retry_after in (True, False):
            words = "retry-after" if retry_after else "no word"
            untold = Enforced(**both, style=style, announced=False, retry_after=retry_after)
            yield f"{style}, requests bind, not announced, {words}", untold, 120, {}
            yield f"{style}, tokens bind, not announced, {words}", untold, 400, {}


async def use(enforced: Enforced, tokens: int, told: dict[str, float], minutes: int) -> tuple[float, float]:
    """Return the share of the binding limit that was used, and the share of requests that met a 429."""
    clock = LoopClock()
    server = SimulatedEndpoint(
        enforced,
        clock.monotonic_s,
        latency=lognormal(0.3, 0.4),
        usage=lambda rng: Usage(input_tokens=round(tokens * 0.8), output_tokens=round(tokens * rng.uniform(0.1, 0.3))),
    )
    admission = Admission("simulated/m", 256, clock=clock, **told)
    access = ModelAccess(
        {SETTINGS: Route(Endpoint("simulated/m", "m", "http://simulated"), server, admission, None)},
        clock=clock,
        deadline_s=300,
    )

    async def work() -> None:
        while True:
            await access.complete(CALL)

    try:
        async with asyncio.timeout(MINUTE_S * minutes), asyncio.TaskGroup() as workers:
            for _ in range(256):
                workers.create_task(work())
    except TimeoutError:
        pass
    start, end = MINUTE_S, MINUTE_S * minutes
    limit = "requests" if tokens * enforced.requests_per_minute <= enforced.tokens_per_minute else "tokens"
    tally = server.enforcer.between(start, end)
    refused = tally.refused.total()
    return server.enforcer.share_used(limit, start, end), refused / (refused + tally.admitted)


def main(minutes: int) -> None:
    print(f"600 requests and 100,000 tokens a minute, {minutes} minutes of which the first is not counted")
    print(f"{'':52} used   429s")
    for name, enforced, tokens, told in cases():
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            used, refused = runner.run(use(enforced, tokens, told, minutes))
        print(f"{name:50} {100 * used:5.1f}%  {100 * refused:5.2f}%")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
