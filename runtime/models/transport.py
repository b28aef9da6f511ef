"""The lean transport: aiohttp straight to /chat/completions, typed with the openai package's response models."""

import math
from collections.abc import Mapping
from typing import Any, Self, cast, get_args

import aiohttp
import orjson
from openai.types.chat import ChatCompletion
from pydantic import ValidationError

from ...protocols.errors import (
    CallRefused,
    ConnectionFailed,
    MalformedReply,
    ModelError,
    Overloaded,
    PromptTooLong,
    QuotaExhausted,
    RateLimited,
    Unauthorised,
)
from ...protocols.models import Completion, FinishReason, ModelCall, Usage
from .endpoints import Endpoint

LONGEST_ERROR = 400
"""Characters of an endpoint's own words that are kept."""
FINISH_REASONS: frozenset[str] = frozenset(get_args(FinishReason))
TOO_LONG = ("context_length_exceeded", "exceed_context_size_error", "maximum context length", "context size")
OUT_OF_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "exceeded your current quota")


class LeanTransport:
    """Sends calls over pooled connections; an async context manager."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Admission bounds what is in flight, so the pool must not; deadlines belong to the caller.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
            headers={"User-Agent": "llm-fellowship"},
            auto_decompress=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, endpoint: Endpoint, call: ModelCall) -> Completion:
        """Ask once.

        Raises:
            ModelError: there is no completion; its class says why.
        """
        if self._session is None:
            raise RuntimeError("the transport is not open: use it with `async with`")
        headers = {"Content-Type": "application/json"}
        if endpoint.key:
            headers["Authorization"] = f"Bearer {endpoint.key}"
        try:
            async with self._session.post(endpoint.url, data=body(endpoint, call), headers=headers) as response:
                raw = await response.read()
                if response.status == 200:
                    return completion(raw)
                raise refusal(response.status, raw, response.headers, endpoint)
        except (aiohttp.ClientError, ConnectionError, OSError) as error:
            words = _clean(f"{type(error).__name__}: {error}", endpoint)
            raise ConnectionFailed(f"no connection to {endpoint.base_url}: {words}") from error


def body(endpoint: Endpoint, call: ModelCall) -> bytes:
    """Return the JSON of a chat completions request."""
    request: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [{"role": message.role, "content": message.content} for message in call.messages],
        **call.settings.sampling(),
    }
    if endpoint.max_tokens != "max_tokens" and "max_tokens" in request:
        request[endpoint.max_tokens] = request.pop("max_tokens")
    if call.answer is not None and endpoint.json_schema:
        schema = call.answer.schema
        if endpoint.longest_string is not None:
            schema = _bounded(schema, endpoint.longest_string)
        form = {"name": call.answer.name, "strict": True, "schema": schema}
        request["response_format"] = {"type": "json_schema", "json_schema": form}
    return orjson.dumps(request)


def completion(raw: bytes) -> Completion:
    """Read a reply.

    Endpoints deviate from the published model in what nobody needs (an unknown service tier, a missing id): such a
    reply is read all the same, as long as it has a message.

    Raises:
        MalformedReply: it is not a chat completion with a message.
    """
    try:
        reply = ChatCompletion.model_validate_json(raw)
    except ValidationError as error:
        reply = _deviating(raw, error)
    if not reply.choices:
        raise MalformedReply("a chat completion without any choice")
    choice = reply.choices[0]
    reason: str | None = choice.finish_reason
    return Completion(
        text=choice.message.content or "",
        finish_reason=cast("FinishReason", reason) if reason in FINISH_REASONS else "other",
        served_by=reply.model,
        usage=_usage(reply),
    )


def _deviating(raw: bytes, error: ValidationError) -> ChatCompletion:
    """Return a reply that does not fit the published model, where what is needed of it is there."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    malformed = MalformedReply(f"not a chat completion: {place}: {problem['msg']}"[:LONGEST_ERROR])
    try:
        content: Any = orjson.loads(raw)
        choice: Any = content["choices"][0]
        text: Any = choice["message"].get("content")
        usage: Any = content.get("usage") or {}
        counted: list[Any] = [usage.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")]
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError):
        raise malformed from error
    if not isinstance(text, str | None) or not all(isinstance(count, int) for count in counted):
        raise malformed from error
    return ChatCompletion.construct(
        id="",
        object="chat.completion",
        created=0,
        model=str(content.get("model") or ""),
        choices=[{"index": 0, "finish_reason": choice.get("finish_reason"), "message": choice["message"]}],
        usage={**usage, "prompt_tokens": counted[0], "completion_tokens": counted[1]},
    )


def _usage(reply: ChatCompletion) -> Usage:
    usage = reply.usage
    if usage is None:
        return Usage()
    prompt, answer = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_tokens=(prompt.cached_tokens or 0) if prompt else 0,
        reasoning_tokens=(answer.reasoning_tokens or 0) if answer else 0,
    )


def refusal(status: int, raw: bytes, headers: Mapping[str, str], endpoint: Endpoint) -> ModelError:
    """Return the error that a reply other than 200 stands for."""
    words = _clean(_words(raw), endpoint)
    reason = f"{endpoint.name} answered {status}: {words}"
    lower = words.lower()
    if status in (401, 403):
        return Unauthorised(reason)
    if status == 429:
        if any(mark in lower for mark in OUT_OF_QUOTA):
            return QuotaExhausted(reason)
        return RateLimited(reason, retry_after_s=retry_after_s(headers))
    if status >= 500 or status == 408:
        return Overloaded(reason, retry_after_s=retry_after_s(headers))
    if any(mark in lower for mark in TOO_LONG):
        return PromptTooLong(reason)
    return CallRefused(reason)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds an endpoint asks to wait (`retry-after-ms`, `retry-after`), where it says a number."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def _words(raw: bytes) -> str:
    """Return what an error body says: its message, type and code, or its text."""
    try:
        content: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "replace")
    error: Any = cast("dict[str, Any]", content).get("error", content) if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return str(error)
    facts = cast("dict[str, Any]", error)
    parts = (facts.get(name) for name in ("message", "type", "code"))
    return " ".join(str(part) for part in parts if part) or str(facts)


def _clean(words: str, endpoint: Endpoint) -> str:
    """Return an endpoint's words on one line, without the key, at most LONGEST_ERROR characters."""
    if endpoint.key:
        words = words.replace(endpoint.key, "[key]")
    return " ".join(words.split())[:LONGEST_ERROR]


def _bounded(schema: dict[str, Any], longest: int) -> dict[str, Any]:
    """Return a schema that a grammar can hold a model to: strings bounded, numbers in a range whole."""
    bounded = {
        name: _bounded(cast("dict[str, Any]", part), longest) if isinstance(part, dict) else part
        for name, part in schema.items()
    }
    if bounded.get("type") == "string" and "enum" not in bounded:
        bounded["maxLength"] = longest
    if bounded.get("type") == "number" and "maximum" in bounded:
        bounded["type"] = "integer"
    return bounded
