import asyncio
import gc
import weakref
from typing import Any

import pytest
from acting import Acting, Answered, AskThing, Noted, acting, echo, settle

from fellowship.protocols.errors import AgentUnavailable, AskCycle, LogError, ModelError, Unanswered, UnknownName
from fellowship.protocols.hearing import Heard
from fellowship.protocols.identity import Address, ConversationId
from fellowship.protocols.messages import Message, Stop
from fellowship.protocols.models import ChatMessage, ModelCall, ModelSettings
from fellowship.protocols.ports import Context
from fellowship.runtime.log import MemoryLog
from fellowship.runtime.supervision import Policy, Rule
from fellowship.runtime.system import ActorSystem
from fellowship.runtime.testing import ScriptedModel

TALK = ConversationId("talk")


def kinds(log: MemoryLog) -> list[str]:
    return [event.kind for event in log.events()]


async def test_an_ask_returns_the_fact_that_answers_it() -> None:
    system = ActorSystem(MemoryLog())
    async with system.conversation(TALK, {"echo": acting(echo)}) as talk:
        assert (await talk.ask("echo", AskThing(text="hello"))).text == "hello"


async def test_a_fact_of_another_kind_does_not_answer() -> None:
    async def notes_first(message: object, context: Context) -> None:
        await context.emit(Noted())
        await context.emit(Answered(text="this one"))

    async with ActorSystem(MemoryLog()).conversation(TALK, {"a": acting(notes_first)}) as talk:
        assert (await talk.ask("a", AskThing())).text == "this one"


async def test_one_agent_never_runs_two_handlers_at_once_and_keeps_the_order() -> None:
    running, most, order = 0, 0, []

    async def slow(message: AskThing, context: Context) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await settle()
        order.append(message.text)
        running -= 1
        await context.emit(Answered())

    async with ActorSystem(MemoryLog()).conversation(TALK, {"a": acting(slow)}) as talk, asyncio.TaskGroup() as asks:
        for number in range(20):
            asks.create_task(talk.ask("a", AskThing(text=str(number))))
    assert most == 1
    assert order == [str(number) for number in range(20)]


async def test_a_handlers_exception_reaches_whoever_waits_and_the_log() -> None:
    async def breaks(message: object, context: Context) -> None:
        raise ZeroDivisionError("by nought")

    log = MemoryLog()
    async with ActorSystem(log).conversation(TALK, {"a": acting(breaks)}) as talk:
        with pytest.raises(ZeroDivisionError, match="by nought"):
            await talk.ask("a", AskThing())
    failed = next(event for event in log.events() if event.kind == "agent_failed").message()
    assert failed.cause.model_dump() == {"error": "ZeroDivisionError", "reason": "by nought", "agent": "a"}  # type: ignore[attr-defined]


async def test_the_exception_of_a_handler_nobody_waits_for_fails_the_conversation() -> None:
    async def breaks(message: object, context: Context) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with ActorSystem(MemoryLog()).conversation(TALK, {"a": acting(breaks)}) as talk:
            await talk.tell("a", Noted())


async def test_a_handler_that_says_nothing_leaves_nobody_waiting() -> None:
    async def silent(message: object, context: Context) -> None:
        return

    async with ActorSystem(MemoryLog()).conversation(TALK, {"a": acting(silent)}) as talk:
        with pytest.raises(Unanswered, match="a handled ask_thing"):
            await talk.ask("a", AskThing())


async def test_a_letter_dropped_on_purpose_leaves_nobody_waiting() -> None:
    def drop(message: Message, address: Address) -> Message | None:
        return None if isinstance(message, AskThing) and message.text == "secret" else message

    log = MemoryLog()
    async with ActorSystem(log, intercept=drop).conversation(TALK, {"a": acting(echo)}) as talk:
        with pytest.raises(AgentUnavailable, match="dropped on purpose"):
            await talk.ask("a", AskThing(text="secret"))
        assert (await talk.ask("a", AskThing(text="open"))).text == "open"
    assert kinds(log).count("letter_undelivered") == 1


