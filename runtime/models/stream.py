"""An answer that streams: server-sent events, put together again into the completion that they are parts of.

The openai package has both parts, but its decoder is private and takes events of any size, and its accumulator copies
all that has come with every chunk, and stops at chunks that deviate. Hence a reader of our own; what it puts together
is read by the one that reads whole answers.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, cast

import orjson

from ...protocols.errors import MalformedReply, ModelError, TruncatedReply
from ...protocols.models import Completion, Tier
from .endpoints import Endpoint
from .wire import LARGEST_REPLY, Hear, answer, completion, refusal, too_large

EVENTS = "text/event-stream"
FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""What a stream of events can begin with; the last is a comment."""
DONE = b"[DONE]"
LINGER_S = 0.1
"""How long the end of a body is waited for when the answer is whole: only then is the connection used again."""
TEXTS = ("content", "refusal", "reasoning_content", "reasoning")
"""The parts of a message that come word by word."""
STATUSES = (
    ("rate_limit", 429),
    ("too_many_requests", 429),
    ("insufficient_quota", 429),
    ("overloaded", 529),
    ("authentication", 401),
    ("invalid_api_key", 401),
    ("permission", 403),
    ("not_found", 404),
    ("content_filter", 400),
    ("context_length", 400),
    ("exceed_context_size", 400),
    ("invalid_request", 400),
    ("badrequest", 400),
)
"""The status that an error would have had, had it come before the first word, by its type or code."""


class Event(NamedTuple):
    """One server-sent event."""

    name: bytes
    data: bytes


class Events:
    """Server-sent events out of bytes, however these are divided.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, but for one thing: an
    event that nothing ends is an event.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._data: list[bytes] = []
        self._name = b""
        self._after_return = False
        self._rest_bytes = 0
        self._data_bytes = 0

    @property
    def held(self) -> int:
        """Bytes of the event that has not ended."""
        return self._rest_bytes + self._data_bytes

    def feed(self, part: bytes) -> list[Event]:
        """Return the events that these bytes complete."""
        events: list[Event] = []
        for line in self._lines(part):
            if line:
                self._field(line)
                continue
            if self._data:
                events.append(Event(self._name, b"\n".join(self._data)))
            self._data, self._name, self._data_bytes = [], b"", 0
        return events

    def end(self) -> list[Event]:
        """Return the event that nothing has ended, if there is one."""
        return self.feed(b"\n\n")

    def _lines(self, part: bytes) -> list[bytes]:
        """Return the lines that these bytes complete, without what ends them: a feed, a return, or both."""
        if self._after_return and part[:1] == b"\n":
            part, self._after_return = part[1:], False
        if not part:
            return []
        self._after_return = part[-1:] == b"\r"
        lines = part.splitlines(keepends=True)
        last = lines.pop() if part[-1:] not in (b"\n", b"\r") else b""
        if lines:
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest, self._rest_bytes = [], 0
        if last:
            self._rest.append(last)
            self._rest_bytes += len(last)
        return [line.rstrip(b"\r\n") for line in lines]

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._data_bytes += len(line)
        elif name == b"event":
            self._name = value.removeprefix(b" ")


class Assembly:
    """A chat completion in the making, out of its chunks."""

    def __init__(self, hear: Hear | None = None) -> None:
        """Make one.

        Args:
            hear: Is told the words as they come: of the answer, of what the model thinks, of a tool's arguments.
        """
        self._hear = hear
        self.finish: str | None = None
        """Why the answer ends, once it does."""
        self.size = 0
        """Letters kept, log probabilities by their bytes."""
        self._head: dict[str, Any] = {"id": "", "object": "chat.completion", "created": 0, "model": ""}
        self._texts: dict[str, list[str]] = {}
        self._tools: dict[int, _Tool] = {}
        self._logprobs: list[dict[str, Any]] = []
        self._choices: Any = []

    def add(self, chunk: dict[str, Any], length: int) -> None:
        """Take in a chunk.

        Args:
            chunk: Its JSON.
            length: The bytes of it.

        Raises:
            MalformedReply: its words are no text.
        """
        for name in ("id", "created", "model"):
            self._head[name] = self._head[name] or chunk.get(name)
        if chunk.get("usage") is not None:  # some count with every chunk; the last one counts all
            self._head["usage"] = chunk["usage"]
        choices: Any = chunk.get("choices")
        if not choices:
            return
        if not isinstance(choices, list):
            self._choices = choices
            return
        for choice in _objects(cast("object", choices)):
            if not choice.get("index"):
                self._choose(choice, length)

    def content(self) -> dict[str, Any]:
        """Return the completion as it would have come whole."""
        return {**self._head, "choices": [self._choice()] if self._choices is None else self._choices}

    def _choose(self, choice: dict[str, Any], length: int) -> None:
        self._choices = None
        if choice.get("finish_reason"):
            self.finish = str(choice["finish_reason"])
        shown: Any = choice.get("logprobs")
        if isinstance(shown, dict):
            self._logprobs += _objects(cast("dict[str, Any]", shown).get("content"))
            self.size += length
        delta: Any = choice.get("delta") or choice.get("message")  # the latter where a whole answer is one event
        if not isinstance(delta, dict):
            return
        said = self._said(cast("dict[str, Any]", delta))
        if said:
            self.size += len(said)
            if self._hear is not None:
                self._hear(said)

    def _said(self, delta: dict[str, Any]) -> str:
        """Keep what a chunk says, and return the words."""
        said = ""
        for name in TEXTS:
            words: Any = delta.get(name)
            if isinstance(words, str):
                self._texts.setdefault(name, []).append(words)
                said = said or words
            elif words is not None and name == "content":
                raise MalformedReply(f"not a chat completion: the words of a chunk are {type(words).__name__}")
        for position, part in enumerate(_objects(delta.get("tool_calls"))):
            said = self._tool(part, position) or said
        return said

    def _tool(self, part: dict[str, Any], position: int) -> str:
        index: Any = part.get("index")
        call = self._tools.setdefault(index if isinstance(index, int) else position, _Tool())
        named: Any = part.get("function")
        function = cast("dict[str, Any]", named) if isinstance(named, dict) else {}
        call.id = call.id or str(part.get("id") or "")
        call.name = call.name or str(function.get("name") or "")
        arguments = str(function.get("arguments") or "")
        call.arguments.append(arguments)
        return arguments

    def _choice(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message |= {name: "".join(words) for name, words in self._texts.items()}
        if self._tools:
            message["tool_calls"] = [self._tools[index].content() for index in sorted(self._tools)]
        choice: dict[str, Any] = {"index": 0, "finish_reason": self.finish, "message": message}
        if self._logprobs:
            choice["logprobs"] = {"content": self._logprobs, "refusal": None}
        return choice


class _Tool:
    """The call of a tool in the making."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def content(self) -> dict[str, Any]:
        function = {"name": self.name, "arguments": "".join(self.arguments)}
        return {"id": self.id, "type": "function", "function": function}


