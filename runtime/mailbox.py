"""Letters, and the bounded box in which one agent's letters wait for it."""

import asyncio
from collections import deque

from ..protocols.messages import Fact, Message


class Letter:
    """A message on its way, with the promise of an answer where somebody waits for one."""

    __slots__ = ("answer", "message", "sender", "sequence")

    def __init__(
        self,
        message: Message,
        sender: str,
        sequence: int | None,
        answer: "asyncio.Future[Fact] | None" = None,
    ) -> None:
        self.message = message
        self.sender = sender
        self.sequence = sequence
        """Its place in the log; the cause of whatever comes of it."""
        self.answer = answer

    def resolve(self, fact: Fact) -> None:
        """Answer, unless that was done."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(fact)

    def fail(self, error: Exception) -> None:
        """Answer with an error, unless that was done."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)

    @property
    def answered(self) -> bool:
        """Whether a fact has answered it."""
        answer = self.answer
        return answer is not None and answer.done() and not answer.cancelled() and answer.exception() is None

    @property
    def abandoned(self) -> bool:
        """Whether the one who asked has given up waiting."""
        return self.answer is not None and self.answer.cancelled()


class Mailbox:
    """A queue of letters with room for `capacity`; senders to a full one wait their turn."""

    __slots__ = ("_capacity", "_closed", "_letters", "_promised", "_senders")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._letters: deque[Letter] = deque()
        self._senders: deque[asyncio.Future[None]] = deque()
        self._promised = 0  # room given to senders that were let in and have not run yet
        self._closed = False

    def __len__(self) -> int:
        return len(self._letters)

    @property
    def closed(self) -> bool:
        """Whether letters are refused for good."""
        return self._closed

    @property
    def full(self) -> bool:
        """Whether a sender has to wait; one that comes while others wait, or are just let in, stands behind them."""
        return bool(self._senders) or self._promised > 0 or len(self._letters) >= self._capacity

    def put(self, letter: Letter) -> None:
        """Put a letter in; the caller has made sure that there is room."""
        self._letters.append(letter)

    async def room(self) -> None:
        """Wait for room, first come, first served; put a letter in before waiting for anything else.

        Closing the box ends the wait as well.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._senders.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._senders:
                self._senders.remove(turn)
            if turn.done() and not turn.cancelled():
                self._promised -= 1
                self._admit()  # the turn had come: pass it on
            raise
        self._promised -= 1

    def take(self) -> Letter:
        """Take the oldest letter out and let the next sender in."""
        letter = self._letters.popleft()
        if self._senders:
            self._admit()
        return letter

    def close(self) -> list[Letter]:
        """Refuse letters from now on; return those that were left, and wake every waiting sender."""
        self._closed = True
        left = list(self._letters)
        self._letters.clear()
        while self._senders:
            self._admit()
        return left

    def _admit(self) -> None:
        while self._senders:
            turn = self._senders.popleft()
            if not turn.done():
                self._promised += 1
                turn.set_result(None)
                return
