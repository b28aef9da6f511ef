"""What goes over the wire: the body of a request, the reading of a reply, the meaning of an error."""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, cast, get_args

import orjson
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice
from pydantic import ValidationError

from ...protocols.errors import (
    CallRefused,
    ContentFiltered,
    Limit,
    MalformedReply,
    ModelError,
    ModelNotFound,
    ModelRefused,
    Overloaded,
    PromptTooLong,
    QuotaExhausted,
    RateLimited,
    ServerError,
    Unauthorised,
)
from ...protocols.models import Completion, FinishReason, ModelCall, Tier, TokenLogprob, Usage
from ..secrecy import Secrets, hide, hide_cut
from .endpoints import Endpoint

LONGEST_ERROR = 400
"""Characters of an endpoint's own words that are kept."""
MOST_WORDS = 4 * LONGEST_ERROR
"""Bytes of an error that is no JSON in which these are looked for."""
LARGEST_REPLY = 32 * 2**20
"""Bytes of a reply that are taken; no answer of a model comes near."""
FINISH_REASONS: frozenset[str] = frozenset(get_args(FinishReason))
TOO_LONG = (
    "context_length_exceeded",
    "exceed_context_size_error",
    "maximum context length",
    "context size",
    "prompt is too long",
    "request too large",
)
OUT_OF_QUOTA = (
    "insufficient_quota",
    "billing_hard_limit_reached",
    "exceeded your current quota",
    "credit balance is too low",
    "insufficient credits",
)
A_WHILE = ("retry in", "perminute", "per minute", "per-minute")
"""Words of a limit that has room again soon: Gemini calls what it allows a minute a quota, too."""
FILTERED = ("content_filter", "content management policy", "flagged by moderation", "requires moderation")
LIMITS: tuple[tuple[Limit, tuple[str, ...]], ...] = (
    ("concurrency", ("concurren", "simultaneous", "in parallel", "at the same time")),
    ("tokens", ("tokens per min", "token per min", "tpm", "token rate", "tokens/min", "input tokens", "output tokens")),
    ("requests", ("requests per min", "request rate", "rpm", "requests/min", "requests per second")),
)
"""Words by which a 429 says what it counts."""
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
"""What asks for an answer word by word."""
Hear = Callable[[str], None]
"""Is told the words of an answer as they come."""


class Reply(NamedTuple):
    """An answer, with the headers it came with."""

    completion: Completion
    headers: Mapping[str, str]


class Transport(Protocol):
    """A way to an endpoint. One contract test runs over all of them."""

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier, hear: Hear | None = None) -> Reply:
        """Ask once.

        Args:
            endpoint: Whom.
            call: What.
            tier: How it is held to the form of the answer, where the call has one.
            hear: Is told the words as they come, by a transport that streams; others have no use for it.

        Raises:
            ModelError: there is no answer; its class says why.
        """
        ...


def request(endpoint: Endpoint, call: ModelCall, tier: Tier, *, stream: bool = False) -> dict[str, Any]:
    """Return a chat completions request."""
    content: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [{"role": message.role, "content": message.content} for message in call.messages],
        **call.settings.sampling,
    }
    if stream:
        content |= STREAMED
    if endpoint.longest_answer is not None:
        content.setdefault("max_tokens", endpoint.longest_answer)
    if endpoint.max_tokens != "max_tokens" and "max_tokens" in content:
        content[endpoint.max_tokens] = content.pop("max_tokens")
    if call.answer is None or tier == "text":
        return content
    if tier == "json-object":
        content["response_format"] = {"type": "json_object"}
        return content
    schema = call.answer.schema
    if endpoint.longest_string is not None:
        schema = _bounded(schema, endpoint.longest_string)
    if tier == "tool":
        function = {"name": call.answer.name, "parameters": schema}
        content["tools"] = [{"type": "function", "function": function}]
        content["tool_choice"] = {"type": "function", "function": {"name": call.answer.name}}
        return content
    form = {"name": call.answer.name, "strict": True, "schema": schema}
    content["response_format"] = {"type": "json_schema", "json_schema": form}
    return content


def body(endpoint: Endpoint, call: ModelCall, tier: Tier, *, stream: bool = False) -> bytes:
    """Return the JSON of a chat completions request; raises CallRefused where a message cannot be written."""
    try:
        return orjson.dumps(request(endpoint, call, tier, stream=stream))
    except TypeError as error:  # orjson's, for half a surrogate pair
        raise CallRefused(f"a message for {endpoint.name} cannot be sent: {error}") from error


def answer(raw: bytes, content_type: str, tier: Tier | None = None) -> Completion:
    """Read a reply whatever it is labelled; raises as `completion` does, and MalformedReply for a web page."""
    if raw.lstrip()[:1] != b"{" and "json" not in content_type:
        raise not_json(content_type)
    return completion(raw, tier)


