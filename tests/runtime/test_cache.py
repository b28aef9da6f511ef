"""Answers that were paid for once: what makes them the same, which are kept, and what harms a file of them."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from asking import CALL, FAR, SCHEMA, SCORED, SETTINGS, Answering, access_to, said
from structlog.testing import capture_logs

from fellowship.protocols.errors import (
    BudgetExhausted,
    CallRefused,
    ContentFiltered,
    LogError,
    ModelError,
    ModelRefused,
    Overloaded,
)
from fellowship.protocols.models import (
    AnswerSchema,
    ChatMessage,
    Completion,
    ModelCall,
    ModelSettings,
    TokenLogprob,
    Usage,
)
from fellowship.runtime.log import open_log
from fellowship.runtime.models import Budget, Endpoint, LeanTransport, Price, Retries, resolve
from fellowship.runtime.models.budget import Purse
from fellowship.runtime.models.cache import AnswerCache, address, open_cache, repeatable
from fellowship.runtime.session import Access, Limits, open_session
from fellowship.runtime.testing import Fault, LoopbackEndpoint

ENVIRON = {"ACME_BASE_URL": "https://acme.example/v1", "ACME_API_KEY": "sk-one", "OTHER_API_KEY": "sk-two"}
FULL = ModelSettings(
    model="acme/m",
    temperature=0.5,
    max_tokens=100,
    top_p=0.9,
    seed=1,
    stop=("END",),
    sample=1,
    logprobs=2,
    reasoning_effort="low",
)


def where(settings: ModelSettings, call: ModelCall = SCORED, environ: Mapping[str, str] = ENVIRON) -> bytes:
    return address(resolve(settings, environ), replace(call, settings=settings))


# what makes an answer what it is

CHANGES: dict[str, tuple[Any, ...]] = {
    "model": ("acme/n",),
    "temperature": (0.6, 0.0, None),
    "max_tokens": (101, None),
    "top_p": (0.8, None),
    "seed": (2, 0, None),
    "stop": (("STOP",), ("END", "STOP"), ()),
    "sample": (2, 0, None),
    "logprobs": (3, 0, None),
    "reasoning_effort": ("high", None),
    "base_url": ("https://elsewhere.example/v1",),
    "tier": ("tool", "json-object", "text"),
}
CHANGES_NOTHING = {"key_env"}


def test_every_setting_is_part_of_the_address_or_known_to_change_no_answer() -> None:
    assert {*CHANGES, *CHANGES_NOTHING} == set(ModelSettings.model_fields)


@pytest.mark.parametrize(("name", "values"), CHANGES.items(), ids=CHANGES)
def test_a_setting_of_another_value_has_another_address(name: str, values: tuple[Any, ...]) -> None:
    changed = [where(FULL.model_copy(update={name: value})) for value in values]
    assert len({where(FULL), *changed}) == len(values) + 1


def test_who_pays_is_no_part_of_the_address() -> None:
    assert where(FULL.model_copy(update={"key_env": "OTHER_API_KEY"})) == where(FULL)
    assert where(FULL, environ={**ENVIRON, "ACME_API_KEY": "sk-three"}) == where(FULL)
    assert where(FULL, environ={**ENVIRON, "ACME_BASE_URL": "https://acme.example/v1/"}) == where(FULL)


def other_call(**changes: Any) -> ModelCall:
    return replace(SCORED, **changes)


SYSTEM, USER = CALL.messages
TURNED = {**SCHEMA, "properties": dict(reversed(SCHEMA["properties"].items()))}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "call",
    [
        other_call(messages=(SYSTEM, ChatMessage("user", "why is it so "))),
        other_call(messages=(ChatMessage("system", "be brief."), USER)),
        other_call(messages=(USER, SYSTEM)),
        other_call(messages=(SYSTEM, USER, USER)),
        other_call(messages=(USER,)),
        other_call(messages=(ChatMessage("user", SYSTEM.content), USER)),
        other_call(messages=(SYSTEM, ChatMessage("assistant", USER.content))),
        other_call(messages=(ChatMessage("system", SYSTEM.content + USER.content),)),
        other_call(answer=None),
        other_call(answer=AnswerSchema("verdict", SCHEMA)),
        other_call(answer=AnswerSchema("score", {**SCHEMA, "required": ["score"]})),
        other_call(answer=AnswerSchema("score", TURNED)),
    ],
)
def test_another_question_has_another_address(call: ModelCall) -> None:
    assert where(FULL, call) != where(FULL, SCORED)


def test_the_same_question_has_the_same_address_whoever_puts_it_together() -> None:
    again = ModelCall(
        SETTINGS,
        tuple(ChatMessage(message.role, "".join(list(message.content))) for message in SCORED.messages),
        AnswerSchema("score", orjson.loads(orjson.dumps(SCHEMA))),
    )
    assert where(ModelSettings.model_validate(FULL.model_dump()), again) == where(FULL, SCORED)


@pytest.mark.parametrize(
    "endpoint",
    [
        replace(FAR, model="n"),
        replace(FAR, base_url="https://models.example/v2"),
        replace(FAR, api_version="2024-10-21"),
        replace(FAR, weights="tiny-q8.gguf"),
        replace(FAR, longest_string=200),
        replace(FAR, tier="tool"),
    ],
)
def test_another_endpoint_has_another_address(endpoint: Endpoint) -> None:
    assert address(endpoint, SCORED) != address(FAR, SCORED)


def test_weights_are_an_identity_wherever_they_are_served() -> None:
    here = replace(FAR, weights="tiny-q8.gguf")
    assert address(replace(here, base_url="http://127.0.0.1:4711/v1"), CALL) == address(here, CALL)
    assert address(replace(here, weights="tiny-q4.gguf"), CALL) != address(here, CALL)


def test_the_longest_answer_that_a_budget_sets_is_part_of_the_address() -> None:
    open_ended = ModelCall(ModelSettings(model="far/m"), CALL.messages)
    assert address(replace(FAR, longest_answer=100), open_ended) != address(FAR, open_ended)


async def test_a_message_that_cannot_be_written_is_refused_as_without_a_cache(tmp_path: Path) -> None:
    transport = Answering()
    async with open_cache(tmp_path / "answers.db") as cache:
        with pytest.raises(CallRefused, match="cannot be sent"):
            await access_to(transport, cache=cache).complete(ModelCall(SETTINGS, (ChatMessage("user", "\ud800"),)))
    assert transport.asked == []


# which answers are kept


async def twice(
    folder: Path,
    transport: Answering,
    call: ModelCall = CALL,
    *,
    endpoint: Endpoint = FAR,
    cache_here: bool = False,
) -> list[Completion | ModelError]:
    """Ask twice, the second time over a file that was closed and opened again."""
    answers: list[Completion | ModelError] = []
    for _ in range(2):
        async with open_cache(folder / "answers.db") as cache:
            access = access_to(
                transport,
                endpoint=endpoint,
                settings=call.settings,
                cache=cache,
                cache_here=cache_here,
                retries=Retries({}),
            )
            try:
                answers.append(await access.complete(call))
            except ModelError as error:
                answers.append(error)
    return answers


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, True),
        ({"temperature": 0.0}, True),
        ({"temperature": None}, False),
        ({"temperature": 0.7}, False),
        ({"temperature": 0.7, "seed": 0}, True),
        ({"temperature": 0.7, "sample": 0}, True),
        ({"temperature": None, "seed": 7}, True),
        ({"temperature": 0.7, "top_p": 0.1}, False),
    ],
)
async def test_what_chance_decided_is_kept_only_where_its_outcome_is_named(
    settings: dict[str, Any], kept: bool, tmp_path: Path
) -> None:
    call = ModelCall(ModelSettings(model="far/m", **settings), CALL.messages)
    assert repeatable(call.settings) is kept
    transport = Answering()
    await twice(tmp_path, transport, call)
    assert len(transport.asked) == (1 if kept else 2)


async def test_samples_of_one_question_are_answers_of_their_own(tmp_path: Path) -> None:
    texts = iter("abcdef")
    transport = Answering(lambda _: said(next(texts)))
    async with open_cache(tmp_path / "answers.db") as cache:
        access = access_to(transport, cache=cache)
        samples = [ModelCall(SETTINGS.model_copy(update={"sample": n}), CALL.messages) for n in (0, 1, 2, 0, 1, 2)]
        assert [(await access.complete(sample)).text for sample in samples] == ["a", "b", "c", "a", "b", "c"]


@pytest.mark.parametrize(
    "answer",
    [
        said(finish_reason="length"),
        said(finish_reason="content_filter"),
        said(finish_reason="other"),
        said(""),
        said(" \n"),
    ],
    ids=["cut off", "filtered", "ended otherwise", "empty", "blank"],
)
async def test_an_answer_that_is_not_whole_is_asked_for_again(answer: Completion, tmp_path: Path) -> None:
    transport = Answering(lambda _: replace(answer))
    await twice(tmp_path, transport)
    assert len(transport.asked) == 2


@pytest.mark.parametrize("kind", [ModelRefused, ContentFiltered, Overloaded, CallRefused])
async def test_a_failure_is_asked_for_again(kind: type[ModelError], tmp_path: Path) -> None:
    def fail(_: ModelCall) -> Completion:
        raise kind("no")

    transport = Answering(fail)
    answers = await twice(tmp_path, transport)
    assert [type(answer) for answer in answers] == [kind, kind]
    assert len(transport.asked) == 2


async def test_spoiled_replies_of_an_endpoint_are_not_kept_and_good_ones_are(tmp_path: Path) -> None:
    faults = [Fault("cut-off"), Fault("refused"), Fault("filtered"), Fault(status=400)]
    async with (
        LoopbackEndpoint(lambda _: "one two", faults=faults) as server,
        LeanTransport() as transport,
        open_cache(tmp_path / "answers.db") as cache,
    ):
        endpoint = replace(FAR, base_url=server.base_url)
        access = access_to(transport, endpoint=endpoint, cache=cache, cache_here=True)
        texts: list[str] = []
        for _ in range(7):
            try:
                texts.append((await access.complete(CALL)).text)
            except ModelError as error:
                texts.append(type(error).__name__)
    assert texts == ["one", "ModelRefused", "ContentFiltered", "CallRefused", "one two", "one two", "one two"]
    assert len(server.ledger) == 5
    assert cache.hits == 2


@pytest.mark.parametrize(("cache_here", "requests"), [(False, 2), (True, 1)])
@pytest.mark.parametrize(
    "endpoint",
    [
        replace(FAR, base_url="http://127.0.0.1:8000/v1"),
        replace(FAR, base_url="http://localhost:11434/v1"),
        replace(FAR, base_url="http://[::1]:80/v1"),
        replace(FAR, weights="tiny.gguf"),
    ],
)
async def test_answers_of_this_machine_are_kept_only_on_demand(
    endpoint: Endpoint, cache_here: bool, requests: int, tmp_path: Path
) -> None:
    transport = Answering()
    await twice(tmp_path, transport, endpoint=endpoint, cache_here=cache_here)
    assert len(transport.asked) == requests


async def test_a_session_keeps_answers_in_the_file_it_is_given(tmp_path: Path) -> None:
    async with LoopbackEndpoint() as server:
        models = [ModelSettings(model="loopback/m")]
        environ = {"LOOPBACK_BASE_URL": server.base_url}
        for number, here in enumerate((False, True, True)):
            access = Access(cache=tmp_path / "cache" / "answers.db", cache_here=here)
            async with open_session(
                tmp_path / f"{number}.db", models, environ=environ, limits=Limits(), seed=0, access=access
            ) as session:
                assert session.access is not None
                await session.access.complete(ModelCall(models[0], CALL.messages))
    assert len(server.ledger) == 2


# what a hit is


async def test_a_hit_is_the_answer_as_it_was_and_costs_nothing(tmp_path: Path) -> None:
    logprobs = (TokenLogprob(token="so", logprob=-0.5, alternatives=((" no", -1.5),)),)  # noqa: S106 - a token of text
    facts: dict[str, Any] = {"reasoning": "hm", "logprobs": logprobs, "tier": "tool", "finish_reason": "tool_calls"}
    first, second = await twice(tmp_path, Answering(lambda _: said("ß \u2028 {}", **facts)), SCORED)
    assert isinstance(first, Completion)
    assert isinstance(second, Completion)
    assert (first.source, first.usage.input_tokens) == ("endpoint", 10)
    assert second == replace(first, source="cache", usage=Usage(), cost_usd=0.0, attempts=())


async def test_a_hit_needs_no_budget(tmp_path: Path) -> None:
    price = Price(input_cost_per_token=1.0, output_cost_per_token=1.0)
    async with open_cache(tmp_path / "answers.db") as cache:
        await access_to(Answering(), cache=cache).complete(CALL)
        transport, purse = Answering(), Purse(Budget(usd=0.01))
        access = access_to(transport, cache=cache, price=price, purse=purse)
        assert (await access.complete(CALL)).cost_usd == 0.0
        with pytest.raises(BudgetExhausted):
            await access.complete(SCORED)
    assert (purse.spent_usd, purse.spent_tokens, transport.asked) == (0.0, 0, [])


# the file


def answer_of(number: int) -> tuple[bytes, Completion]:
    return number.to_bytes(16, "big"), said(f"{number} " + "x" * 2_000)


def known(cache: AnswerCache, numbers: range) -> set[int]:
    return {number for number in numbers if cache.get(number.to_bytes(16, "big")) is not None}


async def test_past_its_bound_the_answers_go_that_were_not_used_for_longest(tmp_path: Path) -> None:
    path, largest = tmp_path / "answers.db", 100_000
    async with open_cache(path, largest=largest) as cache:
        for number in range(120):
            cache.put(*answer_of(number))
            assert cache.get(answer_of(min(7, number))[0]) is not None
            await cache.flush()
    async with open_cache(path, largest=largest) as cache:
        left = known(cache, range(120))
    assert 7 in left
    newest = sorted(left - {7})
    assert newest == list(range(newest[0], 120))
    assert 10 < len(newest) < 50
    with sqlite3.connect(path) as connection:
        size = sum(len(answer) for (answer,) in connection.execute("SELECT answer FROM answers"))
    connection.close()
    assert size <= largest
    assert path.stat().st_size < 2 * largest


async def test_an_answer_is_found_while_it_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    async with open_cache(path) as cache:
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")  # another process is writing: ours has to wait
            async with asyncio.TaskGroup() as tasks:
                cache.put(*answer_of(1))
                tasks.create_task(cache.flush())
                await anyio.wait_all_tasks_blocked()
                assert known(cache, range(3)) == {1}
                other.execute("COMMIT")
            assert known(cache, range(3)) == {1}
            assert other.execute("SELECT count(*) FROM answers").fetchone() == (1,)
        finally:
            other.close()


async def test_everything_is_written_when_a_run_is_broken_off(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"

    async def run() -> None:
        async with open_cache(path) as cache:
            cache.put(*answer_of(1))
            await anyio.sleep_forever()

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run())
        await anyio.wait_all_tasks_blocked()
        running.cancel()
    async with open_cache(path) as cache:
        assert known(cache, range(3)) == {1}


async def test_one_run_finds_what_another_has_written(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    async with open_cache(path) as one, open_cache(path) as other:
        one.put(*answer_of(1))
        other.put(*answer_of(2))
        await one.flush()
        await other.flush()
        assert known(one, range(4)) == known(other, range(4)) == {1, 2}


PROCESS = """
import asyncio, sys
from pathlib import Path
from fellowship.protocols.models import Completion, Usage
from fellowship.runtime.models.cache import open_cache

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    async with open_cache(Path(sys.argv[1])) as cache:
        for number in range(int(sys.argv[2]), int(sys.argv[2]) + 8):
            cache.put(number.to_bytes(16, "big"), Completion("so", "stop", "m", Usage()))
            await cache.flush()

