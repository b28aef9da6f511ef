"""How an endpoint is held to the form of an answer: the strictest way that it takes, learned once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from asking import CALL, FAR, SCORED, SETTINGS, access_to, said

from fellowship.protocols.errors import CallRefused, ModelError, ModelNotFound, Overloaded, PromptTooLong, Unauthorised
from fellowship.protocols.models import ModelCall, ModelSettings, Tier
from fellowship.runtime.models import Endpoint, LeanTransport, ModelAccess, resolve
from fellowship.runtime.models.structure import TIERS
from fellowship.runtime.models.wire import Reply
from fellowship.runtime.session import Access, Limits, open_session
from fellowship.runtime.testing import Fault, LoopbackEndpoint

JSON = '{"rationale": "so", "score": 3}'
FORMS: dict[str, Tier] = {"json_schema": "json-schema", "json_object": "json-object"}


@asynccontextmanager
async def asking(server: LoopbackEndpoint, tier: Tier = "json-schema") -> AsyncGenerator[ModelAccess, None]:
    async with server, LeanTransport() as transport:
        yield access_to(transport, endpoint=replace(FAR, base_url=server.base_url, tier=tier))


def way(request: Any) -> Tier:
    if "tools" in request:
        return "tool"
    return FORMS[request["response_format"]["type"]] if "response_format" in request else "text"


def ways(server: LoopbackEndpoint) -> list[Tier]:
    return [way(served.request) for served in server.ledger]


def refusing(words: str, status: int = 400, **more: str) -> Fault:
    return Fault(status=status, error={"message": words, **more})


async def failed(access: ModelAccess, call: ModelCall = SCORED) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await access.complete(call)
    return caught.value


@pytest.mark.parametrize("rung", range(4))
async def test_the_strictest_way_that_an_endpoint_takes_is_learned_with_the_first_call(rung: int) -> None:
    server = LoopbackEndpoint(lambda _: JSON, tiers=TIERS[rung:])
    async with asking(server) as access:
        first = await access.complete(SCORED)
        assert ways(server) == list(TIERS[: rung + 1])
        assert len(first.attempts) == rung + 1
        for _ in range(2):
            answer = await access.complete(SCORED)
            assert (answer.text, answer.tier, len(answer.attempts)) == (JSON, TIERS[rung], 1)
    assert ways(server)[rung + 1 :] == [TIERS[rung]] * 2
    assert first.tier == TIERS[rung]


async def test_a_weaker_way_is_learned_also_where_the_answer_begins_with_words() -> None:
    server = LoopbackEndpoint(lambda _: f"Here you are: {JSON}", tiers=())
    async with asking(server) as access:
        for _ in range(3):
            assert (await access.complete(SCORED)).tier == "text"
    assert ways(server) == [*TIERS, "text", "text"]


async def test_calls_at_once_all_find_their_way_and_the_next_know_it() -> None:
    server = LoopbackEndpoint(lambda _: JSON, tiers=("json-object",))
    async with asking(server) as access:
        async with asyncio.TaskGroup() as calls:
            answers = [calls.create_task(access.complete(SCORED)) for _ in range(10)]
        assert {answer.result().tier for answer in answers} == {"json-object"}
        assert len(server.ledger) <= 30
        before = len(server.ledger)
        await access.complete(SCORED)
    assert ways(server)[before:] == ["json-object"]


class Late:
    """A Transport that knows no forms, and is slow to say so to the first who asks."""

    def __init__(self) -> None:
        self.ways: list[Tier] = []
        self.gate = asyncio.Event()

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> Reply:
        self.ways.append(tier)
        if len(self.ways) == 1:
            await self.gate.wait()
        if tier != "text":
            raise CallRefused("no forms")
        return Reply(said(JSON, tier=tier), {})


async def test_a_call_that_is_refused_late_takes_the_way_that_others_have_found() -> None:
    transport = Late()
    access = access_to(transport)
    async with asyncio.TaskGroup() as calls:
        first = calls.create_task(access.complete(SCORED))
        await anyio.wait_all_tasks_blocked()
        await access.complete(SCORED)
        transport.gate.set()
    assert transport.ways == ["json-schema", *TIERS, "text"]
    assert first.result().tier == "text"


async def test_free_text_is_held_to_nothing_and_teaches_nothing() -> None:
    server = LoopbackEndpoint(lambda call: JSON if call.answer else "Well.")
    async with asking(server) as access:
        for _ in range(5):
            assert (await access.complete(CALL)).tier is None
        assert (await access.complete(SCORED)).tier == "json-schema"
    assert ways(server) == ["text"] * 5 + ["json-schema"]


async def test_what_is_learned_with_one_setting_holds_for_others() -> None:
    server = LoopbackEndpoint(lambda _: JSON, tiers=("tool",))
    async with asking(server) as access:
        await access.complete(SCORED)
        await access.complete(replace(SCORED, settings=SETTINGS.model_copy(update={"temperature": 1.0})))
    assert ways(server) == ["json-schema", "tool", "tool"]


# endpoints that pass over what they were asked


async def test_an_endpoint_that_passes_over_a_form_is_found_out() -> None:
    server = LoopbackEndpoint(lambda call: JSON if call.answer else "Well, three.", ignores=("json-schema",))
    async with asking(server) as access:
        answers = [await access.complete(SCORED) for _ in range(5)]
    assert [answer.tier for answer in answers] == ["json-schema"] * 3 + ["tool"] * 2
    assert answers[-1].text == JSON
    assert len(server.ledger) == 5


async def test_an_endpoint_that_passes_over_every_form_is_asked_in_words_in_the_end() -> None:
    server = LoopbackEndpoint(lambda _: "Well, three.", ignores=TIERS)
    async with asking(server) as access:
        answers = [await access.complete(SCORED) for _ in range(13)]
    assert [answer.tier for answer in answers] == [tier for tier in TIERS[:3] for _ in range(3)] + ["text"] * 4


async def test_answers_that_were_under_way_when_a_way_was_given_up_say_nothing_of_the_next() -> None:
    server = LoopbackEndpoint(lambda _: "Well, three.", ignores=TIERS, latency_s=0.001)
    async with asking(server) as access:
        async with asyncio.TaskGroup() as calls:
            for _ in range(10):
                calls.create_task(access.complete(SCORED))
        assert set(ways(server)) == {"json-schema"}
        later = [(await access.complete(SCORED)).tier for _ in range(4)]
    assert later == ["tool", "tool", "tool", "json-object"]


@pytest.mark.parametrize("text", [JSON, f"\n  {JSON}", f"```json\n{JSON}\n```", f"<think>hm</think>{JSON}"])
async def test_an_answer_like_json_shows_that_the_way_works(text: str) -> None:
    texts = iter(["Well.", "Well.", text, *["Well."] * 9])
    server = LoopbackEndpoint(lambda _: next(texts), ignores=TIERS)
    async with asking(server) as access:
        answers = [await access.complete(SCORED) for _ in range(12)]
    assert {answer.tier for answer in answers} == {"json-schema"}


# refusals


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refusing("too long", code="context_length_exceeded"), PromptTooLong),
        (refusing("wrong key", 401), Unauthorised),
        (refusing("no such model", 404), ModelNotFound),
    ],
)
async def test_a_refusal_for_another_reason_is_told_at_once(fault: Fault, error: type[ModelError]) -> None:
    server = LoopbackEndpoint(lambda _: JSON, faults=[fault])
    async with asking(server) as access:
        assert type(await failed(access)) is error
        assert ways(server) == ["json-schema"]
        if error is not Unauthorised:  # nobody is sent again with a key that is not accepted
            assert (await access.complete(SCORED)).tier == "json-schema"


async def test_a_failure_on_the_way_does_not_lower_it() -> None:
    server = LoopbackEndpoint(lambda _: JSON, faults=[Fault(status=500), Fault(status=429), Fault("reset")])
    async with asking(server) as access:
        assert (await access.complete(SCORED)).tier == "json-schema"
    assert set(ways(server)) == {"json-schema"}


async def test_a_refusal_of_free_text_tries_no_forms() -> None:
    server = LoopbackEndpoint(faults=[refusing("no")])
    async with asking(server) as access:
        await failed(access, CALL)
    assert ways(server) == ["text"]


async def test_where_every_form_is_refused_the_first_refusal_is_told() -> None:
    faults = [refusing(words) for words in ("temperature must be 1", "no tools", "no json", "no prompt")]
    server = LoopbackEndpoint(lambda _: JSON, faults=faults)
    async with asking(server) as access:
        error = await failed(access)
        assert isinstance(error, CallRefused)
        assert "temperature must be 1" in str(error)
        assert [attempt.error is not None for attempt in error.attempts] == [True] * 4
        assert ways(server) == list(TIERS)
        assert (await access.complete(SCORED)).tier == "json-schema"


async def test_a_failure_after_a_refused_form_is_told_as_it_is() -> None:
    server = LoopbackEndpoint(faults=[refusing("no schemas"), *[Fault(status=500)] * 20])
    async with asking(server) as access:
        assert isinstance(await failed(access), Overloaded)
    assert set(ways(server)[1:]) == {"tool"}


async def test_a_way_that_has_worked_is_not_given_up_for_a_refusal_of_something_else() -> None:
    server = LoopbackEndpoint(lambda _: JSON, faults=[None, refusing("messages: this is not to our taste")])
    async with asking(server) as access:
        await access.complete(SCORED)
        assert "not to our taste" in str(await failed(access))
        assert (await access.complete(SCORED)).tier == "json-schema"
    assert ways(server) == ["json-schema"] * 3


@pytest.mark.parametrize(
    "words",
    [
        "response_format is not supported",
        "Invalid parameter: json_schema",
        "This model does not support structured output",
        "Function calls are not enabled",
        "tool_choice: unexpected",
    ],
)
async def test_a_way_that_has_worked_is_given_up_for_a_refusal_of_the_form(words: str) -> None:
    server = LoopbackEndpoint(lambda _: JSON, faults=[None, refusing(words)])
    async with asking(server) as access:
        for _ in range(3):
            await access.complete(SCORED)
    assert ways(server) == ["json-schema", "json-schema", "tool", "tool"]


# what the scenario and the provider say


@pytest.mark.parametrize("tier", TIERS)
async def test_a_way_that_the_scenario_names_is_kept(tier: Tier, tmp_path: Path) -> None:
    model = ModelSettings(model="loopback/m", tier=tier)
    async with LoopbackEndpoint(lambda _: JSON) as server:
        environ = {"LOOPBACK_BASE_URL": server.base_url}
        async with open_session(tmp_path / "run.db", [model], environ=environ, limits=Limits(), seed=0) as session:
            assert session.access is not None
            for _ in range(5):
                assert (await session.access.complete(replace(SCORED, settings=model))).tier == tier
    assert ways(server) == [tier] * 5


async def test_a_way_that_the_scenario_names_is_not_the_way_of_others_at_the_endpoint(tmp_path: Path) -> None:
    models = [ModelSettings(model="loopback/m", tier=tier) for tier in ("text", None, "tool")]
    async with LoopbackEndpoint(lambda _: JSON, tiers=("tool",)) as server:
        environ = {"LOOPBACK_BASE_URL": server.base_url}
        async with open_session(
            tmp_path / "run.db", models, environ=environ, limits=Limits(), seed=0, access=Access()
        ) as session:
            assert session.access is not None
            for model in (*models, *models):
                await session.access.complete(replace(SCORED, settings=model))
    assert ways(server) == ["text", "json-schema", "tool", "tool", "text", "tool", "tool"]


async def test_a_named_way_that_is_refused_gives_way_to_weaker_ones_only() -> None:
    server = LoopbackEndpoint(lambda _: JSON, tiers=("json-schema", "json-object"))
    async with asking(server, "tool") as access:
        for _ in range(2):
            assert (await access.complete(SCORED)).tier == "json-object"
    assert ways(server) == ["tool", "json-object", "json-object"]


def test_a_provider_without_schemas_is_not_asked_for_them() -> None:
    environ = {"DEEPSEEK_API_KEY": "k", "OPENAI_API_KEY": "k"}
    named = ModelSettings(model="deepseek/deepseek-chat", tier="json-object")
    assert resolve(ModelSettings(model="deepseek/deepseek-chat"), environ).tier == "tool"
    assert resolve(ModelSettings(model="openai/gpt-4o"), environ).tier == "json-schema"
    assert resolve(named, environ).tier == "json-object"
