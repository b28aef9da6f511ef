"""An OTLP receiver on this machine: what tests of telemetry send to, and what it was sent, read by opentelemetry-proto."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from anyio.from_thread import start_blocking_portal
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


@dataclass(frozen=True)
class SpanSeen:
    id: str
    trace: str
    parent: str
    name: str
    kind: int
    start: int
    end: int
    status: int
    words: str
    attributes: Mapping[str, Any]
    links: tuple[tuple[str, str], ...]
    state: str


@dataclass(frozen=True)
class EventSeen:
    name: str
    trace: str
    span: str
    time: int
    severity: int
    attributes: Mapping[str, Any]


@dataclass
class Receiver:
    """What came, in the order in which it came."""

    answers: Iterator[web.Response] = field(default_factory=lambda: iter(()))
    """What it answers first, in place of taking anything."""
    rejecting: bool = False
    base_url: str = ""
    spans: list[SpanSeen] = field(default_factory=list)
    events: list[EventSeen] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    schemas: set[str] = field(default_factory=set)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append((request.path, dict(request.headers)))
        refusal = next(self.answers, None)
        if refusal is not None:
            return refusal
        self.bodies.append(body)
        if request.path.endswith("/traces"):
            self._traces(ExportTraceServiceRequest.FromString(body))
        else:
            self._logs(ExportLogsServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse()
        if self.rejecting:
            answer.partial_success.rejected_spans, answer.partial_success.error_message = 1, "too old"
        return web.Response(body=answer.SerializeToString(), content_type="application/x-protobuf")

    def _traces(self, message: ExportTraceServiceRequest) -> None:
        for within in message.resource_spans:
            self.resources.append(values(within.resource.attributes))
            for scope in within.scope_spans:
                self.schemas.add(scope.schema_url)
                for one in scope.spans:
                    assert one.flags == 1
                    self.spans.append(
                        SpanSeen(
                            id=one.span_id.hex(),
                            trace=one.trace_id.hex(),
                            parent=one.parent_span_id.hex(),
                            name=one.name,
                            kind=one.kind,
                            start=one.start_time_unix_nano,
                            end=one.end_time_unix_nano,
                            status=one.status.code,
                            words=one.status.message,
                            attributes=values(one.attributes),
                            links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in one.links),
                            state=one.trace_state,
                        )
                    )

    def _logs(self, message: ExportLogsServiceRequest) -> None:
        for within in message.resource_logs:
            for scope in within.scope_logs:
                for one in scope.log_records:
                    assert one.time_unix_nano == one.observed_time_unix_nano
                    self.events.append(
                        EventSeen(
                            name=one.event_name,
                            trace=one.trace_id.hex(),
                            span=one.span_id.hex(),
                            time=one.time_unix_nano,
                            severity=one.severity_number,
                            attributes=values(one.attributes),
                        )
                    )

    def named(self, name: str) -> list[SpanSeen]:
        return [span for span in self.spans if span.name == name]

    def evaluations(self, name: str) -> list[Mapping[str, Any]]:
        found = [event.attributes for event in self.events]
        return [attributes for attributes in found if attributes["gen_ai.evaluation.name"] == name]

    @property
    def said(self) -> str:
        """Return all that came, as text."""
        return " ".join(body.decode("utf-8", "replace") for body in self.bodies)


def values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    pairs = [(one.key, value(one.value)) for one in attributes]
    assert len(dict(pairs)) == len(pairs), "an attribute stands twice"
    return dict(pairs)


def value(one: AnyValue) -> Any:
    sort = one.WhichOneof("value")
    return [value(part) for part in one.array_value.values] if sort == "array_value" else getattr(one, sort)


@contextmanager
def receiving(*answers: web.Response, rejecting: bool = False) -> Iterator[Receiver]:
    """Serve on a thread."""
    receiver = Receiver(iter(answers), rejecting)

    async def serve() -> web.AppRunner:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/{path:.*}", receiver.take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        receiver.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    with start_blocking_portal() as portal:
        runner = portal.call(serve)
        try:
            yield receiver
        finally:
            portal.call(runner.cleanup)
