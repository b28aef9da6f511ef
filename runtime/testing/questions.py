"""A chat completions request as an endpoint understands it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import orjson

from ...protocols.models import AnswerSchema, ChatMessage, ModelCall, ModelSettings, Tier

FORMS: Mapping[Tier, str] = {
    "json-schema": "response_format of type json_schema is",
    "tool": "tools are",
    "json-object": "response_format of type json_object is",
}
"""The ways to hold an answer to a form, and what each is called where it is missing."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and how the answer is to be sent."""

    body: dict[str, Any]
    model: str
    call: ModelCall
    """The call it came from, so that one script serves endpoint and scripted model alike."""
    words: int
    """Of the prompt: its tokens."""
    demanded: tuple[Tier, ...] = ()
    """The ways in which the answer is to be held to a form."""
    tool: str | None = None
    """The tool that is to be called, where there is no choice."""

    @property
    def streams(self) -> bool:
        """Whether the answer is to come in events."""
        return self.body.get("stream") is True

    @property
    def counts(self) -> bool:
        """Whether the reply is to tell the usage; a stream does so when asked."""
        options: Any = self.body.get("stream_options")
        return not self.streams or (
            isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage") is True
        )


def understood(raw: bytes, ignored: Collection[Tier] = ()) -> Question:
    """Read a request.

    Args:
        raw: Its body.
        ignored: Ways to hold an answer to a form that are passed over.

    Raises:
        ValueError: it is no chat completions request.
    """
    try:
        body: Any = orjson.loads(raw)
        messages = tuple(ChatMessage(message["role"], _text(message.get("content"))) for message in body["messages"])
        model = str(body["model"])
        demanded: tuple[Tier, ...] = tuple(tier for tier in _demanded(body) if tier not in ignored)
        tool = _forced(body) if "tool" in demanded else None
        answer = tool or (_schema(body) if "json-schema" in demanded else None)
    except (KeyError, IndexError, TypeError, AttributeError, StopIteration) as error:
        raise ValueError(f"no chat completions request: {type(error).__name__}: {error}") from error
    words = sum(len(message.content.split()) for message in messages)
    call = ModelCall(_settings(model), messages, answer)
    return Question(body, model, call, words, demanded, tool.name if tool else None)


@lru_cache(maxsize=256)
def _settings(model: str) -> ModelSettings:
    return ModelSettings(model=f"loopback/{model}")


def _text(content: Any) -> str:  # noqa: ANN401 - a string, parts, or nothing
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content or () if part["type"] == "text")


def _demanded(body: dict[str, Any]) -> list[Tier]:
    demanded: list[Tier] = ["tool"] if body.get("tools") else []
    form = body.get("response_format")
    if form and form["type"] == "json_schema":
        demanded.append("json-schema")
    if form and form["type"] == "json_object":
        demanded.append("json-object")
    return demanded


def _schema(body: dict[str, Any]) -> AnswerSchema:
    form = body["response_format"]["json_schema"]
    return AnswerSchema(form["name"], form["schema"])


def _forced(body: dict[str, Any]) -> AnswerSchema | None:
    """Return the tool that must be called, as the form of its arguments; none where the model is free to answer."""
    choice = body.get("tool_choice")
    if choice is None or choice in ("auto", "none"):
        return None
    functions = [tool["function"] for tool in body["tools"]]
    if choice != "required":
        name = choice["function"]["name"]
        functions = [function for function in functions if function["name"] == name]
    return AnswerSchema(functions[0]["name"], functions[0].get("parameters", {"type": "object", "properties": {}}))