async def test_an_unknown_agent_is_an_error_with_the_nearest_name_and_a_dead_letter() -> None:
    log = MemoryLog()
    async with ActorSystem(log).conversation(TALK, {"judge": acting(echo)}) as talk:
        with pytest.raises(UnknownName, match="did you mean 'judge'"):
            await talk.ask("jugde", AskThing())
    assert "letter_undelivered" in kinds(log)


async def test_20_000_one_shot_agents_leave_no_memory_behind() -> None:
    class Quiet:
        closed = False

        def append(self, *_: Any, **__: Any) -> int:
            return 1

        async def drain(self) -> None: ...

    made: list[weakref.ref[Acting]] = []

    def make() -> Acting:
        actor = Acting(echo)
        made.append(weakref.ref(actor))
        return actor

    system = ActorSystem(Quiet())  # type: ignore[arg-type]
    for number in range(20_000):
        async with system.conversation(ConversationId(str(number)), {"a": make}) as talk:
            await talk.ask("a", AskThing())
    gc.collect()
    assert len(made) == 20_000
    assert not [ref for ref in made if ref() is not None]
    assert system.statistics().conversations == 0
    assert len(asyncio.all_tasks()) == 1


async def test_an_idle_agent_costs_no_task() -> None:
    async with ActorSystem(MemoryLog()).conversation(TALK, {"a": acting(echo)}) as talk:
        await talk.ask("a", AskThing())
        await settle()
        assert len(asyncio.all_tasks()) == 1


async def test_stop_with_letters_in_flight_answers_every_asker() -> None:
    async def never(message: object, context: Context) -> None:
        await asyncio.Event().wait()

    async def ask(talk: Any) -> str:
        try:
            await talk.ask("a", AskThing())
        except AgentUnavailable as error:
            return str(error)
        return "answered"

    log = MemoryLog()
    system = ActorSystem(log)

    async def converse() -> list[str]:
        async with system.conversation(TALK, {"a": acting(never)}) as talk:
            async with asyncio.TaskGroup() as asks:
                waiting = [asks.create_task(ask(talk)) for _ in range(5)]
            return [task.result() for task in waiting]

    async with asyncio.TaskGroup() as group:
        talking = group.create_task(converse())
        await settle()
        await system.stop()
    assert talking.result() == ["a was stopped"] * 5
    assert kinds(log).count("letter_undelivered") == 4  # the fifth was being handled
    assert system.statistics().conversations == 0


async def test_a_handler_that_makes_something_else_of_its_end_leaves_the_asker_as_it_was() -> None:
    async def stubborn(message: object, context: Context) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("the end went wrong") from None

    system = ActorSystem(MemoryLog())

    async def converse() -> int:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(ValueError, match="the end went wrong"):
            async with system.conversation(TALK, {"a": acting(stubborn)}) as talk:
                await talk.ask("a", AskThing())
        return task.cancelling()

    async with asyncio.TaskGroup() as group:
        talking = group.create_task(converse())
        await settle()
        await system.stop()
    assert talking.result() == 0


async def test_a_conversation_broken_off_cancels_its_handlers_and_raises_the_error_itself() -> None:
    cancelled = False

    async def never(message: object, context: Context) -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    with pytest.raises(KeyError, match="mine"):
        async with ActorSystem(MemoryLog()).conversation(TALK, {"a": acting(never)}) as talk:
            await talk.tell("a", Noted())
            await settle()
            raise KeyError("mine")
    assert cancelled


async def test_a_full_mailbox_slows_its_senders_who_are_let_in_in_turn() -> None:
    gate = asyncio.Event()
    handled: list[str] = []

    async def slow(message: AskThing, context: Context) -> None:
        await gate.wait()
        handled.append(message.text)

    sent: list[int] = []

    async def send(talk: Any, number: int) -> None:
        await talk.tell("a", AskThing(text=str(number)))
        sent.append(number)

    system = ActorSystem(MemoryLog(), inbox=2)
    async with system.conversation(TALK, {"a": acting(slow)}) as talk, asyncio.TaskGroup() as sends:
        for number in range(6):
            sends.create_task(send(talk, number))
        await settle()
        assert sent == [0, 1, 2]  # one being handled, two in the box
        gate.set()
    assert sent == [0, 1, 2, 3, 4, 5]
    assert handled == ["0", "1", "2", "3", "4", "5"]


