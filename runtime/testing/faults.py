"""What can go wrong with a reply, and how it is chosen."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Literal, get_args

Misbehaviour = Literal[
    "status",
    "stall",
    "stall-after-headers",
    "reset",
    "drip",
    "malformed",
    "truncated",
    "truncated-json",
    "not-json",
    "wrong-type",
    "huge",
    "no-usage",
    "wrong-usage",
    "cut-off",
    "refused",
    "filtered",
    "no-choices",
    "storm",
]
FAULTS: tuple[Misbehaviour, ...] = get_args(Misbehaviour)
"""The name of every sort of fault."""
WITHOUT_BILL: frozenset[Misbehaviour] = frozenset(
    {"status", "stall", "stall-after-headers", "reset", "truncated", "truncated-json", "not-json", "huge", "storm"}
)
"""Errors, and replies that nobody gets whole: they bill nothing."""
WITHOUT_ANSWER: frozenset[Misbehaviour] = frozenset((*WITHOUT_BILL, "malformed", "refused", "filtered", "no-choices"))
"""After these the client has no words of the model's."""
WITHOUT_STATUS: frozenset[Misbehaviour] = frozenset({"stall", "reset"})
"""After these the client has not even a status."""
WRONG: Mapping[str, str] = {"message": "something went wrong"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request, and with a storm also with those that follow.

    `status` sends an error; `stall` never answers, `stall-after-headers` sends half a reply and nothing more; `reset`
    aborts the connection; `drip` sends a good reply in small pieces; `malformed` and `no-choices` are JSON with usage
    but without an answer; `truncated` closes before the announced length, `truncated-json` announces and sends half;
    `not-json` is a gateway's page; `wrong-type` a good reply labelled text/plain; `huge` has no end that is worth
    waiting for; `no-usage` and `wrong-usage` answer without a count, or with one that cannot be; `cut-off` ends for
    length, `refused` and `filtered` withhold the answer; `storm` refuses with 429 for a while.
    """

    sort: Misbehaviour = "status"
    status: int = 500
    """Of the sort `status`."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Sent with an error and with every refusal of a storm, such as retry-after."""
    error: Mapping[str, str] = field(default_factory=lambda: WRONG)
    """The words of an error, and of every refusal of a storm."""
    over_s: float = 1.0
    """Of the sort `drip`: from the first piece to the last."""
    requests: int = 10
    """Of the sort `storm`: how many are refused, the first included."""
    lasting_s: float | None = None
    """Of the sort `storm`: how long it refuses; it is not counted then."""


ERRORS = (
    Fault(status=500),
    Fault(status=503),
    Fault(status=429),
    Fault(status=429, headers={"retry-after": "1"}),
)
"""What the bare name `status` stands for where chance chooses."""


@dataclass(frozen=True, slots=True)
class Mishaps:
    """Faults by chance: iterating gives one a request without end, None where all is well."""

    share: float = 0.2
    """Of the requests that a fault hits, from 0 to 1."""
    sorts: tuple[Misbehaviour | Fault, ...] = FAULTS
    """What may happen, each as often as any other; a name stands for the fault with its usual settings."""
    seed: int = 0

    def __iter__(self) -> Iterator[Fault | None]:
        rng = Random(self.seed)  # noqa: S311 - chance, not secrets
        while True:
            yield self._drawn(rng) if rng.random() < self.share else None

    def _drawn(self, rng: Random) -> Fault:
        chosen = rng.choice(self.sorts)
        if isinstance(chosen, Fault):
            return chosen
        return rng.choice(ERRORS) if chosen == "status" else Fault(chosen)


class Storm:
    """A while in which every request is refused."""

    def __init__(self, fault: Fault, clock: Callable[[], float]) -> None:
        self.fault = fault
        self._clock = clock
        self._ends = None if fault.lasting_s is None else clock() + fault.lasting_s
        self._left = fault.requests

    def hits(self) -> bool:
        """Return whether one more request is refused, and count it."""
        if self._ends is not None:
            return self._clock() < self._ends
        self._left -= 1
        return self._left >= 0
