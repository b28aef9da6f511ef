"""An endpoint's answers as a pure function of what it is asked: asked the same it says the same, whenever that is."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import anyio

from ...protocols.models import ModelCall
from .faults import Fault, Mishaps

TOO_LONG = Fault(
    status=400, error={"message": "this model's maximum context length is 8 tokens", "code": "context_length_exceeded"}
)
"""What no other try helps against: the item has failed."""
WORDS = ("plain", "thorough", "wrong", "kind", "brief", "vague", "sound", "dull", "apt", "loose", "rich", "odd")

Said = Iterable[tuple[str, str]]
"""Role and digest of each message."""


def key_of(model: str, said: Said) -> str:
    """Return a digest of a question: the model, and every message."""
    parts = [model, *(part for message in said for part in message)]
    return blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()


def asked(request: Mapping[str, Any]) -> str:
    """Return the key of a request as the ledger keeps it."""
    messages: Sequence[Mapping[str, str]] = request["messages"]
    return key_of(request["model"], ((message["role"], _digest(message["content"])) for message in messages))


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Opinions:
    """The answers of a LoopbackEndpoint, and what goes wrong with them; give it as `answer` and as `faults`.

    Scores, verdicts and words follow from the digest of the question, so that a mix-up of two answers shows. Some
    answers cannot be read when they are first asked for; some questions are refused for good, if it is so wanted.
    """

    def __init__(self, mishaps: Mishaps | None = None, *, unreadable: float = 0.1, refused: float = 0.0) -> None:
        """Make opinions.

        Args:
            mishaps: What goes wrong by chance, to be tried again.
            unreadable: Share of the questions for a form whose answers have another.
            refused: Share of the questions that are called too long.
        """
        self.unreadable = unreadable
        self.refused = refused
        self.seen = 0
        """Questions so far."""
        self._mishaps: Iterator[Fault | None] = iter(mishaps or Mishaps(0.0))
        self._too_long = False
        self._wanted: int | None = None
        self._reached = anyio.Event()

    async def reach(self, count: int) -> None:
        """Wait until so many more questions have come."""
        if count > 0:
            self._wanted, self._reached = self.seen + count, anyio.Event()
            await self._reached.wait()

    def __call__(self, call: ModelCall) -> str:
        """Return the answer to a question."""
        self.seen += 1
        if self._wanted is not None and self.seen >= self._wanted:
            self._wanted = None
            self._reached.set()
        model = call.settings.model.partition("/")[2]
        chance = bytes.fromhex(key_of(model, ((message.role, message.digest) for message in call.messages)))
        self._too_long = chance[0] < 256 * self.refused
        return self.said(call, chance)

    def said(self, call: ModelCall, chance: bytes) -> str:
        """Return the words of an answer; `chance` is the digest of its question."""
        text = " ".join(WORDS[byte % len(WORDS)] for byte in chance * (1 + chance[1] % 6))
        if call.answer is None:
            return f"{chance.hex()}: {text}."
        if chance[2] < 256 * self.unreadable:
            return f"I would rather not say ({text})."
        fields: dict[str, Any] = call.answer.schema["properties"]
        return json.dumps({name: _value(part, text, chance[3 + at]) for at, (name, part) in enumerate(fields.items())})

    def __iter__(self) -> Iterator[Fault | None]:
        return self

    def __next__(self) -> Fault | None:
        """Return what goes wrong with the question that was asked last."""
        return TOO_LONG if self._too_long else next(self._mishaps)


def _value(part: dict[str, Any], text: str, chance: int) -> object:
    if "enum" in part:
        return part["enum"][chance % len(part["enum"])]
    if part["type"] in ("number", "integer"):
        return chance % (int(part.get("maximum", 10)) + 1)
    return text
