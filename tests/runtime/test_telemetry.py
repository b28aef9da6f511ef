"""A run's log as spans and events: every call told once, in a tree that holds, however the run came about."""

import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs_bound import calls_in
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from playing import items
from receiving import values
from telling import LIBRARY, How, Speaker, apart, cut_short, kinds, length, played, speak

from fellowship.protocols.errors import DeclarationError, Overloaded
from fellowship.protocols.identity import ConversationId
from fellowship.protocols.lifecycle import ModelCalled
from fellowship.protocols.models import Attempt, ModelCall
from fellowship.runtime.log import LogReader
from fellowship.runtime.models import endpoints
from fellowship.runtime.recording import RecordedRun
from fellowship.runtime.telemetry import mapping, otlp, wire
from fellowship.runtime.telemetry.mapping import GenAI, OpenInference
from fellowship.runtime.telemetry.records import Common, Happening, Held, Place, Record, Sender, Span
from fellowship.runtime.telemetry.spans import Spans
from fellowship.scenarios import Plan, Settings, directory, play, traced
from fellowship.scenarios.again import retry

SCENARIOS = (*LIBRARY, "recused", "both orders")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.integers(-(2**63), 2**63 - 1)
attribute_values = st.one_of(
    texts, st.booleans(), numbers, st.floats(allow_nan=False), st.lists(texts, max_size=3).map(tuple)
)
attributes = st.dictionaries(texts, attribute_values, max_size=6)


def told(run: Path, names: GenAI | None = None, *, after: int = 0, open_too: bool = True) -> list[Record]:
    """Return what a log comes to, fed event by event."""
    names = names or GenAI()
    with LogReader(run / "run.db") as log:
        fold = Spans(
            Sender(run=log.run_id(), workflow="w"),
            names,
            text=log.text,
            earlier=lambda name, before: (
                each for each in log.entries(conversation=ConversationId(name), with_text=True) if each[0] < before
            ),
            after=after,
        )
        found = [record for entry in log.entries(after, with_text=names.content) for record in fold.take(entry)]
        return [*found, *(fold.unfinished() if open_too else ())]


def spans_of(found: list[Record]) -> list[Span]:
    return [record for record in found if isinstance(record, Span)]


def proven(run: Path, names: GenAI | None = None) -> list[Span]:
    """Return the spans of a run whose tree holds."""
    found = told(run, names)
    spans = spans_of(found)
    by_id = {span.place.span: span for span in spans}
    assert len(by_id) == len(spans), "an id stands twice"
    for span in spans:
        assert 0 < span.start_ns <= span.end_ns
        if span.parent is None:
            assert span.name.startswith("invoke_workflow ")
            continue
        parent = by_id[span.parent]
        assert parent.place.trace == span.place.trace
        assert parent.start_ns <= span.start_ns, (parent.name, span.name)
        assert span.end_ns <= parent.end_ns, (parent.name, span.name)
    for record in found:
        if isinstance(record, Happening):
            assert by_id[record.place.span].place.trace == record.place.trace
    return spans


def made(name: str) -> Plan:
    if name == "recused":
        return apart("jury", "agents.second.failing={retry: 1, then: recuse}")
    if name == "both orders":
        return apart("judge", "judging.orders=both", "judging.strategy=independent")
    return apart(name)