async def test_a_sender_cancelled_while_it_waits_for_room_passes_its_turn_on() -> None:
    gate = asyncio.Event()

    async def slow(message: object, context: Context) -> None:
        await gate.wait()

    system = ActorSystem(MemoryLog(), inbox=1)
    async with system.conversation(TALK, {"a": acting(slow)}) as talk, asyncio.TaskGroup() as sends:
        tasks = [sends.create_task(talk.tell("a", Noted())) for _ in range(4)]
        await settle()
        tasks[2].cancel()
        await settle()
        gate.set()
    assert [task.cancelled() for task in tasks] == [False, False, True, False]


async def test_an_ask_cycle_raises_instead_of_hanging() -> None:
    def asking(other: str) -> Any:
        async def act(message: object, context: Context) -> None:
            await context.emit(await context.ask(other, AskThing()))

        return acting(act)

    cast = {"a": asking("b"), "b": asking("c"), "c": asking("a")}
    async with ActorSystem(MemoryLog()).conversation(TALK, cast) as talk:
        with pytest.raises(AskCycle, match="c -> a -> b -> c"):
            await talk.ask("a", AskThing())


async def test_an_agent_that_asks_itself_raises() -> None:
    async def act(message: object, context: Context) -> None:
        await context.ask("a", AskThing())

    async with ActorSystem(MemoryLog()).conversation(TALK, {"a": acting(act)}) as talk:
        with pytest.raises(AskCycle):
            await talk.ask("a", AskThing())


async def test_a_ring_of_full_mailboxes_raises_instead_of_hanging() -> None:
    def flooding(other: str) -> Any:
        async def act(message: object, context: Context) -> None:
            for _ in range(5):
                await context.tell(other, Noted())

        return acting(act)

    with pytest.raises(AskCycle):
        async with ActorSystem(MemoryLog(), inbox=1).conversation(
            TALK, {"a": flooding("b"), "b": flooding("a")}
        ) as talk:
            await talk.tell("a", Noted())


async def test_a_letter_whose_asker_gave_up_is_not_handled() -> None:
    handled: list[str] = []
    gate = asyncio.Event()

    async def slow(message: AskThing, context: Context) -> None:
        handled.append(message.text)
        await gate.wait()
        await context.emit(Answered())

    log = MemoryLog()
    async with ActorSystem(log).conversation(TALK, {"a": acting(slow)}) as talk, asyncio.TaskGroup() as asks:
        first = asks.create_task(talk.ask("a", AskThing(text="first")))
        second = asks.create_task(talk.ask("a", AskThing(text="second")))
        await settle()
        second.cancel()
        await settle()
        gate.set()
    assert first.result() == Answered()
    assert handled == ["first"]
    assert "letter_undelivered" in kinds(log)


async def test_an_agent_that_stops_takes_no_more_letters() -> None:
    async def once(message: object, context: Context) -> Stop:
        await context.emit(Answered())
        return Stop("enough")

    async with ActorSystem(MemoryLog()).conversation(TALK, {"a": acting(once)}) as talk:
        await talk.ask("a", AskThing())
        await settle()
        with pytest.raises(AgentUnavailable, match="a has stopped: enough"):
            await talk.ask("a", AskThing())


