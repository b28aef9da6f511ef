"""Completions as server-sent events, in OpenAI's form of chunks."""

import re
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"
_WORD = re.compile(r"\s*\S+|\s+$")


def events(content: dict[str, Any], *, counted: bool) -> tuple[bytes, ...]:
    """Return a completion as events, a word each; the last says that it is done.

    Args:
        content: The completion. One without a choice becomes one event, as it is.
        counted: Whether an event of its own tells the usage.
    """
    head = {**content, "object": "chat.completion.chunk"}
    usage = head.pop("usage", None)
    choices: list[dict[str, Any]] | str = content["choices"]
    if isinstance(choices, str) or not choices:
        return _event({**head, "usage": usage}), DONE
    chunks = [_event({**head, "choices": [choice]}) for choice in _steps(choices[0])]
    if counted and usage is not None:
        chunks.append(_event({**head, "choices": [], "usage": usage}))
    return *chunks, DONE


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _steps(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the choices of the chunks, from the one that says who speaks to the one that says why it ends."""
    message: dict[str, Any] = choice["message"]
    steps = [_step({"role": "assistant", "content": ""})]
    for name in ("reasoning_content", "reasoning"):
        steps += [_step({name: word}) for word in _words(message.get(name))]
    if "tool_calls" in message:
        steps += [_step({"tool_calls": [part]}) for part in _parts(message["tool_calls"][0])]
    elif "refusal" in message:
        steps += [_step({"refusal": word}) for word in _words(message["refusal"])]
    else:
        said = [_step({"content": word}) for word in _words(message["content"])]
        shown: dict[str, list[dict[str, Any]]] = choice.get("logprobs", {})
        for step, token in zip(said, shown.get("content", ()), strict=False):  # white space at the end is no token
            step["logprobs"] = {"content": [token]}
        steps += said
    return [*steps, {**_step({}), "finish_reason": choice["finish_reason"]}]


def _step(delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": None}


def _parts(call: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a tool call in parts: its name, then its arguments."""
    first = {**call, "index": 0, "function": {**call["function"], "arguments": ""}}
    return [first, *({"index": 0, "function": {"arguments": word}} for word in _words(call["function"]["arguments"]))]


def _words(text: str | None) -> list[str]:
    return _WORD.findall(text or "")
