"""A provider's Batch API on loopback that keeps a ledger, and misbehaves on purpose."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

import orjson
from aiohttp import web

from ...protocols.models import AnswerSchema, ChatMessage, ModelCall, ModelSettings
from .scripted import as_reply

Operation = Literal["upload", "create", "poll", "list", "content", "cancel"]
CREATED_S = 1_700_000_000
"""The time at this provider's."""
LARGEST_UPLOAD = 210 * 10**6


@dataclass(frozen=True, slots=True)
class LineFault:
    """What goes wrong with one line: only `status`, `error`, `malformed` and `torn` are errors of the call itself."""

    sort: Literal["status", "error", "malformed", "torn", "nameless", "missing", "twice"] = "status"
    """A response with another status; an error and no response; a response that is no chat completion; a line that
    breaks off behind its name; one that breaks off before; none; a good one that comes twice."""
    status: int = 500
    error: Mapping[str, str] = field(default_factory=lambda: {"message": "something went wrong"})


@dataclass(frozen=True, slots=True)
class BatchFault:
    """What goes wrong with one batch."""

    sort: Literal["failed", "expired", "cancelled"]
    after: int = 0
    """Lines that are run before it expires or is cancelled."""
    told: bool = True
    """Whether the error file has lines for those that were not run."""
    errors: tuple[Mapping[str, Any], ...] = ()
    """What validation found, where it failed: `code`, `message`, `line`."""


@dataclass(eq=False, slots=True)
class ServedBatch:
    """A batch as it came in, and what was done about it."""

    id: str
    input_file_id: str
    metadata: dict[str, str]
    requests: tuple[tuple[str, dict[str, Any]], ...]
    """Name and request of each line."""
    authorization: str
    fault: BatchFault | None = None
    status: str = "validating"
    polls: int = 0
    files: dict[str, str] = field(default_factory=dict[str, str])
    """Ids of the output and the error file."""
    completed: int = 0
    failed: int = 0

    @property
    def custom_ids(self) -> tuple[str, ...]:
        """Names of its calls."""
        return tuple(custom_id for custom_id, _ in self.requests)


