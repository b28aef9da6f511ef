"""One conversation: its agents, their mailboxes, and the tasks that run while there is mail.

An agent is made when it is first spoken to and gone when the conversation ends. It costs a task only while it has
letters; it handles them one at a time, in order. Whoever waits is always answered: by a fact, by what the handler
raised, or by AgentUnavailable.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, cast

from ..protocols.errors import AgentUnavailable, AskCycle, Diverged, LogError, Unanswered, UnknownName
from ..protocols.identity import CONDUCTOR, Address, ConversationId
from ..protocols.lifecycle import AgentFailed, AgentRecused, Failure, HearingChanged, LetterUndelivered
from ..protocols.messages import Command, Fact, Message, Stop
from ..protocols.models import Completion
from ..protocols.ports import Actor
from .bus import Bus, Delivery, Utterance
from .context import AgentContext
from .mailbox import Letter, Mailbox
from .recording.recall import Recall
from .supervision import FAIL, Policy
from .telling import tell_message
from .tracing import scope

if TYPE_CHECKING:
    import random

    from .system import ActorSystem

AnswerT = TypeVar("AnswerT", bound=Fact)
Cast = Mapping[str, Callable[[], Actor]]
"""Who can be spoken to: a maker for each name."""


class Cell:
    """One agent as the system keeps it."""

    __slots__ = ("actor", "address", "blocked_on", "called_off", "lent", "mailbox", "policy", "rng", "task")

    def __init__(self, address: Address, actor: Actor, capacity: int, policy: Policy) -> None:
        self.address = address
        self.actor = actor
        self.mailbox = Mailbox(capacity)
        self.policy = policy
        self.task: asyncio.Task[None] | None = None
        """Runs while there is mail."""
        self.lent = False
        """Whether that task is the asker's own, lent to an agent that had no other mail."""
        self.called_off = False
        """Whether a lent task was cancelled for this agent's sake, not for the asker's."""
        self.blocked_on: list[Cell] = []
        """Whom its handler waits for now."""
        self.rng: random.Random | None = None


@dataclass(slots=True)
class Spent:
    """What the answers in a conversation have cost, those that were recalled included."""

    calls: int = 0
    tokens: int = 0
    """Input and output."""
    cost_usd: float = 0.0
    """As far as endpoints have told it."""

    def add(self, completion: Completion) -> None:
        """Count an answer."""
        self.calls += 1
        self.tokens += completion.usage.input_tokens + completion.usage.output_tokens
        self.cost_usd += completion.cost_usd or 0.0


