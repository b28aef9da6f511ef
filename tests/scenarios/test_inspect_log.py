"""Runs as logs of Inspect: what is in the files, and what the package itself reads in them."""

import json
import re
import zipfile
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import pytest
from logs import aside, failed, finished
from logs import written as logged
from playing import MODEL, fellowship, items, library
from scipy.stats import binomtest
from solving import answers, questions, society

from fellowship.protocols.errors import PromptTooLong
from fellowship.protocols.identity import ConversationId, ItemId
from fellowship.protocols.items import Candidate, HumanVote, Item, Turn
from fellowship.protocols.lifecycle import ItemOpened
from fellowship.protocols.models import Attempt, Completion, ModelCall, TokenLogprob, Usage
from fellowship.runtime.log import LogReader
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Settings, play
from fellowship.scenarios.loading import load
from fellowship.scenarios.sharing.inspect_files import Archive
from fellowship.scenarios.sweep import sweep

Log = dict[str, Any]
HIDDEN = "sk-live-4f9a8b7c6d5e"
HOSTILE = ("../../etc/passwd", "a\\b", "nul\0", "/root", "x" * 400, "a//b", "C:evil")
KNOWN = ("5", "7", None)
TALKS = {
    0: (("5", "5", "4"), ("5", "5", "5")),
    1: (("4", "4", "4"), ("4", "4", "4")),
    2: (("1", "hm", "1"), ("1", "hm", "1")),
}


def export(run: Path, to: Path, *more: object) -> Log:
    """Export a run; returns its header, with `samples`, `summaries` and `reductions`."""
    told = fellowship("export", run, "--format", "inspect", "--to", to, "--json", *more, env={"ACME_API_KEY": HIDDEN})
    assert told.exit_code == 0, told.stderr
    found: Log = read(to)
    assert json.loads(told.stdout)["counts"]["samples"] == len(found["samples"])
    return found


def read(log: Path) -> Log:
    if log.suffix == ".json":
        return dict(json.loads(log.read_bytes()))
    with zipfile.ZipFile(log) as archive:
        assert archive.testzip() is None
        found: Log = json.loads(archive.read("header.json"))
        samples = [name for name in archive.namelist() if name.startswith("samples/")]
        assert sorted(archive.namelist()) == sorted([*samples, "header.json", "summaries.json", "reductions.json"])
        found["samples"] = [json.loads(archive.read(name)) for name in samples]
        assert samples == [f"samples/{each['id']}_epoch_1.json" for each in found["samples"]]
        return found | {name: json.loads(archive.read(f"{name}.json")) for name in ("summaries", "reductions")}


def compared() -> list[Item]:
    """Three comparisons on which people voted; of the second they are split, and the third cannot be played."""
    votes: Sequence[Sequence[str]] = (("a", "a", "b"), ("a", "b"), ("b",))
    history = (
        Turn(role="system", content="Be brief."),
        Turn(role="user", content="Hi"),
        Turn(role="assistant", content="Hello"),
    )
    return [
        item.model_copy(
            update={
                "human": tuple(HumanVote(rater=f"p{n}", verdict=vote) for n, vote in enumerate(votes[number])),  # type: ignore[arg-type]
                "history": history if number == 0 else (),
                "metadata": {"topic": "sums", "size": 2**70, "fellowship": 1} if number == 0 else {},
            }
        )
        for number, item in enumerate(items(3))
    ]


