"""What an agent sees of the world while it handles one letter."""

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

from ..protocols.errors import ModelError, RunStopping
from ..protocols.identity import Address, CallId, ConversationId, call_id
from ..protocols.lifecycle import Failure, ModelCalled
from ..protocols.messages import Command, Fact, Message
from ..protocols.models import Attempt, Completion, ModelCall, Usage
from ..protocols.ports import Clock, ModelClient
from .mailbox import Letter
from .recording.standing import error_of, failure_of
from .telling import tell_call
from .tracing import enter, scope

if TYPE_CHECKING:
    from .conversation import Cell, Conversation

AnswerT = TypeVar("AnswerT", bound=Fact)


class AgentContext:
    """A Context, and the ModelClient that it gives: both speak in the name of one agent, because of one letter."""

    __slots__ = ("_cell", "_conversation", "_letter")

    def __init__(self, conversation: "Conversation", cell: "Cell", letter: Letter) -> None:
        self._conversation = conversation
        self._cell = cell
        self._letter = letter

    @property
    def address(self) -> Address:
        """The agent's own address."""
        return self._cell.address

    @property
    def model(self) -> ModelClient:
        """Models, as this agent may ask them."""
        return self

    @property
    def clock(self) -> Clock:
        """Time."""
        return self._conversation.system.clock

    @property
    def rng(self) -> random.Random:
        """Chance, the same in every run with the same seed, conversation and agent; also in one that is begun anew."""
        if self._cell.rng is None:
            address = self._cell.address
            item, begun, _ = address.conversation.rpartition("~")
            first = Address(address.agent, ConversationId(f"{item}~1")) if begun else address
            self._cell.rng = random.Random(f"{self._conversation.system.seed}/{first}")  # noqa: S311 - not a secret
        return self._cell.rng

    async def tell(self, agent: str, message: Message) -> None:
        """Send a letter."""
        await self._conversation.tell_from(self._cell, agent, message, self._letter.sequence)

    async def ask(self, agent: str, command: Command[AnswerT]) -> AnswerT:
        """Send a command and return the fact that answers it."""
        return await self._conversation.ask_from(self._cell, agent, command, self._letter.sequence)

    async def emit(self, fact: Fact) -> int:
        """State a fact."""
        return await self._conversation.emit_from(self._cell, self._letter, fact)

    async def complete(self, call: ModelCall) -> Completion:
        """Ask a model; the reply is durable in the log before this returns, a failure is taken down."""
        conversation = self._conversation
        if conversation.recall is not None:
            recalled = conversation.recall.answer(
                self._cell.address.agent, self._letter.sequence, self._round, call, self._again
            )
            if recalled is not None:
                known = _recalled(recalled)
                conversation.spent.add(known)
                return known
        number, system = self._begun(), conversation.system
        system.asking[id(call)] = (self._cell.address, call, number)
        where = conversation.scope.within(agent=self._cell.address.agent, call=number)
        around = scope()
        enter(where)
        try:
            completion = await system.models.complete(call)
        except BaseException as error:  # also when it is broken off: what was sent may have to be paid for
            called = _unanswered(call, error, self._round)
            put_off = not called.attempts and isinstance(error, RunStopping | asyncio.CancelledError)
            if not put_off and not conversation.log.closed:
                tell_call(where, called, self._log(called, call))
            else:
                conversation.calls[self._letter.sequence or 0] -= 1  # it will be begun again
            raise
        finally:
            enter(around)
            system.asking.pop(id(call), None)
        conversation.answered = True
        conversation.spent.add(completion)
        called = _answered(call, completion, self._round)
        sequence = self._log(called, call)
        if where.shows_all:
            tell_call(where, called, sequence)
        await conversation.log.durable(sequence)
        return completion

    def _begun(self) -> CallId:
        """Return the name of the next call that the letter leads to."""
        calls, recall, cause = self._conversation.calls, self._conversation.recall, self._letter.sequence or 0
        number = calls.get(cause)
        if number is None:
            number = 0 if recall is None else recall.calls(cause)
        calls[cause] = number + 1
        return call_id(cause, number + 1)

    def _again(self, called: ModelCalled) -> None:
        """Take down a call that another recording has answered."""
        number = self._begun()
        sequence = self._append(called)
        tell_call(self._conversation.scope.within(agent=self._cell.address.agent, call=number), called, sequence)

    @property
    def _round(self) -> int | None:
        message = self._letter.message
        return message.round if isinstance(message, Command) else None

    def _log(self, called: ModelCalled, call: ModelCall) -> int:
        log = self._conversation.log
        for message in call.messages:
            log.keep(message.digest, message.content)
        return self._append(called)

    def _append(self, called: ModelCalled) -> int:
        return self._conversation.log.append(
            called,
            sender=self._cell.address.agent,
            conversation=self._conversation.id,
            cause=self._letter.sequence,
        )


def _answered(call: ModelCall, completion: Completion, round_: int | None) -> ModelCalled:
    return ModelCalled(
        round=round_,
        model=call.settings.model,
        messages=tuple([(message.role, message.digest) for message in call.messages]),
        settings=call.settings.sampling,
        answer=call.answer.name if call.answer else None,
        text=completion.text,
        finish_reason=completion.finish_reason,
        served_by=completion.served_by,
        reasoning=completion.reasoning,
        logprobs=completion.logprobs,
        tier=completion.tier,
        source=completion.source,
        usage=completion.usage,
        cost_usd=completion.cost_usd,
        attempts=completion.attempts,
    )


def _unanswered(call: ModelCall, error: BaseException, round_: int | None) -> ModelCalled:
    told = error if isinstance(error, ModelError) else error.__cause__  # of a call that was broken off
    if not isinstance(told, ModelError):
        told = ModelError()
        told.attempts = (Attempt(latency_s=0.0, error=f"{type(error).__name__}: {error}".rstrip(": ")),)
    return ModelCalled(
        round=round_,
        model=call.settings.model,
        messages=tuple([(message.role, message.digest) for message in call.messages]),
        settings=call.settings.sampling,
        answer=call.answer.name if call.answer else None,
        error=Failure(error=type(error).__name__, reason=str(error) or str(told)),
        usage=told.usage or Usage(),
        cost_usd=told.cost_usd,
        attempts=told.attempts,
    )


def _recalled(called: ModelCalled) -> Completion:
    """Return a completion as it was recorded; raises the error that was met in its place."""
    failure = failure_of(called)
    if failure is not None:
        error = error_of(failure)
        if isinstance(error, ModelError):
            error.attempts, error.usage, error.cost_usd = called.attempts, called.usage, called.cost_usd
        raise error
    return Completion(
        text=called.text or "",
        finish_reason=called.finish_reason or "other",
        served_by=called.served_by or called.model,
        usage=called.usage,
        attempts=called.attempts,
        reasoning=called.reasoning,
        logprobs=called.logprobs,
        tier=called.tier,
        cost_usd=called.cost_usd,
        source=called.source,
    )