def completion(raw: bytes, tier: Tier | None = None) -> Completion:
    """Read a reply.

    Endpoints deviate from the published model in what nobody needs (an unknown service tier, a missing id): such a
    reply is read all the same, as long as it has a message.

    Args:
        raw: The body of a reply with status 200.
        tier: How the endpoint was held to the form of the answer; None for free text.

    Raises:
        MalformedReply: it is not a chat completion with a message.
        ModelRefused: the model declined.
        ContentFiltered: a filter withheld the answer.
    """
    try:
        reply = ChatCompletion.model_validate_json(raw)
    except ValidationError as error:
        reply = _deviating(raw, error)
    return read(reply, tier)


def read(reply: ChatCompletion, tier: Tier | None = None) -> Completion:
    """Return the completion in a reply; raises as `completion` does."""
    usage = _usage(reply)
    if not reply.choices:
        raise _billed(MalformedReply("a chat completion without any choice"), usage)
    choice = reply.choices[0]
    message = choice.message
    text = message.content or ""
    if message.refusal:
        raise _billed(ModelRefused(f"the model declined: {_on_one_line(hide(str(message.refusal)))}"), usage)
    named = cast("Any", choice.finish_reason)  # whatever a reply that deviates has in its place
    reason: str | None = named if isinstance(named, str) else None
    if reason == "content_filter":
        raise _billed(ContentFiltered("a filter of the endpoint withheld the answer"), usage)
    calls = cast("Any", message.tool_calls)
    if tier == "tool" and calls and isinstance(calls, list):
        text, reason = _arguments(cast("list[object]", calls)[0]), "stop" if reason == "tool_calls" else reason
    return Completion(
        text=text,
        finish_reason=cast("FinishReason", reason) if reason in FINISH_REASONS else "other",
        served_by=reply.model,
        usage=usage,
        reasoning=_reasoning(message.model_extra),
        logprobs=_logprobs(choice),
        tier=tier,
    )


def refusal(status: int, raw: bytes, headers: Mapping[str, str], endpoint: Endpoint) -> ModelError:
    """Return the error that a reply other than 200 stands for."""
    words = clean(_words(raw), endpoint, cut=len(raw) > MOST_WORDS)
    error = _refusal(status, words, headers, endpoint, daily=b"PerDay" in raw)
    error.headers, error.status = headers, status
    return error


def _refusal(  # noqa: PLR0911 - a table
    status: int, words: str, headers: Mapping[str, str], endpoint: Endpoint, *, daily: bool
) -> ModelError:
    reason = f"{endpoint.name} answered {status}: {words}"
    lower = words.lower()
    soon = status == 429 and _has(lower, A_WHILE) and not daily
    if status == 402 or (status in (400, 403, 429) and _has(lower, OUT_OF_QUOTA) and not soon):
        return QuotaExhausted(reason)
    if status in (400, 403) and _has(lower, FILTERED):
        return ContentFiltered(reason)
    if status == 401:
        return Unauthorised(reason if endpoint.key else f"{reason} (no key was sent: {endpoint.key_wanted})")
    if status in (400, 413, 422, 429) and _has(lower, TOO_LONG):
        return PromptTooLong(reason)
    if status == 429:
        return RateLimited(reason, retry_after_s=retry_after_s(headers), limit=_limit(lower, headers))
    if status == 500:
        return ServerError(reason, retry_after_s=retry_after_s(headers))
    if status >= 500 or status in (408, 409, 425):
        return Overloaded(reason, retry_after_s=retry_after_s(headers))
    if status == 404:
        return ModelNotFound(reason)
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


def not_json(content_type: str) -> MalformedReply:
    """Return the error for a reply of another content type."""
    return MalformedReply(f"not a chat completion: the reply is {content_type}, not JSON")


def too_large() -> MalformedReply:
    """Return the error for a reply that does not end."""
    return MalformedReply(f"not a chat completion: the reply is larger than {LARGEST_REPLY // 2**20} MB")


def clean(words: str, endpoint: Endpoint, *, cut: bool = False) -> str:
    """Return an endpoint's words on one line, without secrets, at most LONGEST_ERROR characters.

    Args:
        words: What it said.
        endpoint: Whose key is a secret, beside those that are known here.
        cut: Whether the words end in the middle.
    """
    words = hide_cut(words) if cut else hide(words)
    if endpoint.key:
        own = _secrets(endpoint.key)
        words = own.hide_cut(words) if cut else own.hide(words)
    return _on_one_line(words)


@lru_cache
def _secrets(key: str) -> Secrets:
    secrets = Secrets()
    secrets.add(key)
    return secrets