def speaks(call: ModelCall) -> str | Completion | Exception:
    said = " ".join(message.content for message in call.messages)
    if "Question 2?" in said:
        return PromptTooLong("too long")
    if call.answer is not None:
        a = 5 if "Question 1?" in said else 7
        return json.dumps({"reason": "It is so.", "score_a": a, "score_b": 5})
    text = f"I say <script>alert(1)</script> {HIDDEN}"
    tokens = tuple(TokenLogprob(token=part, logprob=-0.5, alternatives=(("no", -1.0),)) for part in ("I ", "say"))
    return Completion(
        text=text,
        finish_reason="length",
        served_by="acme/m-2",
        usage=Usage(input_tokens=10, output_tokens=4, cached_tokens=6, reasoning_tokens=1),
        attempts=(Attempt(latency_s=0.5, error="429"), Attempt(latency_s=0.25, waited_s=1.0)),
        reasoning="hm",
        logprobs=tokens,
        cost_usd=0.5,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A debate on three comparisons, one of which fails."""
    out = tmp_path_factory.mktemp("inspect") / "run"
    anyio.run(play, library("debate"), compared(), out, Settings(client=ScriptedModel(speaks)))
    return out


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("solved") / "run"
    anyio.run(play, society(), questions(KNOWN), out, Settings(client=ScriptedModel(answers(TALKS))))
    return out


@pytest.fixture(scope="module")
def log(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Log:
    return export(run, tmp_path_factory.mktemp("log") / "debate.eval")


def test_the_header_says_what_was_played_by_which_model_and_how_well_it_agrees_with_people(run: Path, log: Log) -> None:
    assert (log["version"], log["status"], log["eval"]["task"], log["eval"]["model"]) == (2, "success", "debate", MODEL)
    assert log["eval"]["dataset"] == {"samples": 3, "sample_ids": ["i0", "i1", "i2"]}
    assert [step["solver"] for step in log["plan"]["steps"]] == ["repeat", "ask", "decide"]
    assert "llm-fellowship" in log["eval"]["packages"]
    with LogReader(run / "run.db") as reader:
        assert log["eval"]["run_id"] == reader.run_id()
    results = log["results"]
    assert (results["total_samples"], results["completed_samples"]) == (3, 2)
    (agreement,) = results["scores"]
    assert (agreement["name"], agreement["scored_samples"], agreement["unscored_samples"]) == ("agreement", 2, 1)
    interval = binomtest(2, 2).proportion_ci(method="wilson")
    figures = [agreement["metrics"][name]["value"] for name in ("accuracy", "accuracy_low", "accuracy_high")]
    assert figures == pytest.approx([1.0, interval.low, interval.high])
    values = [{"sample_id": f"i{number}", "value": "C"} for number in (0, 1)]
    assert log["reductions"] == [{"scorer": "agreement", "samples": values}]
    sums = log["stats"]["model_usage"][MODEL]
    assert sums["total_cost"] == pytest.approx(2 * 6 * 0.5)
    assert log["stats"]["role_usage"] == {"debater": sums}
    assert log["stats"]["started_at"] <= log["samples"][0]["started_at"] < log["stats"]["completed_at"]


def test_a_sample_is_its_item_with_the_conversation_as_it_was_said_and_each_last_vote(log: Log) -> None:
    first, split, _ = log["samples"]
    assert [(each["role"], each["content"]) for each in first["input"]] == [
        ("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Question 0?")
    ]  # fmt: skip
    assert (first["choices"], first["target"], split["target"]) == (["Answer a0", "Answer b0"], "a", "tie")
    assert {key: value for key, value in first["metadata"].items() if key != "fellowship_"} == {
        "topic": "sums",
        "size": 2**70,
        "fellowship": 1,
    }
    assert first["metadata"]["fellowship_"]["conversation"] == "i0~1"
    said = first["messages"][4:]
    assert [each["metadata"]["agent"] for each in said] == ["public", "psychologist", "critic"] * 3
    assert said[0]["content"].startswith(
        "public argues, cut off at the token limit, heard by psychologist, critic:\n\nI say <script>"
    )
    assert [each["metadata"]["round"] for each in said] == [1, 1, 1, 2, 2, 2, None, None, None]
    votes = {name: score["value"] for name, score in first["scores"].items()}
    assert votes == {"verdict": "a", "agreement": "C"} | dict.fromkeys(
        ("vote public", "vote psychologist", "vote critic"), "a"
    )
    assert first["scores"]["vote critic"]["metadata"]["score_a"] == 7
    assert "It is so." in first["scores"]["vote critic"]["explanation"]
    assert first["scores"]["verdict"]["metadata"]["rule"] == "mean-score"
    assert first["output"]["completion"] == "a"


def test_events_tell_rounds_who_was_asked_and_every_call_with_all_that_it_took(log: Log) -> None:
    sample = log["samples"][0]
    events = sample["events"]
    opened = {each["id"]: each for each in events if each["event"] == "span_begin"}
    titles = [each["name"] for each in opened.values() if each["type"] in ("round", "step")]
    assert titles == ["Round 1", "Round 2", "Step 1"]
    agents = [each for each in opened.values() if each["type"] == "agent"]
    assert [(each["name"], opened[each["parent_id"]]["name"]) for each in agents[2:5]] == [
        ("critic", "Round 1"),
        ("public", "Round 2"),
        ("psychologist", "Round 2"),
    ]
    open_now: list[str] = []
    for event in events:
        if event["event"] == "span_begin":
            assert event.get("parent_id") in (None, *open_now)
            open_now.append(event["id"])
        elif event["event"] == "span_end":
            open_now.remove(event["id"])
            assert not any(opened[name].get("parent_id") == event["id"] for name in open_now)
        else:
            assert event["span_id"] in open_now
    assert open_now == []
    assert len({each["uuid"] for each in events}) == len(events)
    calls = [each for each in events if each["event"] == "model"]
    assert [opened[each["span_id"]]["name"] for each in calls] == ["public", "psychologist", "critic"] * 3
    call = calls[3]
    pool = sample["events_data"]["messages"]
    prompt = [pool[place] for start, end in call["input_refs"] for place in range(start, end)]
    assert [each["role"] for each in prompt] == ["system", "user", "assistant", "user"]
    assert "Question 0?" in prompt[1]["content"]
    assert (
        len(pool)
        == len({(each["role"], each["content"]) for each in pool})
        < sum(end - start for each in calls for start, end in each["input_refs"])
    )
    assert (call["model"], call["role"], call["retries"], call["working_time"]) == (MODEL, "debater", 1, 0.25)
    assert call["output"]["usage"] == {
        "input_tokens": 4,
        "input_tokens_cache_read": 6,
        "output_tokens": 4,
        "reasoning_tokens": 1,
        "total_tokens": 14,
        "total_cost": 0.5,
    }
    choice = call["output"]["choices"][0]
    assert (
        choice["stop_reason"],
        choice["message"]["content"][0]["reasoning"],
        choice["logprobs"]["content"][0]["token"],
    ) == ("max_tokens", "hm", "I ")
    assert [each["error"] for each in call["metadata"]["attempts"] if "error" in each] == ["429"]
    told = [each["data"] for each in events if each["event"] == "info"]
    assert "public hears psychologist, critic from now on" in told
    assert any(each.startswith("Decision by mean-score: a") for each in told)


def test_a_failed_item_is_a_sample_with_its_error_and_no_secret_is_anywhere(log: Log) -> None:
    failed_sample = log["samples"][2]
    assert failed_sample["error"] == {"message": "PromptTooLong: too long", "traceback": "", "traceback_ansi": ""}
    assert (failed_sample["scores"], failed_sample["output"]["choices"]) == ({}, [])
    assert [each["error"]["message"] for each in failed_sample["events"] if each["event"] == "error"] == [
        "PromptTooLong: too long"
    ]
    assert log["summaries"][2]["error"] == "PromptTooLong: too long"
    assert [(each["id"], each["completed"], each["message_count"]) for each in log["summaries"]] == [
        ("i0", True, 13),
        ("i1", True, 10),
        ("i2", True, 1),
    ]
    assert HIDDEN not in json.dumps(log)
    assert "<script>alert(1)</script> [secret" in json.dumps(log)


def test_questions_have_their_known_answer_what_came_of_it_and_who_answered_what(solved: Path, tmp_path: Path) -> None:
    log = export(solved, tmp_path / "log.json")
    assert (log["eval"]["model"], log["eval"]["model_roles"]) == (
        "none",
        {"solver": [{"model": f"acme/{name}", "config": {}} for name in ("one", "two", "three")]},
    )
    right, wrong, unknown = log["samples"]
    assert [(each["target"], each["output"]["completion"]) for each in log["samples"]] == [
        ("5", "5"),
        ("7", "4"),
        ("", "1"),
    ]
    assert (
        right["scores"]["answer"]["value"],
        wrong["scores"]["answer"]["value"],
        unknown["scores"]["answer"]["value"],
    ) == ("C", "I", "1")
    assert {name: score["value"] for name, score in unknown["scores"].items()} == {
        "answer": "1",
        "answer one": "1",
        "answer two": "unread",
        "answer three": "1",
    }
    (accuracy,) = log["results"]["scores"]
    assert (accuracy["metrics"]["accuracy"]["value"], accuracy["scored_samples"]) == (0.5, 2)


def test_some_items_of_a_run_are_exported_alone_and_an_unknown_one_is_refused(run: Path, tmp_path: Path) -> None:
    log = export(run, tmp_path / "log.eval", "--item", "i1", "--item", "i0")
    assert [each["id"] for each in log["samples"]] == ["i0", "i1"] == log["eval"]["config"]["sample_id"]
    before = (tmp_path / "log.eval").read_bytes()
    for arguments, words in (
        (("--to", tmp_path / "log.eval", "--item", "i9"), "the run has no item 'i9'"),
        (("--to", tmp_path / "log.zip"), "an Inspect log is a FILE.eval or a FILE.json"),
        (("--to", "-"), "an Inspect log is a FILE.eval or a FILE.json"),
        (("--to", tmp_path / "log.eval" / "log.eval"), "cannot be written: File exists"),
    ):
        refused = fellowship("export", run, "--format", "inspect", *arguments)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert words in " ".join(refused.stderr.split())
    assert (tmp_path / "log.eval").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["log.eval"]
    export(run, tmp_path / "log.eval", "--item", "i0", "--item", "i1")
    assert (tmp_path / "log.eval").read_bytes() == before


def test_of_an_item_begun_anew_the_conversation_that_counts_is_exported(tmp_path: Path) -> None:
    def opened(name: str, number: int) -> tuple[str, str, ItemOpened]:
        item = Item(id=ItemId(name.rpartition("~")[0]), prompt="Why?", candidates=(Candidate(slot="a", text="So"),))
        return name, "conductor", ItemOpened(number=number, item=item)

    said = [
        opened("b~1", 1),  # 1
        opened("b~2", 1),
        ("b~2", "conductor", finished(1)),
        opened("a~1", 0),
        ("a~1", "conductor", failed(0)),  # 5: counts until the retry has an outcome
        opened("a~2", 0),
        opened("gone~1", 2),
        ("gone~1", "conductor", finished(2)),  # 8
        ("gone~1", "conductor", aside(8)),
        opened("again~1", 3),
        ("again~1", "conductor", finished(3)),  # 11
        ("again~1", "conductor", aside(11)),
        opened("again~2", 3),
        *(opened(f"{name}~1", number) for number, name in enumerate(HOSTILE, start=4)),
    ]
    run = tmp_path / "run"
    run.mkdir()
    anyio.run(logged, run / "run.db", said)
    log = export(run, tmp_path / "log.eval")
    ids = [each["metadata"]["fellowship"]["conversation"] for each in log["samples"]]
    assert ids == ["a~1", "b~2", "again~2", *(f"{name}~1" for name in HOSTILE)]
    assert [each["metadata"]["fellowship"]["item"] for each in log["samples"][3:]] == list(HOSTILE)
    assert all(re.fullmatch(r"item-[0-9a-f]{16}", each["id"]) for each in log["samples"][3:])
    assert [each["completed"] for each in log["summaries"]] == [True, True, *([False] * 8)]
    assert (log["status"], log["eval"]["model"]) == ("error", "none")
    assert "broken off" in log["error"]["message"]


async def test_a_run_that_is_still_going_is_a_log_that_has_started(tmp_path: Path) -> None:
    waits, go_on = anyio.Event(), anyio.Event()

    async def answer(call: ModelCall) -> str:
        if "Question 1?" in call.messages[-1].content:
            waits.set()
            await go_on.wait()
        return as_reply(call)

    run = tmp_path / "run"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(play, library("judge"), items(2), run, Settings(client=ScriptedModel(answer)))
        with anyio.fail_after(10):
            await waits.wait()
            log = export(run, tmp_path / "log.eval")
            while not any(each["completed"] for each in log["summaries"]):
                await anyio.wait_all_tasks_blocked()
                log = export(run, tmp_path / "log.eval")
        go_on.set()
    assert (log["status"], log["stats"]["completed_at"], "results" in log) == ("started", "", False)
    assert [(each["id"], each["completed"]) for each in log["summaries"]] == [("i0", True), ("i1", False)]
    assert "completed_at" not in log["samples"][1]


async def test_of_a_sweep_each_item_and_variant_is_a_sample_and_nothing_is_measured_over_all(tmp_path: Path) -> None:
    spec, source = load("evaluation")
    plan = sweep(spec, source=source, models=[("small", "acme/small")])  # type: ignore[arg-type]
    await play(plan, compared()[:1], tmp_path / "run", Settings(client=ScriptedModel()))
    log = export(tmp_path / "run", tmp_path / "log.eval")
    variants = [each["metadata"]["fellowship_"]["variant"] for each in log["samples"]]
    assert len(set(variants)) == len(variants) == len({each["id"] for each in log["samples"]}) > 5
    assert log["results"]["scores"] == []
    assert {each["role"] for sample in log["samples"] for each in sample["events"] if each["event"] == "model"} == {
        "judge",
        "debater",
    }


def test_one_sample_at_a_time_is_read_and_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    read_events, add = LogReader.events, Archive.add

    def events(reader: LogReader, conversation: ConversationId | None = None, kinds: tuple[str, ...] = ()) -> Any:
        done.append(f"read {conversation}")
        return read_events(reader, conversation, kinds)

    def added(archive: Archive, sample: Log, summary: Log) -> None:
        done.append(f"wrote {sample['id']}")
        add(archive, sample, summary)

    monkeypatch.setattr(LogReader, "events", events)
    monkeypatch.setattr(Archive, "add", added)
    export(run, tmp_path / "log.eval")
    assert done == [word for number in range(3) for word in (f"read i{number}~1", f"wrote i{number}")]


@pytest.mark.inspect
@pytest.mark.skipif(find_spec("inspect_ai") is None, reason="inspect-ai is not installed: `make inspect` does that")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("ending", ["eval", "json"])
def test_inspect_reads_samples_scores_and_events_back(run: Path, solved: Path, tmp_path: Path, ending: str) -> None:
    inspect: Any = import_module("inspect_ai.log")
    events: Any = import_module("inspect_ai.event")
    to = tmp_path / f"debate.{ending}"
    said = export(run, to)
    log = inspect.read_eval_log(str(to))
    assert (log.version, log.status, log.eval.model, log.results.scores[0].metrics["accuracy"].value) == (
        2,
        "success",
        MODEL,
        1,
    )
    assert log.stats.model_usage[MODEL].total_tokens == said["stats"]["model_usage"][MODEL]["total_tokens"]
    assert [sample.id for sample in inspect.read_eval_log_samples(str(to))] == ["i0", "i1", "i2"]
    assert [(each.id, each.error) for each in inspect.read_eval_log_sample_summaries(str(to))] == [
        ("i0", None),
        ("i1", None),
        ("i2", "PromptTooLong: too long"),
    ]
    sample, _, broken = log.samples
    assert (sample.scores["verdict"].value, sample.scores["vote critic"].answer, sample.output.completion) == (
        "a",
        "a",
        "a",
    )
    assert (broken.error.message, len(sample.messages), sample.messages[4].role) == (
        "PromptTooLong: too long",
        13,
        "assistant",
    )
    calls = [event for event in sample.events if event.event == "model"]
    assert [len(call.input) for call in calls] == [2, 2, 2, 4, 4, 4, 6, 6, 6]
    assert calls[3].input[2].text.startswith("I say")
    assert (
        calls[0].output.stop_reason,
        calls[0].output.usage.input_tokens_cache_read,
        calls[0].config.temperature,
    ) == ("max_tokens", 6, 0)
    tree = events.timeline_build(sample.events).root
    assert [span.name for span in tree.content if getattr(span, "span_type", None) == "agent"] == [
        "public",
        "psychologist",
        "critic",
    ] * 3
    other = tmp_path / f"solved.{ending}"
    export(solved, other)
    assert inspect.read_eval_log(str(other)).eval.model_roles["solver"][2].model == "acme/three"


def test_a_folder_that_is_not_there_is_made(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "logs" / "more" / "log.json", "--item", "i0")
    assert json.loads((tmp_path / "logs" / "more" / "log.json").read_text())["version"] == 2
