"""Runs sent by OTLP, as they are and while they are played, to a receiver on this machine."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web
from playing import MODEL, beside, fellowship, judged, status, written
from receiving import Receiver, receiving

from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.runtime.telemetry import exporting
from fellowship.runtime.testing import LoopbackEndpoint, as_reply
from fellowship.runtime.testing.opinions import Opinions

SECRET = "sk-Pl4nted-key-0123456789"  # noqa: S105 - planted, to be looked for


@pytest.fixture(autouse=True)
def in_no_hurry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("OTEL_", "TRACE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FELLOWSHIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(exporting, "PATIENCE_S", 0.2)
    monkeypatch.setattr("fellowship.runtime.telemetry.otlp.FIRST_WAIT_S", 0.01)


def run_of(scenario: str, folder: Path, *options: str, count: int = 2) -> Path:
    data, run = written(folder / "d.jsonl", count), folder / "r"
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as endpoint:
        where = ("--model", MODEL, "--base-url", endpoint.base_url)
        played = fellowship("run", scenario, "--data", data, "--out", run, *where, *options)
    assert played.exit_code == 0, played.stderr
    return run


def sent(run: Path, receiver: Receiver, *options: str) -> dict[str, object]:
    done = fellowship("export", run, "--format", "otlp", "--endpoint", receiver.base_url, "--json", *options)
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_judge_in_both_orders_is_a_tree_of_three_levels_and_an_event_for_every_ballot(tmp_path: Path) -> None:
    run = run_of("judge-swapped", tmp_path)
    with receiving() as receiver:
        found = sent(run, receiver)
    assert (found["spans"], found["events"], found["calls"], found["unfinished"]) == (8, 8, 4, 0)
    names = Counter((span.name, span.kind) for span in receiver.spans)
    assert names == {("invoke_workflow judge-swapped", 1): 2, ("invoke_agent judge", 1): 2, ("chat m", 3): 4}
    by_id = {span.id: span for span in receiver.spans}
    for span in receiver.spans:
        above = {"chat": "invoke_agent", "invoke_agent": "invoke_workflow"}.get(span.name.split()[0])
        if above is None:
            assert (span.parent, span.attributes["fellowship.outcome"]) == ("", "finished")
        else:
            parent = by_id[span.parent]
            assert parent.name.startswith(above)
            assert (parent.trace, parent.start <= span.start, span.end <= parent.end) == (span.trace, True, True)
        assert span.attributes["gen_ai.operation.name"] == span.name.split()[0]
    assert len({span.trace for span in receiver.spans}) == 2
    assert Counter(event.attributes["gen_ai.evaluation.name"] for event in receiver.events) == {
        "vote": 2,
        "ballot": 4,
        "decision": 2,
    }
    assert {by_id[event.span].name for event in receiver.events} == {"invoke_workflow judge-swapped"}
    assert {event.name for event in receiver.events} == {"gen_ai.evaluation.result"}
    assert {ballot["fellowship.order"] for ballot in receiver.evaluations("ballot")} == {"ab", "ba"}
    vote = receiver.evaluations("vote")[0]
    assert vote["gen_ai.evaluation.score.value"] == vote["fellowship.score_a"] - vote["fellowship.score_b"]
    assert vote["gen_ai.evaluation.score.label"] in ("a", "b", "tie")
    chat = receiver.named("chat m")[0].attributes
    with LogReader(run / "run.db") as log:
        (called,) = (event.message() for event in log.at([chat["fellowship.event"]]))
        run_id = log.run_id()
    assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"]) == (
        called.usage.input_tokens,  # type: ignore[attr-defined]  # a model call
        called.usage.output_tokens,  # type: ignore[attr-defined]
    )
    assert (chat["server.address"], chat["gen_ai.response.finish_reasons"]) == ("127.0.0.1", ["stop"])
    assert receiver.resources[0]["fellowship.run.id"] == run_id
    assert receiver.schemas == {"https://opentelemetry.io/schemas/1.41.0"}


def test_a_debate_tells_every_turn_and_every_vote_of_whoever_spoke(tmp_path: Path) -> None:
    run = run_of("debate", tmp_path, count=1)
    with receiving() as receiver:
        sent(run, receiver)
    agents = [span for span in receiver.spans if span.name.startswith("invoke_agent ")]
    asked = Counter((span.attributes["gen_ai.agent.name"], span.attributes["fellowship.command"]) for span in agents)
    speakers = {span.attributes["gen_ai.agent.name"] for span in agents}
    assert asked == {(who, what): n for who in speakers for what, n in (("make_argument", 2), ("cast_vote", 1))}
    assert {vote["fellowship.rater"] for vote in receiver.evaluations("vote")} == speakers
    assert receiver.evaluations("decision")[0]["fellowship.votes"] == len(speakers)
    rounds = {span.attributes["fellowship.round"] for span in agents if span.attributes["fellowship.step"] == "0.0"}
    assert rounds == {1, 2}


def test_words_are_sent_where_that_is_wanted_alone_and_secrets_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of("feedback-loop", tmp_path, count=1)
    monkeypatch.setenv("ACME_API_KEY", SECRET)  # known only now: the log has it, as a careless prompt would
    with closing(sqlite3.connect(run / "run.db")) as connection, connection:
        connection.execute("UPDATE events SET body = replace(body, 'Question 0?', ?)", (f"Question 0? {SECRET}",))
    with receiving() as bare, receiving() as full:
        sent(run, bare)
        sent(run, full, "--content")
    assert "Question 0" not in bare.said
    assert not any(
        key.endswith((".messages", "instructions", "explanation")) for one in bare.spans for key in one.attributes
    )
    top = full.named("invoke_workflow feedback-loop")[0].attributes
    assert json.loads(top["gen_ai.input.messages"])[0]["parts"][0]["content"].startswith("Question 0?")
    chat = full.named("chat m")[0].attributes
    assert "Question 0?" in json.loads(chat["gen_ai.input.messages"])[0]["parts"][0]["content"]
    assert json.loads(chat["gen_ai.system_instructions"])[0]["type"] == "text"
    (said,) = json.loads(chat["gen_ai.output.messages"])
    assert (said["role"], said["finish_reason"]) == ("assistant", "stop")
    assert all("gen_ai.evaluation.explanation" in event.attributes for event in full.events)
    assert SECRET not in bare.said + full.said
    assert "[secret" in full.said


def test_sent_twice_all_has_the_same_ids(tmp_path: Path) -> None:
    run = judged(tmp_path, 3)
    with receiving() as first, receiving() as second:
        sent(run, first)
        sent(run, second)
    assert first.bodies == second.bodies


def test_only_wanted_items_are_sent_and_unknown_ones_are_named(tmp_path: Path) -> None:
    run = judged(tmp_path, 3)
    with receiving() as receiver:
        sent(run, receiver, "--item", "i1")
        unknown = fellowship("export", run, "--format", "otlp", "--endpoint", receiver.base_url, "--item", "j1")
    assert {span.attributes.get("fellowship.item.id", "i1") for span in receiver.spans} == {"i1"}
    assert len(receiver.spans) == 3
    assert unknown.exit_code == 2
    assert "unknown item of this run 'j1'; did you mean 'i1'?" in unknown.stderr


def test_it_is_part_of_the_span_that_traceparent_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = judged(tmp_path, 2)
    monkeypatch.setenv("TRACEPARENT", f"00-{'ab' * 16}-{'cd' * 8}-01")
    monkeypatch.setenv("TRACESTATE", "vendor=1")
    with receiving() as receiver:
        sent(run, receiver)
    assert {span.trace for span in receiver.spans} == {"ab" * 16}
    assert [span.parent for span in receiver.named("invoke_workflow judge")] == ["cd" * 8] * 2
    assert {span.state for span in receiver.spans} == {"vendor=1"}


def test_openinference_needs_no_receiver_of_logs(tmp_path: Path) -> None:
    run = judged(tmp_path, 1)
    with receiving() as receiver:
        sent(run, receiver, "--openinference")
    assert {path for path, _ in receiver.requests} == {"/v1/traces"}
    sorts = [span.attributes["openinference.span.kind"] for span in receiver.spans]
    assert sorted(sorts) == ["CHAIN", "EVALUATOR", "EVALUATOR", "EVALUATOR", "LLM"]
    assert receiver.schemas == {""}


# what a receiver says


def test_what_is_refused_for_now_is_sent_again_with_headers_and_zipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = judged(tmp_path, 1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={SECRET}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    refusals = (web.Response(status=503), web.Response(status=429, headers={"Retry-After": "0"}))
    with receiving(*refusals) as receiver:
        found = sent(run, receiver)
    assert (found["spans"], found["lost"]) == (3, [])
    assert [path for path, _ in receiver.requests] == ["/v1/traces"] * 3 + ["/v1/logs"]
    assert {headers["X-Key"] for _, headers in receiver.requests} == {SECRET}
    assert {headers["Content-Encoding"] for _, headers in receiver.requests} == {"gzip"}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([503] * 200, "3 spans were not taken: http://127.0.0.1:PORT/v1/traces answers 503 Service Unavailable"),
        ([400], "3 spans were not taken: http://127.0.0.1:PORT/v1/traces answers 400 Bad Request"),
        ([302], "3 spans were not taken: http://127.0.0.1:PORT/v1/traces answers 302 Found"),
        ([413] * 2, "1 span was not taken: http://127.0.0.1:PORT/v1/traces says that one is too large"),
    ],
)
def test_what_is_not_taken_is_counted_and_told_with_the_reason(tmp_path: Path, answers: list[int], words: str) -> None:
    run = judged(tmp_path, 1)
    refusals = [web.Response(status=code, headers={"Location": "/v1/other"} if code == 302 else {}) for code in answers]
    with receiving(*refusals) as receiver:
        done = fellowship("export", run, "--format", "otlp", "--endpoint", receiver.base_url)
    assert done.exit_code == 1
    assert words.replace("PORT", receiver.base_url.rpartition(":")[2]) in done.stderr


def test_a_receiver_that_takes_a_part_or_no_logs_or_is_not_there_is_told_of(tmp_path: Path) -> None:
    run = judged(tmp_path, 1)
    with receiving(rejecting=True) as receiver:
        done = fellowship("export", run, "--format", "otlp", "--endpoint", receiver.base_url, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["lost"][0]["count"] == 1
    assert "1 span was not taken" in done.stderr
    assert "refuses them: too old" in done.stderr
    gone = fellowship("export", run, "--format", "otlp", "--endpoint", receiver.base_url)
    assert gone.exit_code == 1
    assert "cannot be reached: " in gone.stderr
    assert "3 spans" in gone.stderr
    assert "2 events" in gone.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--format", "otlp", "--to", "x"), "--to mean nothing for otlp: --endpoint says where it is sent"),
        (("--format", "otlp", "--format", "dpo"), "--format otlp goes alone"),
        (("--format", "otlp", "--endpoint", "nowhere"), "--endpoint is no address of an OTLP receiver"),
        (("--format", "dpo", "--to", "x", "--follow"), "--follow is said of --format otlp"),
        (("--format", "dpo"), "--to is missing"),
        (("--format", "otpl", "--to", "x"), "unknown format 'otpl'; did you mean 'otlp'?"),
    ],
)
def test_wrong_use_ends_in_a_sentence(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    run = judged(tmp_path, 1)
    done = fellowship("export", run, *options)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())


# while a run is played


def test_a_run_is_sent_while_it_is_played_and_whole_at_its_end(tmp_path: Path) -> None:
    seen = threading.Event()
    early: list[int] = []

    def answer(call: ModelCall) -> str:
        if "Question 3?" in str(call.messages):
            assert seen.wait(30), "nothing came before the run had ended"
        return as_reply(call)

    with receiving() as receiver:

        def looked() -> None:
            while not receiver.spans:
                threading.Event().wait(0.01)
            early.append(len(receiver.spans))
            seen.set()

        looking = threading.Thread(target=looked, daemon=True)
        looking.start()
        data, run = written(tmp_path / "d.jsonl", 4), tmp_path / "r"
        with beside(LoopbackEndpoint(answer)) as endpoint:
            where = ("--model", MODEL, "--base-url", endpoint.base_url, "--concurrency", "1")
            done = fellowship("run", "judge", "--data", data, "--out", run, *where, "--otlp", receiver.base_url)
        looking.join(5)
    assert done.exit_code == 0, done.stderr
    assert early[0] < 12
    assert "12 spans and 8 events sent to" in done.stderr
    assert len(receiver.named("invoke_workflow judge")) == len(receiver.named("chat m")) == 4
    with receiving() as afterwards:
        sent(run, afterwards)
    assert {span.id for span in receiver.spans} == {span.id for span in afterwards.spans}


def test_a_signal_stops_the_run_and_what_it_has_done_is_sent_and_the_rest_when_it_goes_on(tmp_path: Path) -> None:
    stalled, go_on = threading.Event(), threading.Event()
    calls: list[ModelCall] = []

    def answer(call: ModelCall) -> str:
        calls.append(call)
        if len(calls) == 3:
            stalled.set()
            assert go_on.wait(30)
        return as_reply(call)

    data, run = written(tmp_path / "d.jsonl", 5), tmp_path / "r"
    with receiving() as first, receiving() as second, beside(LoopbackEndpoint(answer)) as endpoint:
        where = ("--model", MODEL, "--base-url", endpoint.base_url, "--concurrency", "1")
        command = ("run", "judge", "--data", str(data), "--out", str(run), *where)
        line = [sys.executable, "-m", "fellowship", *command, "--otlp", first.base_url]
        with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as playing:
            assert stalled.wait(30)
            playing.send_signal(signal.SIGINT)
            go_on.set()
            _, errors = playing.communicate(timeout=40)
        assert playing.returncode == 3, errors
        done = status(run)["done"]
        assert 3 <= done < 5
        assert "spans and" in errors
        assert len(first.named("invoke_workflow judge")) == done
        resumed = fellowship(*command, "--otlp", second.base_url)
    assert resumed.exit_code == 0, resumed.stderr
    assert len(second.named("invoke_workflow judge")) == 5 - done
    assert not {span.id for span in first.spans} & {span.id for span in second.spans}


def test_where_a_receiver_takes_nothing_the_run_is_played_and_says_how_to_send_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    with receiving(web.Response(status=401, body=b"\x12\x06no key")) as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.base_url}/spans")
        data, run = written(tmp_path / "d.jsonl", 1), tmp_path / "r"
        with beside(LoopbackEndpoint()) as endpoint:
            where = ("--model", MODEL, "--base-url", endpoint.base_url)
            done = fellowship("run", "judge", "--data", data, "--out", run, *where, "--otlp", "env", "--otlp-content")
    assert (done.exit_code, status(run)["done"], len(receiver.spans)) == (0, 1, 0)
    assert f"3 spans were not taken: {receiver.base_url}/spans answers 401 Unauthorized: no key" in done.stderr
    assert f"`fellowship export {run} --format otlp --content` sends it" in done.stderr
    refused = fellowship("run", "judge", "--data", tmp_path / "d.jsonl", "--out", tmp_path / "x", "--otlp", "nowhere")
    assert refused.exit_code == 2
    assert "no address of an OTLP receiver" in refused.stderr
    assert not (tmp_path / "x" / "run.db").exists()
