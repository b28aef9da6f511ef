"""Models that say what a test wants."""

import inspect
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ...protocols.models import Attempt, Completion, ModelCall, Usage

Answer = str | Completion | Exception
Script = Callable[[ModelCall], Answer | Awaitable[Answer]]


def as_reply(call: ModelCall, text: str = "Because it is so.", number: float = 5) -> str:
    """Return an answer of the form a call asks for: every text field `text`, every number `number`, free text as is.

    A number is at most what a form allows; of several words it is the last one; nothing is true; lists have one part.
    """
    if call.answer is None:
        return text
    fields: dict[str, Any] = call.answer.schema["properties"]
    return json.dumps({name: _value(part, text, number) for name, part in fields.items()})


def _value(part: dict[str, Any], text: str, number: float) -> object:
    if "enum" in part:
        return part["enum"][-1]
    match part["type"]:
        case "number" | "integer":
            return min(number, part.get("maximum", number))
        case "boolean":
            return False
        case "array":
            return [_value(part["items"], text, number)]
        case _:
            return text


class ScriptedModel:
    """A ModelClient that answers by a function, or from a list in order; it remembers the calls.

    Text becomes a completion with one token a word; an exception is raised. With no script at all it answers every
    call in the form it asks for.
    """

    def __init__(self, script: Script | Iterable[Answer] = as_reply) -> None:
        self._script = script if callable(script) else None
        self._answers = None if callable(script) else iter(script)
        self.calls: list[ModelCall] = []

    async def complete(self, call: ModelCall) -> Completion:
        """Answer a call; raises AssertionError when the list is used up."""
        self.calls.append(call)
        answer = await self._next(call)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Completion):
            return answer
        words = sum(len(message.content.split()) for message in call.messages)
        return Completion(
            text=answer,
            finish_reason="stop",
            served_by=call.settings.model,
            usage=Usage(input_tokens=words, output_tokens=len(answer.split())),
            attempts=(Attempt(latency_s=0.0),),
        )

    async def _next(self, call: ModelCall) -> Answer:
        if self._answers is not None:
            try:
                return next(self._answers)
            except StopIteration:
                raise AssertionError(f"the script has no answer for call {len(self.calls)}") from None
        assert self._script is not None  # noqa: S101 - one of the two is set
        answer = self._script(call)
        return await answer if inspect.isawaitable(answer) else answer
