"""What a run may spend: set aside before a request, settled after it, and never overshot."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import anyio
import pytest
from asking import CALL, SETTINGS, Answering, access_to, said
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fellowship.protocols.errors import (
    BudgetExhausted,
    CallRefused,
    CallTimedOut,
    ConnectionFailed,
    ContentFiltered,
    DeclarationError,
    EndpointDown,
    MalformedReply,
    ModelError,
    ModelRefused,
    Overloaded,
    RateLimited,
    TruncatedReply,
    Unauthorised,
)
from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.models import (
    AnswerSchema,
    ChatMessage,
    ChatRole,
    Completion,
    ModelCall,
    ModelSettings,
    Tier,
    Usage,
)
from fellowship.runtime.log import LogReader
from fellowship.runtime.models import Budget, Endpoint, LeanTransport, Price, Retries
from fellowship.runtime.models.budget import LONGEST_ANSWER, Purse, Reservation, most_of
from fellowship.runtime.models.retries import TABLE, Rule
from fellowship.runtime.models.wire import Reply, body, completion
from fellowship.runtime.session import Access, Limits, open_session
from fellowship.runtime.testing import Fault, LoopbackEndpoint, Mishaps
from fellowship.runtime.testing.simulated import LoopClock, VirtualTimeLoop
from fellowship.scenarios import Settings, load, plan, play

PRICE = Price(input_cost_per_token=0.01, output_cost_per_token=0.02)
MOST = most_of(CALL, PRICE, 100)
ONCE = Retries({})
USED = Usage(input_tokens=10, output_tokens=5)
COST = 0.2
"""Of USED at PRICE."""


def purse_of(calls: float, *, spent_usd: float = 0.0) -> Purse:
    """Return a purse in which so many reservations of CALL have room."""
    return Purse(Budget(usd=MOST.usd * calls), spent_usd=spent_usd)


def failing(*errors: ModelError) -> Answering:
    left = iter(errors)

    def answer(_: ModelCall) -> Completion:
        for error in left:
            raise error
        return said(usage=USED)

    return Answering(answer)


def billed(error: ModelError) -> ModelError:
    error.usage = USED
    return error


async def nothing_is_held(purse: Purse) -> None:
    usd, tokens = purse.budget.usd, purse.budget.tokens
    rest = Reservation((usd or 0.0) - purse.spent_usd - 1e-9, (tokens or 0) - purse.spent_tokens)
    async with asyncio.timeout(1):
        await purse.reserve(rest)


# what is set aside


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), texts), max_size=4), texts, texts)
@example([], "标准", "标准" * 400)
def test_a_token_is_set_aside_for_every_byte_that_is_sent(
    messages: list[tuple[ChatRole, str]], name: str, description: str
) -> None:
    schema = {"type": "object", "properties": {name: {"type": "number", "description": description}}}
    dialogue = tuple(ChatMessage(role, text) for role, text in messages)
    call = ModelCall(SETTINGS, dialogue, AnswerSchema("score", schema))
    sent = sum(len(text.encode()) for _, text in messages) + len((name + description).encode())
    assert most_of(call, None, 7).tokens >= sent + 7


def test_the_dearest_way_to_use_the_tokens_is_set_aside() -> None:
    thinking = PRICE.model_copy(update={"output_cost_per_reasoning_token": 0.05})
    musing = PRICE.model_copy(update={"output_cost_per_reasoning_token": 0.001})
    sent = MOST.tokens - 100
    assert MOST.usd == pytest.approx(sent * 0.01 + 100 * 0.02)
    assert most_of(CALL, thinking, 100).usd == pytest.approx(sent * 0.01 + 100 * 0.05)
    assert most_of(CALL, musing, 100).usd == MOST.usd
    assert most_of(CALL, None, 100) == Reservation(0.0, MOST.tokens)


async def test_a_request_without_a_limit_of_its_own_is_given_one_under_a_budget(tmp_path: Path) -> None:
    async with LoopbackEndpoint() as server:
        environ = {"LOOPBACK_BASE_URL": server.base_url}
        models = [ModelSettings(model="loopback/m"), ModelSettings(model="loopback/m", max_tokens=9)]
        limits = Limits(budget=Budget(tokens=10**6))
        async with open_session(tmp_path / "run.db", models, environ=environ, limits=limits, seed=0) as session:
            assert session.access is not None
            for model in models:
                await session.access.complete(ModelCall(model, CALL.messages))
        async with open_session(tmp_path / "2.db", models, environ=environ, limits=Limits(), seed=0) as session:
            assert session.access is not None
            await session.access.complete(ModelCall(models[0], CALL.messages))
    assert [served.request.get("max_tokens") for served in server.ledger] == [LONGEST_ANSWER, 9, None]


# before and after a request


async def test_what_an_answer_has_not_cost_is_put_back() -> None:
    purse = purse_of(1.5)
    answer = await access_to(failing(), price=PRICE, purse=purse).complete(CALL)
    assert answer.cost_usd == pytest.approx(COST) == pytest.approx(purse.spent_usd)
    assert purse.spent_tokens == 15
    await nothing_is_held(purse)


async def test_a_call_that_does_not_fit_is_not_sent() -> None:
    transport, purse = Answering(), purse_of(0.99, spent_usd=0.0)
    with pytest.raises(BudgetExhausted) as caught:
        await access_to(transport, price=PRICE, purse=purse).complete(CALL)
    assert transport.asked == []
    assert f"the budget of {purse.budget} does not reach for the next request" in str(caught.value)
    assert f"can cost {MOST.usd:.4f} usd: 0.0000 usd are spent" in str(caught.value)


@pytest.mark.parametrize("budget", [Budget(usd=MOST.usd), Budget(tokens=MOST.tokens), Budget(MOST.usd, MOST.tokens)])
async def test_a_budget_holds_exactly_what_it_says(budget: Budget) -> None:
    purse = Purse(budget)
    access = access_to(failing(), price=PRICE, purse=purse)
    await access.complete(CALL)
    with pytest.raises(BudgetExhausted, match=r": (0\.2000 usd|15 tokens|0\.2000 usd and 15 tokens) are spent"):
        await access.complete(CALL)


async def test_money_and_tokens_both_have_to_suffice() -> None:
    for budget in (Budget(MOST.usd * 0.9, MOST.tokens), Budget(MOST.usd, MOST.tokens - 1)):
        with pytest.raises(BudgetExhausted):
            await access_to(Answering(), price=PRICE, purse=Purse(budget)).complete(CALL)


async def test_earlier_spending_counts() -> None:
    spent = MOST.usd * 0.5
    access = access_to(failing(), price=PRICE, purse=purse_of(1.4, spent_usd=spent))
    with pytest.raises(BudgetExhausted):
        await access.complete(CALL)
    await access_to(failing(), price=PRICE, purse=purse_of(1.6, spent_usd=spent)).complete(CALL)


async def test_a_batch_is_settled_at_batch_prices() -> None:
    halved = {"input_cost_per_token_batches": 0.005, "output_cost_per_token_batches": 0.01}
    purse = purse_of(3)
    await access_to(failing(), price=PRICE.model_copy(update=halved), purse=purse, batch=True).complete(CALL)
    assert purse.spent_usd == pytest.approx(COST / 2)


# while others are in flight


async def test_a_call_that_does_not_fit_waits_for_those_in_flight() -> None:
    transport, purse = failing(), purse_of(1.5)
    transport.gate.clear()
    access = access_to(transport, price=PRICE, purse=purse)
    async with asyncio.TaskGroup() as calls:
        both = [calls.create_task(access.complete(CALL)) for _ in range(2)]
        await anyio.wait_all_tasks_blocked()
        assert len(transport.asked) == 1
        assert [pending.stage for pending in access.pending()] == ["sent", "waiting"]
        transport.gate.set()
    assert len(transport.asked) == 2
    assert sum(call.result().cost_usd or 0.0 for call in both) == pytest.approx(2 * COST)


async def test_a_call_that_waited_in_vain_is_told_so() -> None:
    purse = purse_of(1.5)
    transport = Answering(lambda _: said(usage=Usage(reported=False)))
    transport.gate.clear()
    access = access_to(transport, price=PRICE, purse=purse)
    async with asyncio.TaskGroup() as calls:
        first = calls.create_task(access.complete(CALL))
        second = calls.create_task(told(access.complete(CALL)))
        await anyio.wait_all_tasks_blocked()
        assert not second.done()
        transport.gate.set()
    assert first.result().text == "so"
    assert isinstance(second.result(), BudgetExhausted)
    assert len(transport.asked) == 1


async def test_calls_that_wait_for_room_are_sent_in_turn() -> None:
    transport, purse = failing(), purse_of(1.5)
    transport.gate.clear()
    access = access_to(transport, price=PRICE, purse=purse)
    dialogues = [ModelCall(SETTINGS, (*CALL.messages[:1], ChatMessage("user", f"why is it {way}"))) for way in "abcde"]
    async with asyncio.TaskGroup() as calls:
        for call in dialogues:
            calls.create_task(access.complete(call))
            await anyio.wait_all_tasks_blocked()
        transport.gate.set()
    assert transport.asked == dialogues


async def test_a_small_call_does_not_overtake_a_large_one_for_ever() -> None:
    purse = Purse(Budget(tokens=100))
    order: list[str] = []

    async def spend(name: str, tokens: int) -> None:
        await purse.reserve(Reservation(0.0, tokens))
        order.append(name)

    await spend("first", 60)
    async with asyncio.TaskGroup() as calls:
        calls.create_task(spend("large", 80))
        await anyio.wait_all_tasks_blocked()
        calls.create_task(spend("small", 10))
        await anyio.wait_all_tasks_blocked()
        assert order == ["first"]
        purse.settle(Reservation(0.0, 60), 0.0, 5)
    assert order == ["first", "large", "small"]


async def test_a_call_that_is_broken_off_while_it_waits_for_room_holds_nothing() -> None:
    transport, purse = failing(), purse_of(1.5)
    transport.gate.clear()
    access = access_to(transport, price=PRICE, purse=purse)
    async with asyncio.TaskGroup() as calls:
        calls.create_task(access.complete(CALL))
        await anyio.wait_all_tasks_blocked()
        waiting = [calls.create_task(access.complete(CALL)) for _ in range(3)]
        await anyio.wait_all_tasks_blocked()
        waiting[0].cancel()
        waiting[1].cancel()
        await anyio.wait_all_tasks_blocked()
        transport.gate.set()
    assert waiting[2].result().text == "so"
    assert purse.spent_usd == pytest.approx(2 * COST)
    await nothing_is_held(purse)


async def test_a_call_that_is_broken_off_in_flight_may_have_been_billed_in_full() -> None:
    transport, purse = failing(), purse_of(1.5)
    transport.gate.clear()
    async with asyncio.TaskGroup() as calls:
        call = calls.create_task(access_to(transport, price=PRICE, purse=purse).complete(CALL))
        await anyio.wait_all_tasks_blocked()
        call.cancel()
    assert purse.spent_usd == pytest.approx(MOST.usd)
    assert purse.spent_tokens == MOST.tokens


async def test_a_call_that_is_broken_off_before_it_is_sent_costs_nothing() -> None:
    transport, purse = failing(), purse_of(5)
    transport.gate.clear()
    access = access_to(transport, price=PRICE, purse=purse, most=1)
    async with asyncio.TaskGroup() as calls:
        calls.create_task(access.complete(CALL))
        await anyio.wait_all_tasks_blocked()
        second = calls.create_task(access.complete(CALL))
        await anyio.wait_all_tasks_blocked()
        second.cancel()
        await anyio.wait_all_tasks_blocked()
        transport.gate.set()
    assert len(transport.asked) == 1
    assert purse.spent_usd == pytest.approx(COST)
    await nothing_is_held(purse)


# when something goes wrong


async def told(call: object) -> ModelError | None:
    try:
        await call  # type: ignore[misc]
    except ModelError as error:
        return error
    return None


@pytest.mark.parametrize("kind", [CallRefused, ModelRefused, ContentFiltered, MalformedReply, TruncatedReply])
async def test_a_failure_that_was_billed_costs_what_it_says(kind: type[ModelError]) -> None:
    purse = purse_of(3)
    access = access_to(failing(billed(kind("no"))), price=PRICE, purse=purse, retries=ONCE)
    with pytest.raises(kind):
        await access.complete(CALL)
    assert purse.spent_usd == pytest.approx(COST)
    assert purse.spent_tokens == 15


async def test_an_answer_after_billed_failures_costs_all_of_them() -> None:
    purse = purse_of(3)
    transport = failing(billed(MalformedReply("no")), Overloaded("no"), billed(MalformedReply("no")))
    answer = await access_to(transport, price=PRICE, purse=purse).complete(CALL)
    assert answer.cost_usd == pytest.approx(3 * COST) == pytest.approx(purse.spent_usd)
    assert purse.spent_tokens == 45
    await nothing_is_held(purse)


@pytest.mark.parametrize(
    "error",
    [
        CallTimedOut("no"),
        ConnectionFailed("no", sent=True),
        MalformedReply("no"),
        TruncatedReply("no"),
    ],
)
async def test_a_failure_that_may_have_been_billed_costs_all_that_was_set_aside(error: ModelError) -> None:
    purse = purse_of(3)
    assert await told(access_to(failing(error), price=PRICE, purse=purse, retries=ONCE).complete(CALL)) is error
    assert purse.spent_usd == pytest.approx(MOST.usd)
    assert purse.spent_tokens == MOST.tokens


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailed("no", sent=False),
        Overloaded("no"),
        CallRefused("no"),
        ContentFiltered("no"),
        Unauthorised("no"),
        EndpointDown("no"),
        RateLimited("no", retry_after_s=10**6),
    ],
)
async def test_a_failure_that_nobody_bills_costs_nothing(error: ModelError) -> None:
    purse = purse_of(3)
    assert await told(access_to(failing(error), price=PRICE, purse=purse, retries=ONCE).complete(CALL)) is not None
    assert (purse.spent_usd, purse.spent_tokens) == (0.0, 0)
    await nothing_is_held(purse)


async def test_an_answer_without_a_count_costs_all_that_was_set_aside() -> None:
    for fault in (Fault("no-usage"), Fault("wrong-usage")):
        purse = purse_of(3)
        async with LoopbackEndpoint(faults=[fault]) as server, LeanTransport() as transport:
            endpoint = Endpoint("far/m", "m", server.base_url)
            answer = await access_to(transport, endpoint=endpoint, price=PRICE, purse=purse).complete(CALL)
        assert answer.cost_usd is None
        assert purse.spent_usd == pytest.approx(MOST.usd)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b'{"choices":[{"index":0,"finish_reason":"stop","message":{"refusal":"I will not"}}]}', ModelRefused),
        (b'{"choices":[{"index":0,"finish_reason":"content_filter","message":{"content":null}}]}', ContentFiltered),
        (b'{"choices":[]}', MalformedReply),
    ],
)
async def test_a_reply_without_answer_and_count_costs_all_that_was_set_aside(
    reply: bytes, error: type[ModelError]
) -> None:
    purse = purse_of(3)
    transport = Answering(lambda _: completion(reply))
    with pytest.raises(error):
        await access_to(transport, price=PRICE, purse=purse, retries=ONCE).complete(CALL)
    assert purse.spent_usd == pytest.approx(MOST.usd)


# in a session and a run


async def test_a_budget_in_money_needs_a_price_before_anything_is_sent(tmp_path: Path) -> None:
    async with LoopbackEndpoint() as server:
        environ = {"LOOPBACK_BASE_URL": server.base_url}
        models = [ModelSettings(model="loopback/m")]
        for number, access in enumerate((Access(), Access(batch=True))):
            with pytest.raises(DeclarationError, match="no price is known for loopback/m, so no budget in money"):
                async with open_session(
                    tmp_path / f"{number}.db",
                    models,
                    environ=environ,
                    limits=Limits(budget=Budget(usd=5.0)),
                    seed=0,
                    access=access,
                ):
                    pass
        limits = Limits(budget=Budget(tokens=10**6))
        async with open_session(tmp_path / "tokens.db", models, environ=environ, limits=limits, seed=0) as session:
            assert session.purse is not None
    assert server.ledger == []


async def test_what_nobody_metered_counts_in_full_for_the_next_start_too(tmp_path: Path) -> None:
    model = ModelSettings(model="loopback/m", max_tokens=100)
    call = ModelCall(model, CALL.messages)
    limits = Limits(budget=Budget(tokens=2 * most_of(call, None, 100).tokens))
    errors: list[ModelError | None] = []
    async with LoopbackEndpoint(faults=[Fault("no-usage"), Fault("no-usage")]) as server:
        environ = {"LOOPBACK_BASE_URL": server.base_url}
        for _ in range(3):
            async with open_session(tmp_path / "run.db", [model], environ=environ, limits=limits, seed=0) as session:
                assert session.access is not None
                errors.append(await told(session.access.complete(call)))
    assert errors[:2] == [None, None]
    assert isinstance(errors[2], BudgetExhausted)
    assert len(server.ledger) == 2


async def test_a_run_that_goes_on_keeps_to_one_budget(tmp_path: Path) -> None:
    items = [
        Item(
            id=ItemId(f"i{number}"),
            prompt=f"Question {number}?",
            candidates=(Candidate(slot="a", text="Yes."), Candidate(slot="b", text="No.")),
        )
        for number in range(30)
    ]
    scenario, source = load("judge")
    made = plan(scenario, source=source, models={"*": "loopback/m"})
    budget = Budget(tokens=60_000)
    requests: list[int] = []
    async with LoopbackEndpoint(reasoning_tokens=4_000) as server:
        environ = {"LOOPBACK_BASE_URL": server.base_url}
        for _ in range(3):
            settings = Settings(limits=Limits(budget=budget, concurrency=2), environ=environ)
            with suppress(BudgetExhausted):
                status = await play(made, items, tmp_path / "run", settings)
                assert status.state != "done"
            requests.append(len(server.ledger))
            assert server.totals.input_tokens + server.totals.output_tokens <= 60_000
    assert requests[0] == requests[1] == requests[2] > 2
    with LogReader(tmp_path / "run" / "run.db") as reader:
        assert reader.spent()[1] == server.totals.input_tokens + server.totals.output_tokens


# whatever happens


Sort = Literal["answered", "uncounted", "billed failure", "silent failure", "free failure"]


@dataclass(frozen=True)
class Fate:
    """What becomes of one request."""

    sort: Sort
    takes_s: float
    input_share: float
    output_share: float
    special_share: float


@dataclass(frozen=True)
class Errand:
    """A call that somebody makes, and may break off."""

    fates: tuple[Fate, ...]
    begins_s: float
    lasts_s: float | None
    letters: int
    max_tokens: int


@dataclass
class Billing:
    """A Transport that bills whatever it begins to answer, and writes the bill down."""

    price: Price
    usd: float = 0.0
    tokens: int = 0
    fates: dict[str, list[Fate]] = field(default_factory=dict[str, list[Fate]])

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> Reply:
        left = self.fates[call.messages[0].content]
        fate = left.pop(0) if left else Fate("answered", 0.1, 1.0, 1.0, 1.0)
        usage = self._used(endpoint, call, tier, fate)
        if fate.sort != "free failure":
            self.usd += self.price.cost_usd(usage)
            self.tokens += usage.input_tokens + usage.output_tokens
        await asyncio.sleep(fate.takes_s)
        match fate.sort:
            case "answered":
                return Reply(said(usage=usage), {})
            case "uncounted":
                return Reply(said(usage=Usage(reported=False)), {})
            case "billed failure":
                error: ModelError = MalformedReply("no")
                error.usage = usage
            case "silent failure":
                error = TruncatedReply("no")
            case "free failure":
                error = Overloaded("no")
        raise error

    def _used(self, endpoint: Endpoint, call: ModelCall, tier: Tier, fate: Fate) -> Usage:
        content = sum(len(message.content.encode()) + 16 for message in call.messages)
        assert content <= len(body(endpoint, call, tier))
        given = round(content * fate.input_share)
        taken = round((call.settings.max_tokens or 0) * fate.output_share)
        return Usage(
            input_tokens=given,
            output_tokens=taken,
            cached_tokens=round(given * fate.special_share),
            reasoning_tokens=round(taken * fate.special_share),
        )


async def carried_out(errands: Sequence[Errand], budget: Budget, price: Price) -> tuple[Billing, Purse]:
    billing, purse, clock = Billing(price), Purse(budget), LoopClock()
    access = access_to(
        billing,
        price=price,
        purse=purse,
        clock=clock,
        deadline_s=20.0,
        most=3,
        retries=Retries(dict.fromkeys(TABLE, Rule(times=2, first_s=1.0))),
    )

    async def one(number: int, errand: Errand) -> None:
        name = f"{number}: "
        billing.fates[name] = list(errand.fates)
        settings = ModelSettings(model="far/m", max_tokens=errand.max_tokens)
        messages = (ChatMessage("system", name), ChatMessage("user", "x" * errand.letters))
        await asyncio.sleep(errand.begins_s)
        with suppress(ModelError, TimeoutError):
            async with asyncio.timeout(errand.lasts_s):
                await access.complete(ModelCall(settings, messages))
        assert purse.spent_usd <= (budget.usd or 0.0) + 1e-9

    async with asyncio.TaskGroup() as tasks:
        for number, errand in enumerate(errands):
            tasks.create_task(one(number, errand))
    assert access.pending() == ()
    await nothing_is_held(purse)
    return billing, purse


shares = st.floats(min_value=0, max_value=1)
spans_s = st.sampled_from([0.0, 0.1, 1.0, 3.0, 60.0])
sorts: st.SearchStrategy[Sort] = st.sampled_from(
    ["answered", "uncounted", "billed failure", "silent failure", "free failure"]
)
fates = st.builds(Fate, sorts, spans_s, shares, shares, shares)
errands_drawn = st.builds(
    Errand,
    st.lists(fates, max_size=4).map(tuple),
    begins_s=spans_s,
    lasts_s=st.one_of(st.none(), spans_s),
    letters=st.integers(0, 400),
    max_tokens=st.integers(1, 800),
)
priced = st.builds(
    Price,
    input_cost_per_token=st.floats(0, 0.01),
    output_cost_per_token=st.floats(0, 0.01),
    cache_read_input_token_cost=st.just(0.0),
    output_cost_per_reasoning_token=st.one_of(st.none(), st.floats(0, 0.02)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(errands_drawn, min_size=1, max_size=12), st.floats(0.1, 40), st.integers(300, 8_000), priced)
def test_no_budget_is_overshot_whatever_fails_or_is_broken_off(
    errands: list[Errand], usd: float, tokens: int, price: Price
) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        billing, purse = runner.run(carried_out(errands, Budget(usd, tokens), price))
    assert billing.usd <= purse.spent_usd + 1e-9 <= usd + 2e-9
    assert billing.tokens <= purse.spent_tokens <= tokens


async def test_no_budget_is_overshot_at_an_endpoint_that_misbehaves() -> None:
    quick = Retries(dict.fromkeys(TABLE, Rule(times=3, first_s=0.1)))
    mishaps = Mishaps(
        0.5,
        (
            "status",
            "reset",
            "malformed",
            "truncated",
            "truncated-json",
            "no-usage",
            "wrong-usage",
            "cut-off",
            "refused",
            "filtered",
            "no-choices",
        ),
        seed=3,
    )
    purse = Purse(Budget(usd=MOST.usd * 12))
    async with (
        LoopbackEndpoint(mishaps=mishaps, cached_share=0.3, reasoning_tokens=50) as server,
        LeanTransport() as transport,
    ):
        endpoint = Endpoint("far/m", "m", server.base_url)
        access = access_to(transport, endpoint=endpoint, price=PRICE, purse=purse, retries=quick, most=8)
        async with asyncio.TaskGroup() as calls:
            results = [calls.create_task(told(access.complete(CALL))) for _ in range(80)]
    ends = [type(result.result()) for result in results]
    assert {type(None), BudgetExhausted, ModelRefused} <= set(ends)
    assert server.totals.unmetered > 0
    cost = server.totals.cost_usd(PRICE.input_cost_per_token, PRICE.output_cost_per_token)
    assert 0 < cost + server.totals.unmetered * COST <= purse.spent_usd <= MOST.usd * 12
