"""What a worker has in place of controllers and a purse of its own: shares in those of the bank."""

from asyncio import get_running_loop
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import exp, inf

import orjson

from ...protocols.errors import ModelError
from ..models.budget import Budget, Reservation
from ..models.endpoints import Endpoint
from ..models.leases import AdmissionState, Gate, Lane, Lease
from .teller import BankLine, Teller
from .terms import VALID_S, Condition, Desk, Foreseen, Money, Settled, Spares, Want

__all__ = ["BankLine", "LeasedAdmission", "LeasedAdmissions", "LeasedPurse", "Teller"]

BUSY_S = 1.0
"""Time over which one looks back to foresee how many requests will come, of a minute of 60 s."""
MARGIN = 1.5
"""Times as many as came of late are foreseen."""
LOW = 0.3
"""Part of the leases in hand at which more are asked for."""
POCKET = 8
"""Times the largest need that a worker keeps, while there is plenty of money."""


@dataclass(slots=True)
class _Spare:
    lease: int
    tokens: float
    until_s: float


class LeasedAdmission:
    """A share in the controller of one endpoint; a Gate."""

    def __init__(self, teller: Teller, identity: str, name: str) -> None:
        """Make a share.

        Args:
            teller: Speaks with the bank.
            identity: The endpoint's, as the bank knows it.
            name: The endpoint's, for reports.
        """
        self._teller = teller
        self._identity = identity
        self._state = AdmissionState(name, 0, 0, 0, None, "none", None, "none", 0.0, 0, broken=False, why="")
        self._heard = 0
        self._heard_s = -inf
        self._roomy = False
        self._fatal: ModelError | None = None
        self._spares: deque[_Spare] = deque()
        self._low = 0.0
        self._in_flight = self._waiting = 0
        self._busy, self._busy_s = 0.0, 0.0
        self._begun = False
        """Whether there were requests since one last looked ahead."""
        self._tokens = 0.0
        teller.serve(identity, self)

    @property
    def counts_tokens(self) -> bool:
        """Whether there is a limit of tokens, as far as is known."""
        return self._state.tokens_per_minute is not None

    @property
    def broken(self) -> bool:
        """Whether the endpoint is taken to fail everybody."""
        return self._state.broken

    @property
    def given_up(self) -> bool:
        """Whether no request can succeed any more."""
        return self._fatal is not None

    def state(self) -> AdmissionState:
        """Return what was heard last of the endpoint, with what this worker has in flight and waiting."""
        held_s = max(0.0, self._state.held_s - (_now_s() - self._heard_s))
        return replace(self._state, in_flight=self._in_flight, waiting=self._waiting, held_s=held_s)

    def join(
        self, lane: Lane, most: int, *, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        """Take a run on; to the bank, the whole worker is one."""
        del lane
        if self._heard == 0:
            self._state = replace(
                self._state,
                most_in_flight=most,
                requests_per_minute=requests_per_minute,
                requests_origin="none" if requests_per_minute is None else "configured",
                tokens_per_minute=tokens_per_minute,
                tokens_origin="none" if tokens_per_minute is None else "configured",
            )
        desk = Desk(self._identity, self._state.endpoint, most, requests_per_minute, tokens_per_minute)
        self._teller.come_to(desk)

    def leave(self, lane: Lane) -> None:
        """Let a run go."""

    async def lease(self, lane: Lane, tokens: float, *, again: bool = False) -> Lease:
        """Wait until a request may be sent, if it has to.

        Raises:
            ModelError: no request can succeed any more: the endpoint's last word.
        """
        del lane
        if self._fatal is not None:
            raise type(self._fatal)(str(self._fatal))
        now_s = _now_s()
        self._busy, self._busy_s = self._of_late(now_s) + 1.0, now_s
        self._begun = True
        self._tokens = max(tokens, 0.99 * self._tokens)
        number = self._spare(tokens, now_s)
        if number is None:
            self._waiting += 1
            try:
                number = await self._teller.lease(Want(self._teller.number(), self._identity, tokens, again))
            finally:
                self._waiting -= 1
        self._in_flight += 1
        return Lease(self, tokens, number, 0, self._in_flight)

    # what becomes of leases

    def answered(self, lease: Lease, used: float, headers: Mapping[str, str]) -> None:
        """Tell of an answer; nobody waits for that where there is room."""
        self._in_flight -= 1
        self._teller.answer(self._identity, lease.number, used, headers)
        if self._roomy:
            self._teller.later()
        else:
            self._teller.soon()

    def failed(self, lease: Lease, error: ModelError) -> None:
        """Tell of an error."""
        self._in_flight -= 1
        self._teller.fail(lease.number, error)

    def broken_off(self, lease: Lease) -> None:
        """Tell that a request was broken off."""
        self._in_flight -= 1
        self._teller.end(lease.number, "broken off")

    def unused(self, lease: Lease) -> None:
        """Tell that no request was sent."""
        self._in_flight -= 1
        self._teller.end(lease.number, "unused")

    # leases that nobody has asked for

    def _spare(self, tokens: float, now_s: float) -> int | None:
        """Take the oldest lease in hand that may be used for so many tokens."""
        while self._spares and self._spares[0].until_s <= now_s:
            self._teller.end(self._spares.popleft().lease, "unused")
        if self._waiting or not self._spares or self._spares[0].tokens < tokens:
            return None
        spare = self._spares.popleft()
        if len(self._spares) < self._low:
            self._teller.soon()
        return spare.lease

    def _of_late(self, now_s: float) -> float:
        """Return how many requests there were of late, the older the less."""
        return self._busy * exp((self._busy_s - now_s) / (BUSY_S * self._teller.scale))

    def foresee(self) -> Foreseen | None:
        """Give back what was not used in time; return what is likely to be needed next."""
        now_s = _now_s()
        while self._spares and self._spares[0].until_s <= now_s:
            self._teller.end(self._spares.popleft().lease, "unused")
        likely = int(MARGIN * self._of_late(now_s) * VALID_S / BUSY_S) if self._begun else 0
        self._begun = False
        if not self._roomy or likely <= len(self._spares):
            return None
        return Foreseen(self._identity, likely - len(self._spares), self._tokens if self.counts_tokens else 0.0)

    def lend(self, number: int, spares: Spares, since_s: float) -> None:
        """Take leases that nobody has asked for, unless it was heard since that there is no room for that."""
        until_s = since_s + VALID_S * self._teller.scale
        for lease in spares.leases:
            if not self._roomy or self._heard > number or until_s <= _now_s():
                self._teller.end(lease, "unused")
                continue
            self._spares.append(_Spare(lease, spares.tokens, until_s))
        for want in self._teller.unsent(self._identity):
            if self._spares and self._spares[0].tokens >= want.tokens:
                self._teller.grant(want.number, self._spares.popleft().lease)
        self._low = LOW * len(self._spares)

    def until_s(self) -> float:
        """Return when a lease in hand may not be used any more, on the loop's time."""
        return self._spares[0].until_s if self._spares else inf

    def hear(self, number: int, condition: Condition) -> None:
        """Take in how the endpoint is; where nothing may be left unused, all that was not used is given back."""
        if number < self._heard:
            return
        self._heard, self._heard_s = number, _now_s()
        self._state, self._roomy, self._fatal = condition.state, condition.roomy, condition.fatal
        if not self._roomy:
            while self._spares:
                self._teller.end(self._spares.popleft().lease, "unused")


class LeasedAdmissions:
    """The shares of a worker: one an endpoint identity; Gates."""

    def __init__(self, teller: Teller, *, salt: bytes, node: str) -> None:
        """Make shares.

        Args:
            teller: Speaks with the bank.
            salt: Of the digests by which the bank knows endpoints, up to 64 bytes; the same for all workers.
            node: The address of this machine: what answers at a loopback address is another on each.
        """
        self._teller = teller
        self._salt = salt
        self._node = node
        self._by_identity: dict[str, LeasedAdmission] = {}

    def of(self, endpoint: Endpoint, make: Callable[[], Gate]) -> LeasedAdmission:
        """Return an endpoint's share; none is made here."""
        del make
        identity = self._digest(endpoint)
        if identity not in self._by_identity:
            self._by_identity[identity] = LeasedAdmission(self._teller, identity, endpoint.name)
        return self._by_identity[identity]

    def _digest(self, endpoint: Endpoint) -> str:
        """Return an identity that names no key."""
        place = self._node if endpoint.here else None
        said = orjson.dumps([*endpoint.identity, place])
        return blake2b(said, key=self._salt, digest_size=16).hexdigest()


class LeasedPurse:
    """A share in the budget; Funds. While there is plenty it keeps a little, so as not to ask for every request."""

    def __init__(
        self, teller: Teller, budget: Budget, *, write_off: Callable[[Reservation], None] | None = None
    ) -> None:
        """Make a share.

        Args:
            teller: Speaks with the bank.
            budget: What all workers together may spend.
            write_off: Is told of every request that counts for good as its reservation because nobody knows its cost.
        """
        self.budget = budget
        self.spent_usd, self.spent_tokens = 0.0, 0
        """By all workers, as far as was heard."""
        self._teller = teller
        self._write_off = write_off
        self._plenty = False
        self._heard = 0
        self._waiting = 0
        self._usd, self._tokens = 0.0, 0
        """Kept, and not set aside for any request."""
        self._largest = Reservation(0.0, 0)
        self._released_usd, self._released_tokens = 0.0, 0
        self._cost_usd, self._cost_tokens = 0.0, 0
        teller.pay_into(self)

    async def reserve(self, most: Reservation) -> None:
        """Set aside the most that a request can cost; waits while something may come back to any worker.

        Raises:
            BudgetExhausted: it does not fit, and nothing will come back.
        """
        self._largest = Reservation(max(self._largest.usd, most.usd), max(self._largest.tokens, most.tokens))
        if self._plenty and not self._waiting and most.usd <= self._usd and most.tokens <= self._tokens:
            self._usd -= most.usd
            self._tokens -= most.tokens
            return
        self._waiting += 1
        try:
            await self._teller.money(most)
        finally:
            self._waiting -= 1

    def settle(self, most: Reservation, usd: float, tokens: int) -> None:
        """Keep what a request has not cost, or put it back."""
        back = Reservation(max(0.0, most.usd - usd), max(0, most.tokens - tokens))
        self._released_usd += most.usd - back.usd
        self._released_tokens += most.tokens - back.tokens
        self._cost_usd += usd
        self._cost_tokens += tokens
        self.put(back)

    def write_off(self, most: Reservation, *, for_good: bool = True) -> None:
        """Count a request in full: it may have been billed, and nobody says how much.

        Args:
            most: What was set aside for it.
            for_good: Whether later starts of the run count it, too.
        """
        self.settle(most, most.usd, most.tokens)
        if for_good and self._write_off is not None:
            self._write_off(most)

    def put(self, amount: Reservation) -> None:
        """Take money that nobody waits for."""
        self._usd += amount.usd
        self._tokens += amount.tokens
        if self._plenty:
            self._teller.later()
        else:
            self._teller.soon()

    def settled(self, *, last: bool) -> Settled | None:
        """Return what is not held any more since this was asked last; all that is kept, where there is not plenty."""
        keep = POCKET if self._plenty and not last else 0
        usd = max(0.0, self._usd - keep * self._largest.usd)
        tokens = max(0, self._tokens - keep * self._largest.tokens)
        if tokens == self._tokens:
            usd = self._usd  # the last of the tokens does not leave without the last of the money
        self._usd -= usd
        self._tokens -= tokens
        released = Reservation(self._released_usd + usd, self._released_tokens + tokens)
        settled = Settled(released, self._cost_usd, self._cost_tokens)
        self.spent_usd += settled.usd
        self.spent_tokens += settled.tokens
        self._released_usd = self._cost_usd = 0.0
        self._released_tokens = self._cost_tokens = 0
        return settled if settled != NO_CHANGE else None

    def hear(self, number: int, money: Money) -> None:
        """Take in how the budget stands; what is kept goes back where there is not plenty."""
        if number < self._heard:
            return
        self._heard = number
        self.spent_usd, self.spent_tokens = money.spent_usd, money.spent_tokens
        self._plenty = money.plenty
        if not money.plenty and self._tokens:
            self._teller.soon()


NO_CHANGE = Settled(Reservation(0.0, 0), 0.0, 0)


def _now_s() -> float:
    return get_running_loop().time()