def overloaded(*models: str) -> Callable[[ModelCall], str | Exception]:
    def script(call: ModelCall) -> str | Exception:
        if call.settings.model not in models:
            return speak(call)
        error = Overloaded("on fire")
        error.attempts = (Attempt(latency_s=0.25, waited_s=0.5, error="Overloaded: on fire"),)
        return error

    return script


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(SCENARIOS),
    concurrency=st.integers(1, 6),
    breaks=st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["down", "cancelled", "drained"])), max_size=2),
    latest=st.booleans(),
)
def test_of_any_run_broken_off_anywhere_each_call_has_one_span_in_a_tree_that_holds(
    name: str, concurrency: int, breaks: list[tuple[int, How]], latest: bool
) -> None:
    script = overloaded("acme/second") if name == "recused" else speak

    async def whole(out: Path) -> None:
        for last, how in breaks:
            speaker = Speaker(script, last=last, how=how, pause=True)
            await played(made(name), 2, out, speaker, concurrency=concurrency)
        await played(made(name), 2, out, Speaker(script, pause=True), concurrency=concurrency)

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        anyio.run(partial(whole, out))
        spans = proven(out, GenAI(content=True, latest=latest))
        chats = Counter(span.own["fellowship.event"] for span in spans if span.name.startswith("chat "))
        with LogReader(out / "run.db") as log:
            assert chats == Counter(event.sequence for event in log.events(kinds=("model_called",)))
            ids = {
                span.own["fellowship.event"]: span.own["fellowship.call"]
                for span in spans
                if "fellowship.call" in span.own
            }
            assert ids == {event.sequence: call for call, (event, _) in calls_in(log).items()}
        cast = [record.attributes for record in told(out) if isinstance(record, Happening)]
        counted = Counter(attributes["gen_ai.evaluation.name"] for attributes in cast)
        several = [len(fact.ballots) for fact in kinds(out, "vote_cast", "drafts_compared") if len(fact.ballots) > 1]
        assert counted["vote"] == len(kinds(out, "vote_cast"))
        assert counted["comparison"] == len(kinds(out, "drafts_compared"))
        assert counted["ballot"] == sum(several)
        assert counted["decision"] == len(kinds(out, "decision_made"))
        assert not any("fellowship.unfinished" in span.attributes for span in spans if span.parent is None)


