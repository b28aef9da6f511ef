"""What it costs to watch a run: judge calls sent by OTLP as they are made, beside the same ones unwatched.

A process of its own follows the log and sends spans and events to a receiver in a third process, which answers at once.
The CPU of the run's process and of the follower are told apart; the latter's start, once a run, is taken off what it
costs a call, and told by itself. Watched and unwatched runs take turns, and medians of the ratios of neighbours are
printed. Last, what it takes to encode the same spans by hand, as opentelemetry-proto's messages, and by the SDK.

    python benchmarks/tracing.py [ITEMS] [REPETITIONS] [--content] [--uvloop]
"""

import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import Server, arguments, fellowship, items, judging, loop_name, middle, run, serving
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from fellowship.protocols.items import Item
from fellowship.runtime.log import LogReader
from fellowship.runtime.telemetry import wire
from fellowship.runtime.telemetry.mapping import GenAI
from fellowship.runtime.telemetry.records import Sender, Span
from fellowship.runtime.telemetry.spans import Spans
from fellowship.scenarios.followed import followed
from fellowship.scenarios.traced import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable

IN_FLIGHT = 256
GOAL = 1.10
FEW = 64
"""Calls of a run whose follower has hardly more to do than to start."""


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def unwatched(server: Server, todo: list[Item], out: Path) -> float:
    """Return the CPU seconds of a run."""
    return (await fellowship(judging(), server, todo, out, IN_FLIGHT)).cpu_s


async def watched(server: Server, receiver: Server, todo: list[Item], out: Path) -> tuple[float, float]:
    """Return the CPU seconds of a run that is followed, and those of its follower."""
    tracing = Tracing.of(receiver.base_url.removesuffix("/v1"), content="--content" in sys.argv, environ={})
    before_s = children_s()
    begun_s = time.process_time()
    with followed(out, tracing):
        await fellowship(judging(), server, todo, out, IN_FLIGHT)
        spent_s = time.process_time() - begun_s
    return spent_s, children_s() - before_s


def spans_of(out: Path) -> list[Span]:
    with LogReader(out / "run.db") as log:
        fold = Spans(Sender(run=log.run_id(), workflow="judge"), GenAI())
        return [record for entry in log.entries() for record in fold.take(entry) if isinstance(record, Span)]


def by_hand(spans: list[Span]) -> bytes:
    return b"".join([wire.span(span) for span in spans])


def value_of(value: object) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    assert isinstance(value, tuple)
    return AnyValue(array_value=ArrayValue(values=[value_of(part) for part in value]))


def as_messages(spans: list[Span]) -> bytes:
    messages = [
        Message(
            trace_id=span.place.trace,
            span_id=span.place.span,
            parent_span_id=span.parent or b"",
            name=span.name,
            kind=wire.KINDS[span.kind],
            start_time_unix_nano=span.start_ns,
            end_time_unix_nano=span.end_ns,
            attributes=[KeyValue(key=key, value=value_of(value)) for key, value in span.attributes.items()],
        )
        for span in spans
    ]
    return ScopeSpans(spans=messages).SerializeToString()


def by_sdk(spans: list[Span]) -> bytes:
    whole, scope = Resource({}), InstrumentationScope("llm-fellowship")
    sampled = TraceFlags(TraceFlags.SAMPLED)

    def context(span: bytes, trace: bytes) -> SpanContext:
        return SpanContext(int.from_bytes(trace), int.from_bytes(span), is_remote=False, trace_flags=sampled)

    made: list[Any] = [
        ReadableSpan(
            name=span.name,
            context=context(span.place.span, span.place.trace),
            parent=context(span.parent, span.place.trace) if span.parent else None,
            resource=whole,
            attributes=span.attributes,
            kind=SpanKind.CLIENT if span.kind == "client" else SpanKind.INTERNAL,
            instrumentation_scope=scope,
            start_time=span.start_ns,
            end_time=span.end_ns,
        )
        for span in spans
    ]
    return encode_spans(made).SerializeToString()


def encodings(spans: list[Span], repetitions: int) -> None:
    ways: dict[str, Callable[[list[Span]], bytes]] = {"by hand": by_hand, "proto": as_messages, "SDK": by_sdk}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, encode in ways.items():
            begun_s = time.process_time()
            encode(spans)
            found[name].append(1e6 * (time.process_time() - begun_s) / len(spans))
    print(f"encoding {len(spans)} spans; CPU a span:")
    for name, values in found.items():
        print(f"  {name:20} {middle(values, '6.1f')}")


async def main(count: int, repetitions: int) -> None:
    alone: list[float] = []
    run_s: list[float] = []
    follower_s: list[float] = []
    start_s: list[float] = []
    with serving() as server, serving() as receiver, tempfile.TemporaryDirectory() as folder:
        todo, place = items(count), Path(folder)
        await unwatched(server, todo, place / "warm")
        for number in range(repetitions):
            start_s.append((await watched(server, receiver, todo[:FEW], place / f"few-{number}"))[1])
            alone.append(await unwatched(server, todo, place / f"alone-{number}"))
            ours, its = await watched(server, receiver, todo, place / f"watched-{number}")
            run_s.append(ours)
            follower_s.append((its - start_s[-1]) * count / (count - FEW))
        words = ", content and all" if "--content" in sys.argv else ""
        print(
            f"{count} judge calls, {IN_FLIGHT} in flight, {repetitions} repetitions, {loop_name()}{words}; CPU a call:"
        )
        for name, values in (("unwatched", alone), ("watched: the run", run_s), ("watched: the follower", follower_s)):
            print(f"  {name:22} {middle([1e6 * seconds / count for seconds in values])}")
        print(f"  {f'follower of {FEW} calls':22} {middle([1e3 * seconds for seconds in start_s], unit='ms')}")
        pairs = list(zip(alone, run_s, follower_s, strict=True))
        both = statistics.median((ours + its) / before for before, ours, its in pairs)
        only = statistics.median(ours / before for before, ours, _ in pairs)
        print(f"  watched / unwatched    {both:5.3f}   goal: at most {GOAL}; the run's own process alone {only:5.3f}")
        encodings(spans_of(place / "warm"), repetitions)


if __name__ == "__main__":
    run(main(*arguments(4000, 7)))
