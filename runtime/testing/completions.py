"""Chat completions in OpenAI's form, good ones and spoiled ones."""

import re
from collections.abc import Mapping
from typing import Any

from .faults import Misbehaviour
from .ledger import Tokens
from .questions import Question

REFUSAL = "I will not answer that."
IMPOSSIBLE: tuple[dict[str, Any], ...] = (
    {"prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -2},
    {"prompt_tokens": "some", "completion_tokens": "many", "total_tokens": "lots"},
    {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    {
        "prompt_tokens": 3,
        "completion_tokens": 1,
        "total_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 9},
    },
)
"""Usage that cannot be: negative, not numbers, nothing, more of the input cached than there is."""
_WORD = re.compile(r"\s*\S+")


def completion(question: Question, text: str, tokens: Tokens) -> dict[str, Any]:
    """Return a good completion, as JSON will have it."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": message}
    if question.tool is not None:
        message["content"] = None
        function = {"name": question.tool, "arguments": text}
        message["tool_calls"] = [{"id": "call-loopback", "type": "function", "function": function}]
    elif question.body.get("logprobs") is True:
        choice["logprobs"] = {"content": _logprobs(text, int(question.body.get("top_logprobs") or 0))}
    if tokens.reasoning:
        message["reasoning_content"] = " ".join(["hm"] * tokens.reasoning)
    return {
        "id": "chatcmpl-loopback",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": question.model,
        "choices": [choice],
        "usage": _usage(tokens),
    }


def _usage(tokens: Tokens) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.total,
    }
    if tokens.cached:
        usage["prompt_tokens_details"] = {"cached_tokens": tokens.cached}
    if tokens.reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": tokens.reasoning}
    return usage


def _logprobs(text: str, alternatives: int) -> list[dict[str, Any]]:
    """Return a token a word; they concatenate to the text, but for white space at its end."""
    return [
        {
            **_token(word, -0.1),
            "top_logprobs": [
                _token(word if place == 0 else f" other{place}", -0.1 - place) for place in range(alternatives)
            ],
        }
        for word in _WORD.findall(text)
    ]


def _token(word: str, logprob: float) -> dict[str, Any]:
    return {"token": word, "logprob": logprob, "bytes": list(word.encode())}


def spoil(content: dict[str, Any], sort: Misbehaviour | None, impossible: Mapping[str, Any]) -> bool:
    """Do to a good completion what a fault does; return whether its usage is still told."""
    choice: dict[str, Any] = content["choices"][0]
    match sort:
        case "malformed":
            content["choices"] = "none"
        case "no-choices":
            content["choices"] = []
        case "cut-off":
            choice["finish_reason"] = "length"
        case "filtered":
            choice["finish_reason"] = "content_filter"
            _withhold(choice)
        case "refused":
            _withhold(choice)
            choice["message"]["refusal"] = REFUSAL
        case "no-usage":
            del content["usage"]
        case "wrong-usage":
            content["usage"] = impossible
        case _:
            pass
    return sort not in ("no-usage", "wrong-usage")


def _withhold(choice: dict[str, Any]) -> None:
    choice["message"]["content"] = None
    choice["message"].pop("tool_calls", None)
    choice.pop("logprobs", None)