async def test_supervision_retries_then_recuses_by_the_table() -> None:
    tries = 0

    async def breaks(message: object, context: Context) -> None:
        nonlocal tries
        tries += 1
        raise ModelError("no")

    log = MemoryLog()
    policy = Policy((Rule(ModelError, retries=2, then="recuse"),))
    async with ActorSystem(log).conversation(TALK, {"a": acting(breaks)}, {"a": policy}) as talk:
        with pytest.raises(AgentUnavailable, match="a is recused"):
            await talk.ask("a", AskThing())
        assert talk.unavailable("a")
    assert tries == 3
    failed = [event.message() for event in log.events() if event.kind == "agent_failed"]
    assert [(fact.attempt, fact.then) for fact in failed] == [(1, "retry"), (2, "retry"), (3, "recuse")]  # type: ignore[attr-defined]
    assert kinds(log).count("agent_recused") == 1


async def test_an_error_that_no_rule_names_fails_at_once() -> None:
    async def bug(message: object, context: Context) -> None:
        raise TypeError("a bug")

    policy = Policy((Rule(ModelError, retries=5, then="recuse"),))
    async with ActorSystem(MemoryLog()).conversation(TALK, {"a": acting(bug)}, {"a": policy}) as talk:
        with pytest.raises(TypeError, match="a bug"):
            await talk.ask("a", AskThing())


