"""A model that answers in the form that is asked for, at a typical length, by chance: for plays that cost nothing."""

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ...protocols.errors import DeclarationError, UnknownName
from ...protocols.models import Completion, ModelCall, Usage

CHARACTERS_A_TOKEN = 4
"""What is generally reckoned with for English text."""
TOKENS_A_MESSAGE = 4
"""What a chat template puts around each."""
WORDS: Mapping[str, int] = {
    "draft": 300,
    "answer": 120,
    "feedback": 120,
    "argument": 120,
    "ballot": 60,
    "summary": 150,
    "approval": 40,
    "criteria": 60,
    "question": 60,
}
"""Words of an answer, by the kind of fact that is asked for."""
KINDS: Mapping[str, str] = {
    "write_draft": "draft",
    "give_answer": "answer",
    "give_feedback": "feedback",
    "make_argument": "argument",
    "cast_vote": "ballot",
    "compare_drafts": "ballot",
    "score_draft": "ballot",
    "write_summary": "summary",
    "give_approval": "approval",
    "propose_criteria": "criteria",
    "ask_question": "question",
}
"""The kind of fact that each command asks for."""
OTHER = 120
"""Words where a command is none of these."""
VOCABULARY = (
    "reason",
    "answer",
    "because",
    "which",
    "clear",
    "point",
    "example",
    "though",
    "detail",
    "other",
    "of",
    "the",
)
Temper = Literal["random", "least", "most"]
"""What verdicts and scores are: by chance, or the first or last there is, so that other ways are taken."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long answers are taken to be."""

    words: Mapping[str, int] = field(default_factory=lambda: dict(WORDS))
    """By kind of fact."""
    other: int = OTHER

    @classmethod
    def from_str(cls, text: str | None) -> "Lengths":
        """Read `200`, for all kinds of answers, or `draft=500,ballot=30`; None for what is typical.

        Raises:
            DeclarationError: it is none of these, or names no kind of fact.
        """
        words, other = dict(WORDS), OTHER
        for part in (text or "").split(",") if text is not None else ():
            kind, equals, number = (piece.strip() for piece in part.rpartition("="))
            if equals and kind not in WORDS:
                raise UnknownName("kind of answer in --words", kind, WORDS)
            if not number.isdecimal() or int(number) < 1:
                raise DeclarationError(f"--words {part.strip()!r}: write 200, or draft=500,ballot=30")
            if equals:
                words[kind] = int(number)
            else:
                words, other = dict.fromkeys(WORDS, int(number)), int(number)
        return cls(words, other)

    def of(self, command: str | None) -> int:
        """Return the words of an answer to a command of this kind."""
        return self.words.get(KINDS.get(command or "", ""), self.other)


def tokens(call: ModelCall) -> int:
    """Return about how many tokens a call sends, the form of its answer included."""
    characters = sum(len(message.content) for message in call.messages)
    if call.answer is not None:
        characters += len(json.dumps(call.answer.schema))
    return math.ceil(characters / CHARACTERS_A_TOKEN) + TOKENS_A_MESSAGE * len(call.messages)


class Typical:
    """Writes answers; the same seed, the same answers."""

    def __init__(self, lengths: Lengths, seed: str, temper: Temper = "random", choices: Sequence[str] = ()) -> None:
        """Make one.

        Args:
            lengths: How long answers are.
            seed: Of chance.
            temper: What verdicts and scores are.
            choices: What the item's question may be answered with.
        """
        self._lengths = lengths
        self._rng = random.Random(seed)  # noqa: S311 - not a secret
        self._temper: Temper = temper
        self._choices = choices

    def answer(self, call: ModelCall, command: str | None) -> Completion:
        """Return an answer, no longer than the call allows.

        Args:
            call: What is asked.
            command: The kind of command that it is asked for.
        """
        words, most = self._lengths.of(command), call.settings.max_tokens
        if most is not None:
            words = min(words, max(1, most * CHARACTERS_A_TOKEN // 8))
        text = self._text(words) if call.answer is None else self._form(call.answer.schema, words)
        written = math.ceil(len(text) / CHARACTERS_A_TOKEN)
        written = written if most is None else min(written, most)
        usage = Usage(input_tokens=tokens(call), output_tokens=written)
        return Completion(text=text, finish_reason="stop", served_by=call.settings.model, usage=usage)

    def _text(self, words: int) -> str:
        return " ".join(self._rng.choices(VOCABULARY, k=max(1, words)))

    def _form(self, schema: Mapping[str, Any], words: int) -> str:
        return json.dumps(self._value("", schema, schema, words))

    def _value(self, name: str, part: Mapping[str, Any], whole: Mapping[str, Any], words: int) -> object:
        if "$ref" in part:
            part = whole["$defs"][str(part["$ref"]).rpartition("/")[2]]
        part = part["anyOf"][0] if "anyOf" in part else part
        found: object
        if "const" in part or "enum" in part:
            found = part["const"] if "const" in part else self._choice(part["enum"])
        elif part.get("type") == "object":
            fields: Mapping[str, Any] = part.get("properties", {})
            texts = sum(each.get("type") in ("string", "array") and "enum" not in each for each in fields.values())
            share = max(1, words // max(1, texts))
            found = {key: self._value(key, each, whole, share) for key, each in fields.items()}
        elif part.get("type") == "array":
            count = max(1, part.get("minItems", 1), min(3, part.get("maxItems", 3)))
            found = [self._value(name, part.get("items", {}), whole, max(1, words // count)) for _ in range(count)]
        elif part.get("type") in ("number", "integer"):
            found = self._number(part)
        elif part.get("type") == "boolean":
            found = self._choice([False, True])
        else:
            found = self._string(name, part, words)
        return found

    def _number(self, part: Mapping[str, Any]) -> float:
        least: float = part.get("minimum", 0)
        most: float = part.get("maximum", 10)
        if most - least <= 1 and part["type"] == "number":
            value = round(self._rng.uniform(least, most), 2)
        else:
            value = self._rng.randint(math.ceil(least), int(most))
        return {"random": value, "least": least, "most": most}[self._temper]

    def _string(self, name: str, part: Mapping[str, Any], words: int) -> str:
        if name == "answer":  # to be compared with the known one
            letters = [chr(ord("A") + number) for number in range(len(self._choices))]
            return str(self._choice(letters or ["1", "2", "3", "4"]))
        text = self._text(words)
        return text[: part["maxLength"]] if "maxLength" in part else text

    def _choice(self, values: Sequence[object]) -> object:
        return {"random": self._rng.choice(values), "least": values[0], "most": values[-1]}[self._temper]
