"""The loopback endpoint in a process of its own, for load tests: its CPU is not the client's.

    python -m fellowship.runtime.testing.serve '{"share": 0.2, "faults": ["reset"]}'

prints its address, then its totals as JSON for every line on stdin, and ends with stdin.
"""

import asyncio
import json
import sys
from dataclasses import fields

from pydantic import BaseModel, ConfigDict, Field

from .endpoint import LoopbackEndpoint
from .enforcement import Enforced
from .faults import FAULTS, Fault, Misbehaviour, Mishaps
from .gauges import Style

STORMS = (Fault("storm", lasting_s=0.05), Fault("storm", lasting_s=0.05, headers={"retry-after-ms": "50"}))


class Serving(BaseModel):
    """What is served."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    faults: tuple[Misbehaviour, ...] = FAULTS
    share: float = Field(default=0.0, ge=0, le=1)
    """Of the requests that a fault hits."""
    seed: int = 0
    latency_s: float = Field(default=0.0, ge=0)
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    minute_s: float = 60.0
    style: Style = "window"
    announced: bool = True
    cached_share: float = 0.0

    def _sorts(self) -> tuple[Misbehaviour | Fault, ...]:
        """Return the faults, storms short enough for many of them."""
        return tuple(fault for sort in self.faults for fault in (STORMS if sort == "storm" else (sort,)))

    def endpoint(self) -> LoopbackEndpoint:
        """Return the endpoint."""
        return LoopbackEndpoint(
            mishaps=Mishaps(self.share, self._sorts(), self.seed) if self.share else None,
            latency_s=self.latency_s,
            enforced=Enforced(
                requests_per_minute=self.requests_per_minute,
                tokens_per_minute=self.tokens_per_minute,
                concurrency=self.concurrency,
                minute_s=self.minute_s,
                style=self.style,
                announced=self.announced,
            ),
            cached_share=self.cached_share,
            keep_requests=False,
            seed=self.seed,
        )


async def serve(serving: Serving) -> None:
    """Serve until stdin ends."""
    async with serving.endpoint() as endpoint:
        print(endpoint.base_url, flush=True)  # noqa: T201 - the answer to whoever started this
        while await asyncio.to_thread(sys.stdin.readline):
            sums = {field.name: getattr(endpoint.totals, field.name) for field in fields(endpoint.totals)}
            counts = {name: value for name, value in sums.items() if isinstance(value, int)}
            print(json.dumps({**counts, "most_in_flight": endpoint.most_in_flight}), flush=True)  # noqa: T201 - as above
            endpoint.ledger.clear()


if __name__ == "__main__":
    asyncio.run(serve(Serving.model_validate_json(sys.argv[1] if len(sys.argv) > 1 else "{}")))
