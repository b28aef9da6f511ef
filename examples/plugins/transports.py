"""A transport: models `parrot/...` answer in this process, without a network, a key or a price."""

import json
from typing import Any

from fellowship import plugins
from fellowship.protocols.models import Completion, ModelCall, Tier, Usage
from fellowship.runtime.models.endpoints import Endpoint
from fellowship.runtime.models.wire import Hear, Reply


@plugins.transport("parrot", provider="parrot")
class Parrot:
    """Says the first words of what it is told; asked for a form, it fills it in."""

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier, hear: Hear | None = None) -> Reply:
        """Answer a call."""
        del tier, hear  # it answers as a whole, and in one way only
        told = " ".join(call.messages[-1].content.split())[:40]
        text = told if call.answer is None else json.dumps(_filled(call.answer.schema, told))
        words = sum(len(message.content.split()) for message in call.messages)
        usage = Usage(input_tokens=words, output_tokens=len(text.split()))
        return Reply(Completion(text=text, finish_reason="stop", served_by=endpoint.model, usage=usage), {})


def _filled(schema: dict[str, Any], text: str) -> dict[str, Any]:
    """Return an answer of a form: numbers as low as they may be, words as they were told."""
    return {name: _value(part, text) for name, part in schema["properties"].items()}


def _value(part: dict[str, Any], text: str) -> object:
    if "enum" in part:
        return part["enum"][0]
    return part.get("minimum", 0) if part.get("type") in ("number", "integer") else text
