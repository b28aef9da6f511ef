"""An endpoint's answers for scenarios in which drafts are written, reviewed and compared: all of it follows from the request."""

import json
import re
from hashlib import blake2b
from typing import Any

from fellowship.protocols.models import ModelCall
from fellowship.runtime.testing.opinions import Opinions, key_of

WORTH = re.compile(r"worth (\d+)")
UNREAD, AGAIN, ALIKE = 30, 20, 25
"""Shares of 256: of answers that have not their form, of revisions that change nothing, of prompts to which every model
says the same."""


class Tastes(Opinions):
    """Every draft says what it is worth, and whoever judges goes by that, wherever the draft stands."""

    def said(self, call: ModelCall, chance: bytes) -> str:
        if call.answer is None:
            return _draft(call, chance)
        if chance[2] < UNREAD:
            return "I would rather not say."
        worth = [min(10, int(found)) for found in WORTH.findall(call.messages[1].content)]
        return json.dumps(_fields(call.answer.schema["properties"], worth, chance))


def _draft(call: ModelCall, chance: bytes) -> str:
    earlier = [message.content for message in call.messages if message.role == "assistant"]
    if earlier and chance[3] < AGAIN:
        return earlier[-1]
    alike = blake2b(call.messages[-1].content.encode(), digest_size=12).digest()
    if not earlier and alike[0] < ALIKE:
        chance = alike
    return f"An answer, {key_of('', [('', chance.hex())])}, worth {chance[4] % 11}."


def _fields(properties: dict[str, Any], worth: list[int], chance: bytes) -> dict[str, object]:
    given = {"score": chance[5] % 11, **dict(zip(("score_a", "score_b"), worth, strict=False))}
    return {name: given.get(name, f"for {chance.hex()}") for name in properties}