class Conversation:
    """An async context in which agents can be spoken to.

    Leaving it in good order waits until all letters are handled. Leaving it by an exception, or stopping it, cancels
    the handlers at work; letters left become dead letters, and everyone who waits is answered.
    """

    def __init__(
        self,
        system: "ActorSystem",
        conversation: ConversationId,
        cast: Cast,
        policies: Mapping[str, Policy],
        recall: Recall | None = None,
    ) -> None:
        self.id = conversation
        self.system = system
        self.log = system.log
        self.recall = recall
        """What was said in it before, where it was held before."""
        self.bus = Bus()
        self._cast = cast
        self._policies = policies
        self._cells: dict[str, Cell] = {}
        self._gone: dict[str, str] = {}
        self.stopped = False
        """Whether it was broken off, or has ended."""
        self.answered = False
        """Whether a model has answered anybody in it."""
        self.spent = Spent()
        self.scope = system.scope
        """What its events in the logs belong to."""
        self.calls: dict[int, int] = {}
        """How many model calls each letter has led to."""
        self._failure: Exception | None = None
        self._tasks = asyncio.TaskGroup()
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        self.system.joined(self)
        around = scope()
        self.scope = (around if around.ids else self.system.scope).within(conversation=self.id)
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                self.stop("was stopped: the conversation was broken off")
            # Given no error, the group waits for its tasks and wraps nothing; ours goes on as it is.
            await self._tasks.__aexit__(None, None, None)
        finally:
            self.stop("has stopped: the conversation has ended")
            self.system.left(self)
        if self._failure is not None and (error is None or isinstance(error, AgentUnavailable)):
            raise self._failure

    # what the conductor does

    async def ask(self, agent: str, command: Command[AnswerT], *, cause: int | None = None) -> AnswerT:
        """Send a command and return the fact that answers it; see Context.ask for what it raises."""
        if self._failure is not None:
            raise self._failure
        return await self.ask_from(None, agent, command, cause)

    async def tell(self, agent: str, message: Message, *, cause: int | None = None) -> None:
        """Send a letter; see Context.tell for what it raises."""
        await self.tell_from(None, agent, message, cause)

    def record(self, fact: Fact, *, cause: int | None = None) -> int:
        """State a fact of the conductor's own: logged, not delivered. Returns its sequence."""
        return self.append(fact, CONDUCTOR, cause)

    async def listen(self, agent: str, speakers: Sequence[str], *, cause: int | None = None) -> None:
        """Let an agent listen to these speakers, and only these, from now on; it is caught up at once."""
        if self.bus.hears(agent) == tuple(speakers):
            return
        deliveries = self.bus.subscribe(agent, speakers)
        caught_up = tuple(delivery.utterance.sequence for delivery in deliveries)
        self.record(HearingChanged(agent=agent, hears=tuple(speakers), caught_up=caught_up), cause=cause)
        await self._deliver(deliveries, None)

    @asynccontextmanager
    async def blind(self, order: Sequence[str]) -> AsyncGenerator[None, None]:
        """Hold back what is said until the block ends; it is then delivered in the order of these speakers.

        Raises:
            RuntimeError: a blind round is under way already.
        """
        self.bus.hold()
        try:
            yield
        finally:
            await self._deliver(self.bus.release(order), None)

    def unavailable(self, agent: str) -> bool:
        """Whether an agent has stopped or is recused."""
        return agent in self._gone

    def stop(self, reason: str = "was stopped") -> None:
        """Cancel the handlers at work, and answer everyone who waits with AgentUnavailable."""
        self.stopped = True
        for cell in list(self._cells.values()):
            self._dismiss(cell, reason, cancel=True)

    def append(self, message: Message, sender: str, cause: int | None, recipients: tuple[str, ...] = ()) -> int:
        """Put a message into the log, where it is not there already; returns its sequence."""
        if self.recall is not None:
            sequence = self.recall.event(message, sender, cause, recipients)
            if sequence is not None:
                return sequence
        sequence = self.log.append(message, sender=sender, conversation=self.id, cause=cause, recipients=recipients)
        if self.scope.shows_items:
            tell_message(self.scope, message, sequence, sender, cause, recipients)
        return sequence

    # what agents do, through their context

    async def ask_from(self, asker: Cell | None, agent: str, command: Command[AnswerT], cause: int | None) -> AnswerT:
        """Send a command in the name of an agent, or of the conductor."""
        sender = CONDUCTOR if asker is None else asker.address.agent
        sequence = self.append(command, sender, cause, (agent,))
        await self.log.drain()
        letter = Letter(command, sender, sequence)
        cell = self._cell(agent, letter)
        letter.answer = self._loop.create_future()
        if asker is None and cell.task is None and not cell.mailbox and self.system.intercept is None:
            await self._answer_here(cell, letter)
            return cast("AnswerT", letter.answer.result())
        if asker is not None:
            self._refuse_ring(asker, cell)
            asker.blocked_on.append(cell)
        try:
            if not self._put(cell, letter):
                await self._post(cell, letter, None)
            return cast("AnswerT", await letter.answer)  # only a fact of the wanted kind resolves it
        finally:
            if asker is not None:
                asker.blocked_on.remove(cell)

    async def tell_from(self, teller: Cell | None, agent: str, message: Message, cause: int | None) -> None:
        """Send a letter in the name of an agent, or of the conductor."""
        sender = CONDUCTOR if teller is None else teller.address.agent
        sequence = self.append(message, sender, cause, (agent,))
        await self.log.drain()
        letter = Letter(message, sender, sequence)
        cell = self._cell(agent, letter)
        if not await self._post(cell, letter, teller) and cell.mailbox.closed:
            raise AgentUnavailable(agent, self._gone.get(agent, "was stopped"))

    async def emit_from(self, cell: Cell, letter: Letter, fact: Fact) -> int:
        """State a fact in the name of an agent."""
        name = cell.address.agent
        sequence = self.append(fact, name, letter.sequence, self._listeners(name))
        deliveries = self.bus.publish(Utterance(sequence, name, fact))
        if deliveries:
            await self._deliver(deliveries, cell)
        message = letter.message
        if isinstance(message, Command) and isinstance(fact, message.wants):
            letter.resolve(fact)
        await self.log.drain()
        return sequence

    # how it is done

    def _cell(self, agent: str, letter: Letter) -> Cell:
        cell = self._cells.get(agent)
        if cell is not None:
            return cell
        if agent in self._gone or self.stopped:
            reason = self._gone.get(agent, "was stopped")
            self._dead(letter, agent, reason)
            raise AgentUnavailable(agent, reason)
        make = self._cast.get(agent)
        if make is None:
            self._dead(letter, agent, "is not in the cast")
            raise UnknownName("agent", agent, self._cast)
        policy = self._policies.get(agent, FAIL)
        cell = Cell(Address(agent, self.id), make(), self.system.inbox, policy)
        self._cells[agent] = cell
        return cell

    def _listeners(self, speaker: str) -> tuple[str, ...]:
        listeners = self.bus.listeners(speaker)
        return tuple(name for name in listeners if name not in self._gone) if self._gone else listeners

    async def _answer_here(self, cell: Cell, letter: Letter) -> None:
        """Let an agent without other mail handle a command in the conductor's own task, which has nothing else to do.

        That saves a task and four turns of the loop. The agent can be stopped all the same: the task is cancelled for
        its sake, and the conductor is told that the agent was.
        """
        task = asyncio.current_task(self._loop)
        assert task is not None  # noqa: S101 - coroutines run in tasks
        cancelling = task.cancelling()
        cell.task, cell.lent, cell.called_off = task, True, False
        try:
            await self._handle(cell, letter)
        except asyncio.CancelledError:
            if not cell.called_off or task.uncancel() > cancelling:
                raise
            letter.fail(AgentUnavailable(cell.address.agent, "was stopped"))
        else:
            if cell.called_off:  # and the handler made something else of it
                task.uncancel()
        finally:
            cell.task, cell.lent = None, False
            if cell.mailbox:
                cell.task = self._tasks.create_task(self._drain(cell))

    def _put(self, cell: Cell, letter: Letter) -> bool:
        """Put a letter into a mailbox if nothing stands in its way; returns whether it got there."""
        mailbox = cell.mailbox
        if self.system.intercept is not None or mailbox.full or mailbox.closed:
            return False
        mailbox.put(letter)
        if cell.task is None:
            cell.task = self._tasks.create_task(self._drain(cell))
        return True

    async def _post(self, cell: Cell, letter: Letter, poster: Cell | None) -> bool:
        """Put a letter into a mailbox, waiting for room; returns whether it got there, else it is a dead letter."""
        intercept = self.system.intercept
        if intercept is not None:
            passed = intercept(letter.message, cell.address)
            if passed is None:
                self._dead(letter, cell.address.agent, "was not told: the letter was dropped on purpose")
                return False
            letter.message = passed
        mailbox = cell.mailbox
        if mailbox.full:
            await self._wait_for_room(cell, poster)
        if mailbox.closed:
            self._dead(letter, cell.address.agent, self._gone.get(cell.address.agent, "was stopped"))
            return False
        mailbox.put(letter)
        if cell.task is None:
            cell.task = self._tasks.create_task(self._drain(cell))
        return True

    async def _wait_for_room(self, cell: Cell, poster: Cell | None) -> None:
        if poster is None:
            await cell.mailbox.room()
            return
        self._refuse_ring(poster, cell)
        poster.blocked_on.append(cell)
        try:
            await cell.mailbox.room()
        finally:
            poster.blocked_on.remove(cell)

    async def _deliver(self, deliveries: Iterable[Delivery], speaker: Cell | None) -> None:
        """Tell listeners what was said; that one of them cannot be told is no fault of the speaker's."""
        for delivery in deliveries:
            if delivery.listener in self._gone:
                continue  # whoever has left listens no more
            letter = Letter(delivery.heard(), delivery.utterance.speaker, delivery.utterance.sequence)
            try:
                cell = self._cell(delivery.listener, letter)
            except Exception as error:  # noqa: BLE001 - the listener could not be made: the conversation has to know
                self._break_off(error)
                return
            await self._post(cell, letter, speaker)

    async def _drain(self, cell: Cell) -> None:
        mailbox = cell.mailbox
        letter: Letter | None = None
        try:
            while mailbox:
                letter = mailbox.take()
                if letter.abandoned:
                    self._dead(letter, cell.address.agent, "was not told: nobody waits for the answer any more")
                    continue
                await self._handle(cell, letter)
        except BaseException:
            if letter is not None:
                letter.fail(AgentUnavailable(cell.address.agent, "was stopped"))
            raise
        finally:
            cell.task = None

    async def _handle(self, cell: Cell, letter: Letter) -> None:
        attempt = 1
        while True:
            try:
                verdict = await cell.actor.handle(letter.message, AgentContext(self, cell, letter))
            except (LogError, Diverged) as error:  # nothing more can be recorded: the run has to know
                letter.fail(error)
                self._break_off(error)
                return
            except (Exception, asyncio.CancelledError) as error:
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                    raise  # we are to stop; any other cancellation is of something that the handler waited for
                if self._raised(cell, letter, error, attempt):
                    attempt += 1
                    continue
                return
            break
        if letter.answer is not None and not letter.answer.done():
            letter.fail(Unanswered(cell.address.agent, letter.message.kind))
        if isinstance(verdict, Stop):
            self._dismiss(cell, f"has stopped: {verdict.reason}", cancel=False)

    def _raised(self, cell: Cell, letter: Letter, error: BaseException, attempt: int) -> bool:
        """Record what a handler raised and act on it; returns whether the letter is to be tried again."""
        name = cell.address.agent
        if not isinstance(error, Exception):
            error = AgentUnavailable(name, "waited for something that was cancelled")
        then = cell.policy.decide(error, attempt)
        if then == "retry" and letter.answered:
            then = "fail"  # what was said is said: another try would say it twice
        cause = Failure(error=type(error).__name__, reason=str(error), agent=name)
        sequence = self.append(AgentFailed(cause=cause, attempt=attempt, then=then), name, letter.sequence)
        if then == "retry":
            return True
        if then == "recuse":
            self.append(AgentRecused(agent=name, cause=cause), CONDUCTOR, sequence)
            letter.fail(AgentUnavailable(name, "is recused"))
            self._dismiss(cell, "is recused", cancel=False)
        elif letter.answer is not None and not letter.answered:
            letter.fail(error)  # whoever gave up waiting is past caring
        else:
            self._break_off(error)
        return False

    def _break_off(self, error: Exception) -> None:
        """Stop the conversation for an error that nobody waited for; it is raised where the conversation is left."""
        self._failure = self._failure or error
        self.stop("was stopped: the conversation has failed")

    def _dismiss(self, cell: Cell, reason: str, *, cancel: bool) -> None:
        name = cell.address.agent
        self._gone[name] = reason
        for letter in cell.mailbox.close():
            self._dead(letter, name, reason)
        if cancel and cell.task is not None and not (cell.lent and cell.task is asyncio.current_task(self._loop)):
            cell.called_off = True
            cell.task.cancel()
        self._cells.pop(name, None)

    def _dead(self, letter: Letter, agent: str, reason: str) -> None:
        letter.fail(AgentUnavailable(agent, reason))
        self.system.dead_letters += 1
        if self.log.closed or isinstance(self._failure, Diverged):
            return
        lost = LetterUndelivered(to=agent, letter=letter.message.kind, reason=f"{agent} {reason}")
        self.append(lost, letter.sender, letter.sequence)

    def _refuse_ring(self, asker: Cell, asked: Cell) -> None:
        path = _path(asked, asker)
        if path is not None:
            names = [asker.address.agent, *(cell.address.agent for cell in path)]
            raise AskCycle(names)


def _path(start: Cell, goal: Cell) -> list[Cell] | None:
    """Return the cells from start to goal along who waits for whom, or None."""
    came_from: dict[Cell, Cell | None] = {start: None}
    to_visit = [start]
    while to_visit:
        cell = to_visit.pop()
        if cell is goal:
            path = [cell]
            while (before := came_from[path[0]]) is not None:
                path.insert(0, before)
            return path
        for waited_for in cell.blocked_on:
            if waited_for not in came_from:
                came_from[waited_for] = cell
                to_visit.append(waited_for)
    return None