class LoopbackBatches:
    """A real HTTP server; an async context manager. Batches are run when they have been looked at often enough."""

    def __init__(
        self,
        answer: Callable[[ModelCall], str] = as_reply,
        *,
        polls: int = 1,
        lines: Mapping[int, LineFault] | None = None,
        batches: Iterable[BatchFault | None] = (),
        shuffled: random.Random | None = None,
        unreachable: Mapping[Operation, int] | None = None,
        lost: Mapping[Operation, int] | None = None,
        page: int = 100,
        metadata_kept: bool = True,
    ) -> None:
        """Make a server.

        Args:
            answer: Says what a model would.
            polls: Looks at a batch that find it in progress, before one finds it over.
            lines: What goes wrong with the n-th line of all, from 1.
            batches: What goes wrong with batches, in the order in which they are made.
            shuffled: Puts the lines of a file in another order.
            unreachable: Requests of each sort that are answered 503, and not carried out.
            lost: Requests of each sort that are carried out after that, and whose reply breaks off.
            page: The most batches listed at once.
            metadata_kept: Whether a batch keeps its metadata.
        """
        self._answer = answer
        self.polls = polls
        self._lines = lines or {}
        self._faults = iter(batches)
        self._shuffled = shuffled
        self.unreachable = Counter[str](unreachable or {})
        self.lost = Counter[str](lost or {})
        self._page = page
        self._metadata_kept = metadata_kept
        self.key: str | None = None
        """The only key that is accepted; any where there is none."""
        self._files: dict[str, bytes] = {}
        self._runner: web.AppRunner | None = None
        self._line = 0
        self.batches: list[ServedBatch] = []
        """Every batch, in the order in which they were made."""
        self.billed: list[str] = []
        """Names of the calls that were answered, in the order of the answers."""
        self.input_tokens = 0
        self.output_tokens = 0
        self.requests = Counter[str]()
        """Requests of each sort."""
        self.looked_at = asyncio.Event()
        """Set when somebody has looked at a batch."""
        self.base_url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=LARGEST_UPLOAD)
        routes = app.router
        routes.add_post("/v1/files", self._serving("upload", self._upload))
        routes.add_get("/v1/files/{id}/content", self._serving("content", self._content))
        routes.add_post("/v1/batches", self._serving("create", self._create))
        routes.add_get("/v1/batches", self._serving("list", self._list))
        routes.add_get("/v1/batches/{id}", self._serving("poll", self._poll))
        routes.add_post("/v1/batches/{id}/cancel", self._serving("cancel", self._cancel))
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def forget(self) -> None:
        """Lose all files and batches, but not the ledger."""
        self._files.clear()
        for batch in self.batches:
            batch.status = "forgotten"

    def drop_files(self) -> None:
        """Lose all files: providers keep them for a while only."""
        self._files.clear()

    def _serving(
        self, operation: Operation, serve: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def served(request: web.Request) -> web.StreamResponse:
            self.requests[operation] += 1
            if self.unreachable[operation] > 0:
                self.unreachable[operation] -= 1
                return _refused(503, "try again later")
            if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
                return _refused(401, "no such key")
            response = await serve(request)
            if self.lost[operation] > 0:
                self.lost[operation] -= 1
                return await _torn(request, response)
            return response

        return served

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        uploaded = form["file"]
        if form["purpose"] != "batch" or not isinstance(uploaded, web.FileField):
            return _refused(400, "a file of purpose batch is wanted")
        content = uploaded.file.read()
        file_id = self._keep(content)
        facts = {"bytes": len(content), "filename": uploaded.filename, "purpose": "batch", "status": "processed"}
        return web.json_response({"id": file_id, "object": "file", "created_at": CREATED_S, **facts})

    async def _content(self, request: web.Request) -> web.Response:
        content = self._files.get(request.match_info["id"])
        if content is None:
            return _refused(404, "no such file")
        return web.Response(body=content, content_type="application/octet-stream")

    async def _create(self, request: web.Request) -> web.Response:
        wanted: dict[str, Any] = orjson.loads(await request.read())
        content = self._files.get(wanted["input_file_id"])
        if content is None or wanted["endpoint"] != "/v1/chat/completions" or wanted["completion_window"] != "24h":
            return _refused(400, "no such file, endpoint or window")
        lines = [orjson.loads(line) for line in content.splitlines()]
        batch = ServedBatch(
            id=f"batch_{len(self.batches) + 1}",
            input_file_id=wanted["input_file_id"],
            metadata=wanted.get("metadata") or {} if self._metadata_kept else {},
            requests=tuple((line["custom_id"], line["body"]) for line in lines),
            authorization=request.headers.get("Authorization", ""),
            fault=next(self._faults, None),
        )
        self.batches.append(batch)
        return _shown(batch)

    async def _list(self, request: web.Request) -> web.Response:
        newest_first = [batch for batch in reversed(self.batches) if batch.status != "forgotten"]
        after = request.query.get("after")
        if after is not None:
            place = [batch.id for batch in newest_first].index(after)
            newest_first = newest_first[place + 1 :]
        shown = newest_first[: min(self._page, int(request.query.get("limit", "20")))]
        content = {"object": "list", "data": [_facts(batch) for batch in shown], "has_more": shown != newest_first}
        return web.json_response(content)

    async def _poll(self, request: web.Request) -> web.Response:
        batch = self._batch(request)
        if batch is None:
            return _refused(404, "no such batch")
        batch.polls += 1
        self.looked_at.set()
        if batch.status in ("validating", "in_progress"):
            batch.status = "in_progress"
            if batch.polls > self.polls:
                self._run(batch)
        return _shown(batch)

    async def _cancel(self, request: web.Request) -> web.Response:
        batch = self._batch(request)
        if batch is None:
            return _refused(404, "no such batch")
        batch.fault = BatchFault("cancelled")
        self._run(batch)
        return _shown(batch)

    def _batch(self, request: web.Request) -> ServedBatch | None:
        known = (batch for batch in self.batches if batch.status != "forgotten")
        return next((batch for batch in known if batch.id == request.match_info["id"]), None)

    def _keep(self, content: bytes) -> str:
        file_id = f"file-{len(self._files) + 1}"
        self._files[file_id] = content
        return file_id

    def _run(self, batch: ServedBatch) -> None:
        """Run a batch to its end and write its files."""
        fault = batch.fault
        batch.status = fault.sort if fault else "completed"
        if batch.status == "failed":
            return
        output: list[bytes] = []
        errors: list[bytes] = []
        for number, (custom_id, body) in enumerate(batch.requests):
            if fault is not None and number >= fault.after:
                if fault.told:
                    told = {"code": f"batch_{fault.sort}", "message": f"the batch {fault.sort} before this call"}
                    errors.append(_line(custom_id, None, told))
                continue
            self._line += 1
            self._run_line(batch, custom_id, body, self._lines.get(self._line), output, errors)
        for name, lines in (("output_file_id", output), ("error_file_id", errors)):
            if self._shuffled is not None:
                self._shuffled.shuffle(lines)
            if lines:
                batch.files[name] = self._keep(b"\n".join(lines) + b"\n")

    def _run_line(
        self,
        batch: ServedBatch,
        custom_id: str,
        body: dict[str, Any],
        fault: LineFault | None,
        output: list[bytes],
        errors: list[bytes],
    ) -> None:
        if fault is not None and fault.sort in ("status", "error"):
            batch.failed += 1
            if fault.sort == "error":
                errors.append(_line(custom_id, None, fault.error))
            else:
                errors.append(_line(custom_id, {"status_code": fault.status, "body": {"error": fault.error}}, None))
            return
        batch.completed += 1
        self.billed.append(custom_id)
        line = _line(custom_id, {"status_code": 200, "request_id": f"req-{custom_id}", "body": self._say(body)}, None)
        match fault.sort if fault else "good":
            case "malformed":
                line = _line(custom_id, {"status_code": 200, "body": {"choices": "none"}}, None)
            case "torn":
                line = line[: line.index(custom_id.encode()) + len(custom_id) + 20]
            case "nameless":
                line = b'{"id": "batch_req", "response": {"status_code": 20'
            case "twice":
                output.append(line)
            case _:
                pass
        if fault is None or fault.sort != "missing":
            output.append(line)

    def _say(self, body: dict[str, Any]) -> dict[str, Any]:
        text = self._answer(_call(body))
        read = sum(len(message["content"].split()) for message in body["messages"])
        said = len(text.split())
        self.input_tokens += read
        self.output_tokens += said
        return {
            "id": "chatcmpl-loopback",
            "object": "chat.completion",
            "created": CREATED_S,
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said},
        }