asyncio.run(main())
"""


def test_two_processes_share_a_file_from_its_first_moment(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, path, first],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        for first in ("0", "100")
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, complaints = process.communicate(timeout=60)
        assert (process.returncode, complaints) == (0, "")
    asyncio.run(both_are_there(path))


async def both_are_there(path: Path) -> None:
    async with open_cache(path) as cache:
        assert known(cache, range(200)) == {*range(8), *range(100, 108)}


# what harms it


async def harmed(path: Path, harm: Callable[[Path], object]) -> list[Mapping[str, Any]]:
    """Fill a cache, do harm to its file, and ask for everything again; returns what was logged."""
    calls = [ModelCall(SETTINGS, (ChatMessage("user", f"{number} " + "x" * 500),)) for number in range(80)]
    echo = Answering(lambda call: said(call.messages[0].content))
    async with open_cache(path) as cache:
        access = access_to(echo, cache=cache)
        for call in calls:
            await access.complete(call)
    harm(path)
    with capture_logs() as logs:
        async with open_cache(path) as cache:
            access = access_to(echo, cache=cache)
            for call in calls:
                assert (await access.complete(call)).text == call.messages[0].content
            assert len(echo.asked) == 2 * len(calls) - cache.hits
            await cache.flush()
    return logs


def overwrite_pages(path: Path) -> None:
    with path.open("r+b") as file:
        size = path.stat().st_size
        file.seek(4 * 4096)
        file.write(b"\xa5" * (size - 4 * 4096))


def overwrite_answers(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE answers SET answer = '{\"text\": 3}' WHERE used % 2")
        connection.execute("UPDATE answers SET answer = 'garbage' WHERE used % 3 = 0")
    connection.close()


@pytest.mark.parametrize("harm", [overwrite_pages, overwrite_answers])
async def test_what_a_damaged_file_does_not_give_back_is_asked_for_again(
    harm: Callable[[Path], object], tmp_path: Path
) -> None:
    logs = await harmed(tmp_path / "answers.db", harm)
    assert [entry["path"] for entry in logs if entry["event"] == "cache_not_read"] == [str(tmp_path / "answers.db")]


async def test_a_sound_file_is_told_nothing_about(tmp_path: Path) -> None:
    assert await harmed(tmp_path / "answers.db", lambda _: None) == []


async def test_answers_that_cannot_be_written_end_no_run(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    transport = Answering()
    with capture_logs() as logs:
        async with open_cache(path) as cache:
            with sqlite3.connect(path) as other:
                other.execute("DROP TABLE answers")
            other.close()
            access = access_to(transport, cache=cache)
            assert (await access.complete(CALL)).text == "so"
            await cache.flush()
            assert (await access.complete(CALL)).text == "so"
    assert len(transport.asked) == 2
    written = [entry for entry in logs if entry["event"] == "cache_not_written"]
    assert written[0]["answers"] == 1
    assert "no such table" in written[0]["reason"]


def text_file(path: Path) -> None:
    path.write_text("these are my notes, and nobody else's\n" * 40)


def folder(path: Path) -> None:
    path.mkdir()


def cut_short(path: Path) -> None:
    other_database(path)
    path.write_bytes(path.read_bytes()[:3_000])


def other_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE notes (text)")
        connection.execute("INSERT INTO notes VALUES ('mine')")
    connection.close()


def other_answers(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE answers (question, answer)")
    connection.close()


@pytest.mark.parametrize("make", [text_file, folder, cut_short, other_database, other_answers])
async def test_a_file_of_something_else_is_told_and_left_as_it_is(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(LogError, match=r"cannot be opened: .*; --no-cache does without") as caught:
        async with open_cache(path):
            pass
    assert str(path) in str(caught.value)
    if make is not other_answers:  # its name is ours: that it is not is found out late
        assert (path.read_bytes() if path.is_file() else None) == before


async def test_the_log_of_a_run_does_not_become_a_cache(tmp_path: Path) -> None:
    async with open_log(tmp_path / "run.db"):
        pass
    with pytest.raises(LogError, match="a database of something else"):
        async with open_cache(tmp_path / "run.db"):
            pass


async def test_a_session_says_what_is_wrong_with_its_cache(tmp_path: Path) -> None:
    text_file(tmp_path / "notes.txt")
    models = [ModelSettings(model="acme/m")]
    with pytest.raises(LogError, match="notes.txt cannot be opened"):
        async with open_session(
            tmp_path / "run.db",
            models,
            environ=ENVIRON,
            limits=Limits(),
            seed=0,
            access=Access(cache=tmp_path / "notes.txt"),
        ):
            pass


async def test_an_empty_file_becomes_a_cache(tmp_path: Path) -> None:
    (tmp_path / "answers.db").touch()
    transport = Answering()
    await twice(tmp_path, transport)
    assert len(transport.asked) == 1