class Incoming:
    """The reply to a request for a stream: events, or the whole completion from an endpoint that does not stream."""

    def __init__(
        self, endpoint: Endpoint, headers: Mapping[str, str], content_type: str, hear: Hear | None = None
    ) -> None:
        self._endpoint = endpoint
        self._headers = headers
        self._content_type = content_type
        self._answer = Assembly(hear)
        self._events: Events | None = None
        self._raw = bytearray()
        self._taken = 0
        self._whole = False
        self.done = False
        """Whether the endpoint has said that nothing follows."""

    @property
    def finished(self) -> bool:
        """Whether all words have come."""
        return self.done or self._answer.finish is not None

    def take(self, part: bytes) -> None:
        """Take in some bytes.

        Raises:
            ModelError: the endpoint failed in the middle, or sends what is no completion, or too much of it.
        """
        if self._events is None:
            self._taken += len(part)
            if self._taken > LARGEST_REPLY:
                raise too_large()
            self._raw += part
            if self._whole or not self._streams():
                return
            part, self._events = bytes(self._raw), Events()
        for event in self._events.feed(part):
            self._event(event)
        if self._events.held + self._answer.size > LARGEST_REPLY:
            raise too_large()

    def completion(self, tier: Tier | None) -> Completion:
        """Return the answer, when no more bytes come.

        Raises:
            ModelError: there is none; as in `wire.completion`, or because it broke off.
        """
        if self._events is None and (self._raw or self._content_type != EVENTS):
            return answer(bytes(self._raw), self._content_type, tier)
        if self._events is not None:
            with suppress(MalformedReply):  # half an event: it broke off
                for event in self._events.end():
                    self._event(event)
        if not self.finished:
            raise TruncatedReply(f"the reply of {self._endpoint.name} broke off: its stream has no end")
        return completion(orjson.dumps(self._answer.content()), tier)

    def _streams(self) -> bool:
        """Return whether these are events; it may take some bytes to know."""
        self._raw = self._raw.lstrip()
        if self._raw.startswith(FIELDS):
            return True
        self._whole = not any(field.startswith(self._raw) for field in FIELDS)
        return False

    def _event(self, event: Event) -> None:
        if self.done or not event.data.strip():
            return
        if event.data.startswith(DONE):
            self.done = True
            return
        try:
            chunk: Any = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            chunk = None
        if event.name == b"error":
            raise self._failed(event.data, chunk)
        if not isinstance(chunk, dict):
            raise MalformedReply("not a chat completion: an event of the stream is no JSON object")
        content = cast("dict[str, Any]", chunk)
        if content.get("error") or content.get("object") == "error":
            raise self._failed(event.data, content)
        self._answer.add(content, len(event.data))

    def _failed(self, raw: bytes, content: object) -> ModelError:
        error = refusal(_status(content), raw, self._headers, self._endpoint)
        error.maybe_billed = error.maybe_billed or self._answer.size > 0
        return error


async def read(parts: AsyncIterator[bytes], incoming: Incoming) -> None:
    """Take in a body up to the end of the answer, and what follows on it as far as it is there at once.

    Raises:
        ModelError: as `Incoming.take`.
        Exception: what `parts` raises, unless all words have come by then.
    """
    try:
        async for part in parts:
            incoming.take(part)
            if incoming.done:
                break
        else:
            return
    except ModelError:
        raise
    except Exception:
        if not incoming.finished:
            raise
        return
    with suppress(Exception):  # whatever the network does now does no harm to the answer
        async with asyncio.timeout(LINGER_S):
            async for _ in parts:
                pass


def _objects(value: object) -> list[dict[str, Any]]:
    """Return the objects in a list, if it is one."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def _status(content: object) -> int:
    """Return the status that an error in the middle of a stream stands for: the one it names, or that of its sort."""
    facts: Any = cast("dict[str, Any]", content).get("error", content) if isinstance(content, dict) else None
    if not isinstance(facts, dict):
        return 500
    error = cast("dict[str, Any]", facts)
    for name in ("code", "status", "status_code"):
        number = str(error.get(name))
        if len(number) == 3 and number.isascii() and number.isdigit() and 400 <= int(number) < 600:
            return int(number)
    sort = f"{error.get('type')} {error.get('code')}".lower()
    return next((status for mark, status in STATUSES if mark in sort), 500)