class Listening:
    """Remembers what it hears; answers with it."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def handle(self, message: Message, context: Context) -> None:
        if isinstance(message, Heard):
            self.heard.append(f"{message.speaker}:{message.fact.said()}")
        elif isinstance(message, AskThing):
            await context.emit(Answered(text=message.text or ",".join(self.heard)))


async def test_what_a_speaker_says_goes_to_all_who_listen_before_they_are_asked() -> None:
    log = MemoryLog()
    async with ActorSystem(log).conversation(TALK, dict.fromkeys("abc", Listening)) as talk:
        await talk.listen("b", ["a"])
        await talk.ask("a", AskThing(text="one"))
        await talk.ask("c", AskThing(text="two"))
        assert (await talk.ask("b", AskThing())).text == "a:one"
    said = next(event for event in log.events() if event.kind == "answered")
    assert (said.sender, said.recipients) == ("a", ("b",))


async def test_whoever_begins_to_listen_late_is_caught_up_once() -> None:
    log = MemoryLog()
    async with ActorSystem(log).conversation(TALK, dict.fromkeys("ab", Listening)) as talk:
        await talk.ask("a", AskThing(text="one"))
        await talk.listen("b", ["a"])
        await talk.listen("b", [])
        await talk.ask("a", AskThing(text="two"))
        await talk.listen("b", ["a"])
        assert (await talk.ask("b", AskThing())).text == "a:one,a:two"
    changes = [event.message() for event in log.events() if event.kind == "hearing_changed"]
    assert [len(change.caught_up) for change in changes] == [1, 0, 1]  # type: ignore[attr-defined]


async def test_in_a_blind_round_facts_are_delivered_when_it_closes_in_the_speakers_order() -> None:
    async with ActorSystem(MemoryLog()).conversation(TALK, dict.fromkeys("abc", Listening)) as talk:
        await talk.listen("c", ["a", "b"])
        async with talk.blind(["a", "b"]):
            await talk.ask("b", AskThing(text="quick"))
            await talk.ask("a", AskThing(text="slow"))
            assert (await talk.ask("c", AskThing())).text == ""
        assert (await talk.ask("c", AskThing())).text == "a:slow,b:quick"


async def test_whoever_begins_to_listen_after_a_blind_round_is_told_in_the_speakers_order() -> None:
    async with ActorSystem(MemoryLog()).conversation(TALK, dict.fromkeys("abc", Listening)) as talk:
        await talk.ask("b", AskThing(text="before"))
        async with talk.blind(["a", "b"]):
            await talk.ask("b", AskThing(text="quick"))
            await talk.ask("a", AskThing(text="slow"))
        async with talk.blind(["a", "b"]):
            pass
        await talk.listen("c", ["a", "b"])
        assert (await talk.ask("c", AskThing())).text == "b:before,a:slow,b:quick"


async def test_agents_ask_and_tell_one_another_through_their_context() -> None:
    told: list[Message] = []

    async def asks(message: object, context: Context) -> None:
        answer = await context.ask("echo", AskThing(text="from a"))
        await context.tell("ear", Noted())
        await context.emit(answer)

    async def hears(message: Message, context: Context) -> None:
        told.append(message)

    cast = {"a": acting(asks), "echo": acting(echo), "ear": acting(hears)}
    log = MemoryLog()
    async with ActorSystem(log).conversation(TALK, cast) as talk:
        assert (await talk.ask("a", AskThing())).text == "from a"
    assert told == [Noted()]
    events = list(log.events())
    inner = next(event for event in events if event.sender == "a" and event.kind == "ask_thing")
    assert inner.cause == events[0].sequence


async def test_chance_is_the_same_for_the_same_seed_conversation_and_agent() -> None:
    async def rolls(message: object, context: Context) -> None:
        await context.emit(Answered(text=str(context.rng.random())))

    async def roll(seed: int, conversation: str) -> str:
        system = ActorSystem(MemoryLog(), seed=seed)
        async with system.conversation(ConversationId(conversation), {"a": acting(rolls)}) as talk:
            return (await talk.ask("a", AskThing())).text

    assert await roll(1, "x") == await roll(1, "x")
    assert len({await roll(1, "x"), await roll(2, "x"), await roll(1, "y")}) == 3


async def test_a_models_reply_is_logged_with_prompt_digests_and_durable_before_it_is_acted_on() -> None:
    class Strict(MemoryLog):
        asked_for: list[int] = []

        async def durable(self, sequence: int) -> None:
            self.asked_for.append(sequence)

    async def speaks(message: object, context: Context) -> None:
        call = ModelCall(ModelSettings(model="x/y"), (ChatMessage("user", "how?"),))
        completion = await context.model.complete(call)
        await context.emit(Answered(text=completion.text))

    log = Strict()
    async with ActorSystem(log, models=ScriptedModel(["so"])).conversation(TALK, {"a": acting(speaks)}) as talk:
        assert (await talk.ask("a", AskThing())).text == "so"
    called = next(event for event in log.events() if event.kind == "model_called")
    assert log.asked_for == [called.sequence]
    message = called.message()
    assert message.text == "so"  # type: ignore[attr-defined]
    assert [log.text(digest) for _, digest in message.messages] == ["how?"]  # type: ignore[attr-defined]


async def test_a_system_without_models_says_so() -> None:
    async def speaks(message: object, context: Context) -> None:
        await context.model.complete(ModelCall(ModelSettings(model="x/y"), ()))

    async with ActorSystem(MemoryLog()).conversation(TALK, {"a": acting(speaks)}) as talk:
        with pytest.raises(ModelError, match="has no models"):
            await talk.ask("a", AskThing())


async def test_something_else_that_was_cancelled_is_a_handlers_failure_and_the_agent_goes_on() -> None:
    async def waits_for_what_is_cancelled(message: AskThing, context: Context) -> None:
        if message.text == "first":
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        await context.emit(Answered(text=message.text))

    log = MemoryLog()
    system = ActorSystem(log)
    async with system.conversation(TALK, {"a": acting(waits_for_what_is_cancelled)}) as talk:
        with pytest.raises(AgentUnavailable, match="something that was cancelled"):
            await talk.ask("a", AskThing(text="first"))
        assert (await talk.ask("a", AskThing(text="second"))).text == "second"
    assert "agent_failed" in kinds(log)


async def test_after_stop_no_conversation_begins() -> None:
    system = ActorSystem(MemoryLog())
    await system.stop()
    with pytest.raises(AgentUnavailable, match="the system was stopped"):
        async with system.conversation(TALK, {}):
            raise AssertionError("it began")
    assert system.statistics().conversations == 0


async def test_a_log_that_fails_leaves_no_handler_and_nobody_waiting() -> None:
    class Breaking(MemoryLog):
        def append(self, message: Message, **place: Any) -> int:
            if message.kind == "answered":
                self.closed = True
                raise LogError("the disk is full")
            return super().append(message, **place)

    system = ActorSystem(Breaking())
    async with asyncio.timeout(5):
        with pytest.raises(BaseExceptionGroup) as caught:
            async with system.conversation(TALK, {"a": acting(echo)}) as talk, asyncio.TaskGroup() as asks:
                for _ in range(3):
                    asks.create_task(talk.ask("a", AskThing()))
        await system.stop()
    assert caught.group_contains(LogError, match="disk is full")
    assert system.statistics().conversations == 0
    assert len(asyncio.all_tasks()) == 1


async def test_what_was_said_in_a_blind_round_is_delivered_though_the_round_fails() -> None:
    async with ActorSystem(MemoryLog()).conversation(TALK, dict.fromkeys("ab", Listening)) as talk:
        await talk.listen("b", ["a"])
        with pytest.raises(KeyError):
            async with talk.blind(["a"]):
                await talk.ask("a", AskThing(text="said"))
                raise KeyError
        assert (await talk.ask("b", AskThing())).text == "a:said"


async def test_blind_rounds_do_not_nest() -> None:
    async with ActorSystem(MemoryLog()).conversation(TALK, {}) as talk:
        with pytest.raises(RuntimeError, match="under way"):
            async with talk.blind([]), talk.blind([]):
                raise AssertionError("it nested")


async def test_a_listener_that_has_left_is_no_fault_of_the_speakers() -> None:
    class Leaving:
        async def handle(self, message: Message, context: Context) -> Stop:
            return Stop("enough")

    log = MemoryLog()
    async with ActorSystem(log, inbox=1).conversation(TALK, {"a": acting(echo), "b": Leaving}) as talk:
        await talk.listen("b", ["a"])
        for _ in range(5):
            assert (await talk.ask("a", AskThing(text="x"))).text == "x"
    assert "agent_failed" not in kinds(log)


async def test_a_listener_that_cannot_be_made_fails_the_conversation() -> None:
    def make() -> Acting:
        raise ZeroDivisionError("unmakeable")

    with pytest.raises(ZeroDivisionError, match="unmakeable"):
        async with ActorSystem(MemoryLog()).conversation(TALK, {"a": acting(echo), "b": make}) as talk:
            await talk.listen("b", ["a"])
            await talk.ask("a", AskThing(text="x"))


async def test_what_was_said_is_not_said_again_by_a_retry() -> None:
    async def says_and_breaks(message: object, context: Context) -> None:
        await context.emit(Answered())
        raise ModelError("too late")

    log = MemoryLog()
    policy = Policy((Rule(ModelError, retries=3, then="fail"),))
    with pytest.raises(ModelError, match="too late"):
        async with ActorSystem(log).conversation(TALK, {"a": acting(says_and_breaks)}, {"a": policy}) as talk:
            await talk.ask("a", AskThing())
    assert kinds(log).count("answered") == 1


async def test_the_failure_of_a_handler_whose_asker_gave_up_is_recorded_and_no_more() -> None:
    gate = asyncio.Event()

    async def late(message: AskThing, context: Context) -> None:
        if message.text == "late":
            await gate.wait()
            raise ZeroDivisionError
        await context.emit(Answered())

    log = MemoryLog()
    async with ActorSystem(log).conversation(TALK, {"a": acting(late)}) as talk:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await talk.ask("a", AskThing(text="late"))
        gate.set()
        assert await talk.ask("a", AskThing()) == Answered()


async def test_a_call_that_is_broken_off_is_in_the_log() -> None:
    async def never(call: ModelCall) -> str:
        await asyncio.Event().wait()
        return ""

    async def speaks(message: object, context: Context) -> None:
        await context.model.complete(ModelCall(ModelSettings(model="x/y"), (ChatMessage("user", "how?"),)))

    log = MemoryLog()
    system = ActorSystem(log, models=ScriptedModel(never))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), system.conversation(TALK, {"a": acting(speaks)}) as talk:
            await talk.ask("a", AskThing())
    called = next(event for event in log.events() if event.kind == "model_called").message()
    assert called.text is None  # type: ignore[attr-defined]
    assert called.attempts[0].error == "CancelledError"  # type: ignore[attr-defined]