@settings(max_examples=5, deadline=None)
@given(name=st.sampled_from(SCENARIOS), cut=st.floats(0.1, 0.95))
def test_a_log_cut_anywhere_tells_what_is_whole_just_as_the_whole_log_does(name: str, cut: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        anyio.run(partial(played, made(name), 2, out, Speaker()))
        short = cut_short(out, Path(folder) / "short", max(2, int(cut * length(out))))
        whole = {span.place.span: span for span in spans_of(told(out))}
        for span in spans_of(told(short, open_too=False)):
            assert span == whole[span.place.span] or span.common.attributes == whole[span.place.span].common.attributes
            assert span.own == whole[span.place.span].own
        assert {span.place.span for span in proven(short)} <= set(whole)


async def test_an_agent_that_is_recused_has_a_span_that_says_so_and_the_others_go_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(made("recused"), 1, out, Speaker(overloaded("acme/second")))
    spans = proven(out)
    (second,) = [span for span in spans if span.name == "invoke_agent second"]
    assert (second.attributes["error.type"], second.error) == ("Overloaded", "")
    assert (second.attributes["fellowship.recused"], second.attributes["fellowship.failures"]) == (True, 2)
    assert second.attributes["fellowship.calls"] == 2
    chats = [span for span in spans if span.parent == second.place.span]
    assert [(chat.name, chat.kind, chat.attributes["error.type"]) for chat in chats] == [
        ("chat second", "client", "Overloaded")
    ] * 2
    assert {chat.attributes["fellowship.attempts.failed"] for chat in chats} == {1}
    (top,) = [span for span in spans if span.parent is None]
    assert (top.attributes["fellowship.outcome"], top.error) == ("finished", None)
    (told_all,) = [span for span in proven(out, GenAI(content=True)) if span.name == "invoke_agent second"]
    assert told_all.error == "on fire"


async def test_an_item_that_failed_and_is_played_again_has_two_spans_at_the_top_of_one_trace(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("jury"), 2, out, Speaker(overloaded("acme/third")))
    failed = spans_of(told(out))
    since = length(out)
    assert [span.attributes["error.type"] for span in failed if span.parent is None] == ["Overloaded"] * 2
    await retry(out, Settings(client=Speaker()))
    spans = proven(out)
    assert {span.place.span for span in failed} < {span.place.span for span in spans}
    tops = [span for span in spans if span.parent is None]
    assert Counter(span.place.trace for span in tops) == dict.fromkeys({top.place.trace for top in tops}, 2)
    again = [top for top in tops if "fellowship.retried" in top.attributes]
    assert [top.attributes["fellowship.outcome"] for top in again] == ["finished"] * 2
    assert {link.span for top in again for link in top.links} == {top.place.span for top in tops if top not in again}
    assert all(not top.error for top in again)
    later = told(out, after=since)  # by somebody who began to look only then
    assert {span.place.span for span in spans_of(later)} == {span.place.span for span in spans}
    assert len(later) == len(told(out))


async def test_a_conversation_that_is_begun_anew_is_linked_to_the_one_before(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("debate"), 1, out, Speaker(last=5))
    (before,) = [span for span in proven(out) if span.parent is None]
    assert before.attributes["fellowship.unfinished"] is True
    await played(apart("debate", "judging.scale=5"), 1, out, Speaker(), accept_changes=True)
    spans = proven(out)
    old, new = [span for span in spans if span.parent is None]
    assert (old.place, old.attributes["fellowship.outcome"]) == (before.place, "begun anew")
    assert (new.attributes["fellowship.outcome"], new.links) == ("finished", (old.place,))
    sources = Counter(span.attributes["fellowship.source"] for span in spans if span.kind == "client")
    assert sources["earlier"] == 4
    for span in spans:
        if span.kind == "client" and span.attributes["fellowship.source"] == "earlier":
            assert span.start_ns == span.end_ns
            assert "gen_ai.usage.input_tokens" not in span.attributes, "it would be counted twice"
            assert "fellowship.recorded.input_tokens" in span.attributes


async def test_calls_from_a_recording_cost_nothing_here(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    await played(apart("feedback-loop"), 2, first)
    with LogReader(first / "run.db") as log:
        await play(apart("feedback-loop"), items(2), second, Settings(cassette=RecordedRun(log)))
    spans = proven(second)
    assert {span.attributes["fellowship.source"] for span in spans if span.kind == "client"} == {"recording"}
    assert not any("gen_ai.usage.output_tokens" in span.attributes for span in spans)
    assert not {span.place.trace for span in spans} & {span.place.trace for span in proven(first)}


async def test_verdicts_on_drafts_are_told_of_the_span_in_which_the_draft_was_written(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("feedback-loop"), 1, out)
    found = told(out)
    writers = [span for span in spans_of(found) if span.name == "invoke_agent writer"]
    reviews = [record for record in found if isinstance(record, Happening)]
    assert [review.place.span for review in reviews] == [span.place.span for span in writers[:2]]
    given = kinds(out, "feedback_given")
    assert [review.attributes["gen_ai.evaluation.score.value"] for review in reviews] == [fact.score for fact in given]
    assert {review.attributes["fellowship.rater"] for review in reviews} == {"reviewer"}
    assert not any("gen_ai.evaluation.explanation" in review.attributes for review in reviews)
    explained = [record for record in told(out, GenAI(content=True)) if isinstance(record, Happening)]
    assert given[0].evaluation in str(explained[0].attributes["gen_ai.evaluation.explanation"])


async def test_with_openinference_every_evaluation_is_a_span_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(made("both orders"), 1, out)
    spans = proven(out, OpenInference(content=True))
    sorts = Counter(str(span.attributes["openinference.span.kind"]) for span in spans)
    assert sorts == {"CHAIN": 1, "LLM": 4, "EVALUATOR": 1 + 1 + 2 + 1}  # whom is asked, its vote, ballots, the decision
    assert not any(key.startswith("gen_ai.") for span in spans for key in span.attributes)
    chat = next(span for span in spans if span.kind == "client")
    assert (chat.name, chat.attributes["llm.provider"]) == ("chat judge", "acme")
    assert chat.attributes["llm.input_messages.1.message.role"] == "user"
    assert chat.attributes["output.value"] == chat.attributes["llm.output_messages.0.message.content"]


async def test_a_call_lasts_as_long_as_its_tries_and_names_what_was_asked(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("judge"), 1, out, Speaker(overloaded("acme/judge")))
    (called,) = kinds(out, "model_called")
    assert isinstance(called, ModelCalled)
    (chat,) = [span for span in proven(out) if span.kind == "client"]
    asked = {name: chat.attributes[f"gen_ai.request.{name}"] for name in ("model", "temperature")}
    assert asked == {"model": "judge", "temperature": 0.0}
    assert chat.attributes["gen_ai.provider.name"] == "acme"
    assert chat.attributes["fellowship.attempts"] == chat.attributes["fellowship.attempts.failed"] == 1
    agent = next(span for span in proven(out) if span.name == "invoke_agent judge")
    assert chat.start_ns == agent.start_ns, (
        "three quarters of a second before its end: no earlier than it was asked for"
    )


# what is on the wire

TALK = (("gen_ai.conversation.id", "r/i~1"), ("fellowship.item.id", "i"))


@settings(max_examples=25, deadline=None)
@given(
    common=attributes,
    own=attributes,
    name=texts,
    error=st.none() | texts,
    start=st.integers(0, 2**63),
    state=texts,
    about_item=st.booleans(),
)
def test_a_span_is_read_back_as_it_was(
    common: dict[str, object],
    own: dict[str, object],
    name: str,
    error: str | None,
    start: int,
    state: str,
    about_item: bool,
) -> None:
    own = {key: value for key, value in own.items() if key not in common}
    place, link = Place(b"t" * 16, b"s" * 8), Place(b"u" * 16, b"v" * 8)
    one = Span(
        place=place,
        parent=b"p" * 8,
        name=name,
        kind="client",
        start_ns=start,
        end_ns=start + 1,
        common=Common(common),  # type: ignore[arg-type]  # of those sorts
        held=Held(*TALK),
        own=own,  # type: ignore[arg-type]  # likewise
        error=error,
        links=(link,),
        about_item=about_item,
    )
    body = wire.request([wire.span(one, state)] * 2, resource={"a": 1}, scope=("n", "v"), schema_url="https://x")
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    (scope,) = resource.scope_spans
    read, twin = scope.spans
    assert (read, read.name, read.trace_state, read.kind) == (twin, name, state, 3)
    assert (read.start_time_unix_nano, read.end_time_unix_nano) == (start, start + 1)
    assert (read.trace_id, read.span_id, read.parent_span_id) == (b"t" * 16, b"s" * 8, b"p" * 8)
    assert [(each.trace_id, each.span_id) for each in read.links] == [(b"u" * 16, b"v" * 8)]
    assert (read.status.code, read.status.message) == ((0, "") if error is None else (2, error))
    said = {**common, **dict(TALK[: 1 + about_item]), **own}
    wanted = {key: list(value) if isinstance(value, tuple) else value for key, value in said.items()}
    assert values(read.attributes) == wanted
    assert {key: type(value) for key, value in values(read.attributes).items()} == {
        key: type(value) for key, value in wanted.items()
    }
    assert (values(resource.resource.attributes), resource.schema_url, scope.schema_url) == (
        {"a": 1},
        *["https://x"] * 2,
    )


@settings(max_examples=25, deadline=None)
@given(own=attributes, name=texts, time=st.integers(0, 2**63), grave=st.booleans())
def test_an_event_is_read_back_as_it_was(own: dict[str, object], name: str, time: int, grave: bool) -> None:
    place = Place(b"t" * 16, b"s" * 8)
    one = Happening(place, name, time, Common({}), Held(*TALK), own, grave)  # type: ignore[arg-type]  # of those sorts
    body = wire.request([wire.happening(one)], resource={}, scope=("n", "v"), schema_url="")
    read = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records[0]
    assert (read.event_name, read.time_unix_nano, read.observed_time_unix_nano) == (name, time, time)
    assert (read.trace_id, read.span_id, read.severity_number) == (b"t" * 16, b"s" * 8, 13 if grave else 9)
    assert values(read.attributes) == {
        key: list(each) if isinstance(each, tuple) else each for key, each in {**dict(TALK), **own}.items()
    }


@given(answer=st.binary(max_size=60))
def test_whatever_a_receiver_answers_can_be_read(answer: bytes) -> None:
    count, words = wire.refused(answer)
    assert isinstance(count, int)
    assert isinstance(words + wire.status_words(answer), str)


def test_what_a_receiver_says_it_has_not_taken_is_read() -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans, answer.partial_success.error_message = 300, "too old: ü"
    assert wire.refused(answer.SerializeToString()) == (300, "too old: ü")
    assert wire.refused(b"") == (0, "")


def test_a_receiver_that_never_answers_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "LONGEST_IN_VAIN_S", 0.25)

    class Impatient:
        def wait(self, seconds: float, since_s: float) -> bool:
            return False

    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        to = otlp.Address(f"http://127.0.0.1:{silent.getsockname()[1]}/", {}, False, 0.1, None)
        collector = otlp.Collector("traces", to, {}, ("here", "1"), "")
        began_s = time.monotonic()
        for _ in range(100):
            collector.send([b""], Impatient())
    assert time.monotonic() - began_s < 5
    assert (collector.taken, collector.lost.total()) == (0, 100)
    assert collector.lost[f"{to.shown} was not tried any more"] > 90


# the environment


@pytest.mark.parametrize(
    ("environ", "url", "traces", "logs"),
    [
        ({}, None, "http://localhost:4318/v1/traces", "http://localhost:4318/v1/logs"),
        ({}, "https://x/api/otel/", "https://x/api/otel/v1/traces", "https://x/api/otel/v1/logs"),
        ({}, "http://x:1/v1/traces", "http://x:1/v1/traces", "http://x:1/v1/logs"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://y"}, "http://x", "http://x/v1/traces", "http://x/v1/logs"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://y/", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://z/t"},
            None,
            "http://z/t",
            "http://y/v1/logs",
        ),
    ],
)
def test_addresses_are_those_of_the_environment(
    environ: dict[str, str], url: str | None, traces: str, logs: str
) -> None:
    for signal, wanted in (("traces", traces), ("logs", logs)):
        found = otlp.address(signal, environ, url)  # type: ignore[arg-type]  # one of both
        assert found is not None
        assert found.url == wanted


def test_headers_times_and_compression_are_those_of_the_environment() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20abc, x-a=1",
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "x-b=2",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
        "OTEL_SERVICE_NAME": "jury",
        "OTEL_RESOURCE_ATTRIBUTES": "team=a%2Cb,service.name=other",
    }
    traces, logs = otlp.address("traces", environ), otlp.address("logs", environ)
    assert traces is not None
    assert logs is not None
    assert (traces.headers, traces.zipped, traces.timeout_s) == ({"authorization": "Basic abc", "x-a": "1"}, True, 2.5)
    assert (logs.headers, logs.zipped) == ({"x-b": "2"}, False)
    assert otlp.resource_of(environ, {"service.name": "x"}) == {"service.name": "jury", "team": "a,b"}
    assert otlp.address("logs", {"OTEL_LOGS_EXPORTER": "none"}) is None


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "write it as in http://localhost:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "file:///etc/passwd", "is no address of an OTLP receiver"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf is, usually at port 4318"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "there is gzip, and none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "write milliseconds"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-a=1,secret-of-mine", "the 2. of its headers is none"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem", "cannot be used: "),
    ],
)
def test_what_is_wrong_in_the_environment_is_told_by_its_name(variable: str, text: str, words: str) -> None:
    with pytest.raises(DeclarationError, match=words) as caught:
        otlp.address("traces", {variable: text})
    assert variable in str(caught.value)
    assert "secret-of-mine" not in str(caught.value)


def test_names_that_are_kept_twice_are_the_same() -> None:
    assert (mapping.ALSO_CALLED, traced.LOG) == (endpoints.ALSO_CALLED, directory.LOG)


def test_a_parent_that_is_none_is_refused() -> None:
    parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    assert otlp.above({"TRACEPARENT": parent, "TRACESTATE": "a=b"}) == (Place(b"\xab" * 16, b"\xcd" * 8), "a=b")
    for wrong in (parent[:-3], parent.replace("ab", "00"), "x"):
        with pytest.raises(DeclarationError, match="names no span"):
            otlp.above({"TRACEPARENT": wrong})


def test_ids_follow_from_the_run_and_the_log_alone() -> None:
    one, other = Sender(run="r", workflow="w"), Sender(run="r", workflow="other")
    assert one.trace_of("i~1") == other.trace_of("i~1") != one.trace_of("i~2")
    assert one.span_of(1, 2) == other.span_of(1, 2) != one.span_of(12)
