"""What a model call's parts are called in an Inspect log (schema version 2, as inspect-ai 0.3 reads it).

Inspect counts cached input beside the rest of it; here it is part of it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...protocols.lifecycle import ModelCalled
from ...protocols.models import TokenLogprob
from ...runtime.secrecy import hide

Json = dict[str, Any]
STOP_REASONS: Mapping[str | None, str] = {
    "stop": "stop",
    "length": "max_tokens",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
}
"""By our word; all others are `unknown`."""
SETTINGS = {
    name: name
    for name in ("temperature", "top_p", "max_tokens", "seed", "logprobs", "top_logprobs", "reasoning_effort")
} | {"stop": "stop_seqs"}
"""What a parameter is called there, by its name here."""


def iso(time_s: float) -> str:
    """Return a time in seconds since the epoch as ISO 8601, in UTC."""
    return datetime.fromtimestamp(time_s, UTC).isoformat()


def config(settings: Mapping[str, Any]) -> Json:
    """Return the parameters of a call that Inspect has a name for."""
    found = {SETTINGS[name]: value for name, value in settings.items() if name in SETTINGS and value is not None}
    if "stop_seqs" in found:
        found["stop_seqs"] = list(found["stop_seqs"])
        found = found if found["stop_seqs"] else {key: value for key, value in found.items() if key != "stop_seqs"}
    return found


def failure(words: str) -> Json:
    """Return an error; there is no traceback of one that the log has."""
    return {"message": words, "traceback": "", "traceback_ansi": ""}


def usage(called: ModelCalled) -> Json | None:
    """Return what a call took; None where the endpoint did not say."""
    used = called.usage
    if not used.reported:
        return None
    found: Json = {
        "input_tokens": used.input_tokens - used.cached_tokens,
        "output_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
    }
    if used.cached_tokens:
        found["input_tokens_cache_read"] = used.cached_tokens
    if used.reasoning_tokens:
        found["reasoning_tokens"] = used.reasoning_tokens
    if called.cost_usd is not None:
        found["total_cost"] = called.cost_usd
    return found


def add_usage(sums: dict[str, Json], name: str, more: Mapping[str, Any] | None) -> None:
    """Add to the sum of a name what one more took."""
    if more is not None:
        whole = sums.setdefault(name, {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0})
        for key, value in more.items():
            whole[key] = whole.get(key, 0) + value


def output(called: ModelCalled, identity: str) -> Json:
    """Return a model's answer; without a choice where it gave none."""
    model = called.served_by or called.model
    found: Json = {"model": model, "choices": [], "completion": called.text or ""}
    if called.text is not None:
        content: Any = called.text
        if called.reasoning:
            content = [{"type": "reasoning", "reasoning": called.reasoning}, {"type": "text", "text": called.text}]
        message = {"id": identity, "role": "assistant", "content": content, "source": "generate", "model": model}
        choice: Json = {"message": message, "stop_reason": STOP_REASONS.get(called.finish_reason, "unknown")}
        if called.logprobs:
            choice |= _logprobs(called.logprobs)
        found["choices"].append(choice)
    took = usage(called)
    if took is not None:
        found["usage"] = took
    if called.attempts:
        found["time"] = called.attempts[-1].latency_s
    return found


def _logprobs(tokens: Sequence[TokenLogprob]) -> Json:
    """Return the probabilities of tokens; none where they spell a secret, which stands in no single one of them."""
    said = "".join(token.token for token in tokens)
    if hide(said) != said:
        return {}
    content = [
        {
            "token": token.token,
            "logprob": token.logprob,
            "top_logprobs": [{"token": other, "logprob": value} for other, value in token.alternatives],
        }
        for token in tokens
    ]
    return {"logprobs": {"content": content}}