def _deviating(raw: bytes, error: ValidationError) -> ChatCompletion:
    """Return a reply that does not fit the published model, where what is needed of it is there."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    words = ": ".join(filter(None, ("not a chat completion", place, problem["msg"])))
    malformed = MalformedReply(words[:LONGEST_ERROR])
    try:
        content: Any = orjson.loads(raw)
        usage: Any = content.get("usage")
    except (orjson.JSONDecodeError, AttributeError):
        raise malformed from None  # pydantic's own error quotes the reply
    reply = ChatCompletion.construct(
        id="",
        object="chat.completion",
        created=0,
        model=str(content.get("model") or ""),
        choices=[],
        usage=cast("Any", usage) if isinstance(usage, dict) else None,
    )
    try:
        choice: Any = content["choices"][0]
        text: Any = choice["message"].get("content")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _billed(malformed, _usage(reply)) from None
    if not isinstance(text, str | None):
        raise _billed(malformed, _usage(reply)) from None
    facts = {"index": 0, "finish_reason": choice.get("finish_reason"), "message": choice["message"]}
    return reply.model_copy(update={"choices": [Choice.construct(None, **facts)]})


def _billed(error: ModelError, usage: Usage) -> ModelError:
    error.usage = usage if usage.reported else None
    error.maybe_billed = not usage.reported
    return error


def _usage(reply: ChatCompletion) -> Usage:
    """Return what was billed; `reported` is false where the endpoint says nothing, or what cannot be.

    Three dialects: OpenAI's, in which cached input is part of the input and reasoning part of the output; Gemini's,
    whose total shows that reasoning stands beside the output; and Anthropic's, whose cached input stands beside it.
    """
    if reply.usage is None:
        return Usage(reported=False)
    counts = _counts(reply.usage)
    if not all(type(count) is int and count >= 0 for count in counts):
        return Usage(reported=False)
    input_tokens, output_tokens, cached, reasoning = counts
    if reasoning and reply.usage.total_tokens == input_tokens + output_tokens + reasoning:
        output_tokens += reasoning
    if cached > input_tokens or reasoning > output_tokens:
        return Usage(reported=False)
    return Usage(
        input_tokens=input_tokens, output_tokens=output_tokens, cached_tokens=cached, reasoning_tokens=reasoning
    )


def _counts(usage: Any) -> tuple[Any, Any, Any, Any]:  # noqa: ANN401 - an endpoint's own word
    """Return input, output, cached and reasoning tokens as they were sent, whatever they are."""
    reasoning = _part(usage.completion_tokens_details, "reasoning_tokens")
    extra: Any = usage.model_extra or {}
    if usage.prompt_tokens is not None or "input_tokens" not in extra:
        cached = _part(usage.prompt_tokens_details, "cached_tokens")
        return usage.prompt_tokens, usage.completion_tokens, cached, reasoning
    cached = _part(usage, "cache_read_input_tokens")
    parts = (extra["input_tokens"], _part(usage, "cache_creation_input_tokens"), cached)
    total = sum(parts) if all(isinstance(part, int) for part in parts) else None
    return total, extra.get("output_tokens"), cached, reasoning


def _part(details: Any, name: str) -> Any:  # noqa: ANN401 - as above
    """Return a count out of a model or a dictionary, 0 where it is missing."""
    value = cast("Any", details).get(name) if isinstance(details, dict) else getattr(details, name, None)
    return 0 if value is None else value


def _reasoning(extra: Mapping[str, Any] | None) -> str | None:
    """Return what the model thought, under the names that endpoints have for it."""
    if not extra:
        return None
    for name in ("reasoning_content", "reasoning"):
        if isinstance(extra.get(name), str) and extra[name]:
            return str(extra[name])
    return None


def _logprobs(choice: Choice) -> tuple[TokenLogprob, ...] | None:
    shown = getattr(choice, "logprobs", None)
    if shown is None or not getattr(shown, "content", None):
        return None
    return tuple(
        TokenLogprob(
            token=token.token,
            logprob=token.logprob,
            alternatives=tuple((other.token, other.logprob) for other in token.top_logprobs),
        )
        for token in shown.content
    )


def _arguments(tool_call: Any) -> str:  # noqa: ANN401 - function and custom tools
    arguments = getattr(getattr(tool_call, "function", None), "arguments", None)
    return str(arguments) if arguments is not None else ""


def _limit(lower: str, headers: Mapping[str, str]) -> Limit:
    """Return what a 429 counts: by its words, else by the header that says nothing remains."""
    for limit, marks in LIMITS:
        if _has(lower, marks):
            return limit
    for limit in ("requests", "tokens"):
        for name in (f"x-ratelimit-remaining-{limit}", f"anthropic-ratelimit-{limit}-remaining"):
            if headers.get(name, "").strip() == "0":
                return limit
    return "unknown"


def _has(lower: str, marks: tuple[str, ...]) -> bool:
    return any(mark in lower for mark in marks)


def _words(raw: bytes) -> str:
    """Return what an error body says: its message, type and code, or its text."""
    try:
        content: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw[:MOST_WORDS].decode("utf-8", "replace")
    if isinstance(content, list) and content:  # Gemini's way
        content = cast("Any", content)[0]
    if isinstance(content, dict):
        content = cast("dict[str, Any]", content).get("error", content)
    if not isinstance(content, dict):
        return str(cast("object", content))
    facts = cast("dict[str, Any]", content)
    parts = (facts.get(name) for name in ("message", "type", "code"))
    return " ".join(str(part) for part in parts if part) or str(facts)


def _on_one_line(words: str) -> str:
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