def _call(body: dict[str, Any]) -> ModelCall:
    """Return a request as the call it came from, so that one script serves any test double."""
    form = body.get("response_format", {}).get("json_schema")
    messages = tuple(ChatMessage(message["role"], message["content"]) for message in body["messages"])
    answer = AnswerSchema(form["name"], form["schema"]) if form else None
    return ModelCall(ModelSettings(model=f"loopback/{body['model']}"), messages, answer)


def _line(custom_id: str, response: Mapping[str, Any] | None, error: Mapping[str, Any] | None) -> bytes:
    return orjson.dumps({"id": "batch_req", "custom_id": custom_id, "response": response, "error": error})


def _facts(batch: ServedBatch) -> dict[str, Any]:
    errors = batch.fault.errors if batch.fault is not None and batch.status == "failed" else ()
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "created_at": CREATED_S,
        "status": batch.status,
        "input_file_id": batch.input_file_id,
        "output_file_id": batch.files.get("output_file_id"),
        "error_file_id": batch.files.get("error_file_id"),
        "metadata": batch.metadata or None,
        "errors": {"object": "list", "data": [dict(error) for error in errors]} if errors else None,
        "request_counts": {"total": len(batch.requests), "completed": batch.completed, "failed": batch.failed},
    }


def _shown(batch: ServedBatch) -> web.Response:
    return web.json_response(_facts(batch))


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)


async def _torn(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Send half of a response and break off."""
    content = response.body if isinstance(response.body, bytes) else b""
    begun = web.StreamResponse(headers={"Content-Type": response.content_type, "Content-Length": str(len(content))})
    await begun.prepare(request)
    await begun.write(content[: len(content) // 2])
    if request.transport is not None:
        request.transport.close()
    return begun
