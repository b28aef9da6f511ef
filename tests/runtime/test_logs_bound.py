"""Lines as somebody gets them who has set up structlog in another way, of runs that are broken off and gone on with."""

import asyncio
import logging
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from logs_bound import OF_A_RUN, joined
from playing import at, items, library

from fellowship.runtime.models import Budget
from fellowship.runtime.session import Access, Limits
from fellowship.runtime.testing import Fault, LoopbackBatches, LoopbackEndpoint, ManualClock
from fellowship.scenarios import Plan, Settings, Status, play, rehearse
from fellowship.scenarios.again import replay, retry

REVOKED = Fault(status=401, error={"message": "this key is not known here", "code": "invalid_api_key"})
LIMITED = Fault(status=429, headers={"retry-after": "0"}, error={"message": "slow down"})
BROKEN = Fault(status=400, error={"message": "not this one"})


@contextmanager
def listening() -> Generator[list[dict[str, Any]], None, None]:
    """Set up structlog as a library user might, without any of our processors; every line is kept as it comes."""
    kept: list[dict[str, Any]] = []

    def keep(logger: object, level: str, event: structlog.typing.EventDict) -> Mapping[str, Any]:
        del logger
        kept.append({**event, "level": level})
        raise structlog.DropEvent

    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    try:
        yield kept
    finally:
        structlog.reset_defaults()


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    with listening() as kept:
        yield kept


async def played(made: Plan, out: Path, server: LoopbackEndpoint, *, count: int = 3, **more: Any) -> Status:
    limits = Limits(concurrency=2, **more.pop("limits", {}))
    return await play(made, items(count), out, Settings(environ=at(server.base_url), limits=limits, **more))


def of(lines: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == event]


async def test_whoever_configures_structlog_alone_gets_the_same_ids_of_all_that_talk_at_once(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    async with LoopbackEndpoint() as server:
        await played(library("debate"), tmp_path / "run", server)
    joined(lines, tmp_path / "run")
    assert len(of(lines, "make_argument")) == len(of(lines, "argument_made")) == 18
    assert all(len(line["heard_by"]) == 2 for line in of(lines, "argument_made"))
    assert {line["level"] for line in lines} == {"debug", "info"}
    words = {"text", "reason", "messages", "answer", "prompt"}
    assert not any(words & line.keys() for line in lines if line["event"] not in ("run_ended", "endpoint_held"))


async def test_an_answer_from_the_cache_a_recused_juror_and_a_spent_budget_are_told_where_they_happen(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    made = library("jury", *(f"agents.{name}.failing={{then: recuse}}" for name in ("first", "second", "third")))
    access = Access(cache=tmp_path / "answers.db", cache_here=True)
    async with LoopbackEndpoint(faults=chain([Fault(status=404)], repeat(None))) as server:
        await played(made, tmp_path / "one", server, access=access)
        joined(lines, tmp_path / "one")
        (recused,) = of(lines, "agent_recused")
        (refused,) = of(lines, "call_failed")
        assert {name: recused[name] for name in ("agent", "item")} == {
            name: refused[name] for name in ("agent", "item")
        }
        assert (recused["level"], recused["error"]) == ("info", "ModelNotFound")
        lines.clear()
        await played(library("judge"), tmp_path / "two", server, access=access)
        await played(library("judge"), tmp_path / "three", server, access=access)
        third = [line for line in lines if line["run"] == lines[-1]["run"]]
        joined(third, tmp_path / "three")
        assert len(of(third, "cache_hit")) == 3
        lines.clear()
        await played(library("judge"), tmp_path / "four", server, limits={"budget": Budget(tokens=10)})
        assert {line["event"] for line in lines if "call" in line} == {"budget_refused"}
        assert of(lines, "run_stopping")[0]["error"] == "BudgetExhausted"


async def test_what_is_only_tried_out_is_not_told_and_a_rehearsal_belongs_to_no_run(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    out = tmp_path / "run"
    async with LoopbackEndpoint() as server:
        await played(library("judge"), out, server)
        await played(library("judge", "judging.scale=5"), out, server, accept_changes=True)
    joined(lines, out)
    assert len(of(lines, "item_opened")) == len(of(lines, "call_sent")) == 6
    lines.clear()
    await rehearse("judge")
    assert len(of(lines, "call_answered")) == 1
    assert not any("run" in line for line in lines)


async def test_a_batch_is_the_runs_own_and_its_calls_are_the_agents(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    async with LoopbackBatches() as server:
        await played(library("judge"), tmp_path / "run", server, access=Access(batch=True), clock=ManualClock())
    joined(lines, tmp_path / "run")
    assert [line["event"] for line in lines if line["event"] in OF_A_RUN][1:4] == [
        "batch_prepared",
        "batch_submitted",
        "batch_ended",
    ]
    assert of(lines, "batch_ended")[0]["completed"] == 2


async def test_a_replayed_runs_calls_are_told_as_recorded_ones_of_its_own(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    async with LoopbackEndpoint() as server:
        await played(library("debate"), tmp_path / "run", server)
    lines.clear()
    await replay(tmp_path / "run", tmp_path / "again")
    joined(lines, tmp_path / "again")
    assert {line["source"] for line in of(lines, "call_answered")} == {"recording"}


@how(max_examples=8, deadline=None)
@given(
    starts=st.lists(st.lists(st.sampled_from([None, None, None, BROKEN, LIMITED]), max_size=8), max_size=3),
    name=st.sampled_from(["judge-independent", "judge-swapped", "debate"]),
)
def test_calls_of_a_run_that_is_stopped_gone_on_with_and_retried_are_each_told_once_by_their_names(
    starts: list[list[Fault | None]], name: str
) -> None:
    async def whole(out: Path) -> None:
        for faults in starts:
            async with LoopbackEndpoint(faults=chain(faults, repeat(REVOKED))) as server:
                await played(library(name), out, server, count=2)
        async with LoopbackEndpoint(faults=[None, BROKEN]) as server:
            await played(library(name), out, server, count=2)
        async with LoopbackEndpoint() as server:
            status = await retry(out, Settings(environ=at(server.base_url)))
        assert (status.state, status.done) == ("done", 2)

    with listening() as lines, tempfile.TemporaryDirectory() as folder:
        asyncio.run(whole(Path(folder) / "run"))
        joined(lines, Path(folder) / "run")
