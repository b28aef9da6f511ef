"""What stands in the files of a batch: one call a line going out, one answer a line coming back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final, NamedTuple, cast

import orjson

from ...protocols.errors import CallRefused, MalformedReply, ModelError, Overloaded
from ...protocols.models import ModelCall, Tier
from .endpoints import Endpoint
from .wire import Reply, completion, refusal, request

CHAT_COMPLETIONS: Final = "/v1/chat/completions"
"""What every line asks for; a batch may ask for nothing else beside it."""
ENQUEUED_TOO_MUCH = "token_limit_exceeded"
"""Why a batch is not taken that another time it would be: too many tokens of this account wait already."""
ROOM_AGAIN_S = 300.0
"""How long to wait then: batches make room as they end."""
NOT_RUN = frozenset({"batch_expired", "batch_cancelled"})
"""Error codes of lines that the batch did not come to."""
STATUSES: Mapping[str, int] = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "billing_hard_limit_reached": 429,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "invalid_request_error": 400,
    "model_not_found": 404,
    "request_timeout": 408,
}
"""What an error code stands for on a line that has an error and no response; other codes are the server's fault."""
_NAME = re.compile(rb'"custom_id"\s*:\s*"([0-9a-f]{32}-[0-9]{1,18})"')


class Asked(NamedTuple):
    """A call as it will be asked."""

    digest: str
    """The same for the same call to the same address, in any process."""
    body: bytes


class Problem(NamedTuple):
    """What a provider says is wrong with a batch it did not take."""

    line: int | None
    """From 1."""
    words: Mapping[str, str]
    """`message` and `code`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line that came back."""

    custom_id: str | None
    """None where the line does not say it legibly."""
    status: int | None = None
    body: Any = None
    error: Mapping[str, Any] | None = None
    request_id: str = ""

    @property
    def legible(self) -> bool:
        """Whether it says how the call went."""
        return self.status is not None or self.error is not None


def asked(endpoint: Endpoint, call: ModelCall, tier: Tier) -> Asked:
    """Return a call as it will be asked, and its digest.

    Names of parameters are in order, so that nothing hangs on the order in which they were set. Within a parameter the
    order stays: a model answers the fields of a schema in theirs. The key is no part of it.
    """
    body = orjson.dumps(dict(sorted(request(endpoint, call, tier).items())))
    told = blake2b(endpoint.base_url.rstrip("/").encode() + b"\n" + body, digest_size=16)
    return Asked(told.hexdigest(), body)


def line(custom_id: str, body: bytes) -> bytes:
    """Return the line of a call, with the line's end."""
    return b'{"custom_id":"%b","method":"POST","url":"%b","body":%b}\n' % (
        custom_id.encode(),
        CHAT_COMPLETIONS.encode(),
        body,
    )


def entry(raw: bytes) -> Entry:
    """Read a line that came back; whatever it is, without raising."""
    try:
        content: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = _NAME.search(raw)
        return Entry(found.group(1).decode() if found else None)
    facts = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    custom_id = facts.get("custom_id")
    if not isinstance(custom_id, str):
        return Entry(None)
    response, error = facts.get("response"), facts.get("error")
    if isinstance(response, dict):
        answer = cast("dict[str, Any]", response)
        status: Any = answer.get("status_code")
        if type(status) is int:
            return Entry(custom_id, status, answer.get("body"), request_id=str(answer.get("request_id") or ""))
    if isinstance(error, dict) and error:
        return Entry(custom_id, error=cast("dict[str, Any]", error))
    return Entry(custom_id)


def outcome(found: Entry, endpoint: Endpoint, tier: Tier | None) -> Reply | ModelError:
    """Return the answer in a line, or the error it stands for; whatever it holds, without raising.

    Args:
        found: The line.
        endpoint: Who was asked.
        tier: How it was held to the form of the answer; None for free text.
    """
    try:
        return _outcome(found, endpoint, tier)
    except ModelError as error:
        return error
    except Exception as error:  # noqa: BLE001 - one line is one call's: it must not harm the thousands beside it
        return MalformedReply(f"not a line of a batch: {endpoint.name}: {type(error).__name__}")


def _outcome(found: Entry, endpoint: Endpoint, tier: Tier | None) -> Reply | ModelError:
    headers = {"x-request-id": found.request_id} if found.request_id else {}
    if found.status == 200:
        return Reply(replace(completion(orjson.dumps(found.body), tier), source="batch"), headers)
    if found.status is not None:
        return refusal(found.status, orjson.dumps(found.body), headers, endpoint)
    if found.error is not None:
        code = str(found.error.get("code") or found.error.get("type") or "")
        if code in NOT_RUN:
            return not_run(code.removeprefix("batch_"), endpoint)
        return refusal(STATUSES.get(code, 500), orjson.dumps({"error": found.error}), headers, endpoint)
    return illegible(endpoint)


def illegible(endpoint: Endpoint) -> MalformedReply:
    """Return the error for a line that does not say how the call went."""
    return MalformedReply(f"not a line of a batch: {endpoint.name} answered with something else")


def not_run(status: str, endpoint: Endpoint) -> ModelError:
    """Return the error for a call that a batch in this last state says nothing about."""
    if status == "completed":
        return MalformedReply(f"{endpoint.name} completed the batch without a line for this call")
    said = "was cancelled" if status == "cancelled" else status
    return Overloaded(f"{endpoint.name}: the batch {said} before this call was run")


def not_taken(number: int, problems: Sequence[Problem], endpoint: Endpoint) -> ModelError:
    """Return the error for a call of a batch that the provider found wrong and did not run.

    Args:
        number: The call's line, from 1.
        problems: What the provider says.
        endpoint: Who was asked.
    """
    own = [problem for problem in problems if problem.line == number]
    said = (own or [problem for problem in problems if problem.line is None] or list(problems))[:1]
    if not said:
        return CallRefused(f"{endpoint.name} found the batch wrong, and does not say why")
    words = dict(said[0].words)
    if words.get("code") == ENQUEUED_TOO_MUCH:
        headers = {"retry-after": str(ROOM_AGAIN_S)}
        return refusal(429, orjson.dumps({"error": words}), headers, endpoint)
    if not own and said[0].line is not None:
        words["message"] = f"line {said[0].line} of the batch: {words.get('message', '')}"
    return refusal(400, orjson.dumps({"error": words}), {}, endpoint)
