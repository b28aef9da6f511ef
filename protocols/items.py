"""What a run is about: items, and the candidates they offer."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SerializerFunctionWrapHandler, model_serializer

from .identity import ItemId

Slot = Literal["a", "b"]


class Turn(BaseModel):
    """A message of a conversation that came with the data."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    role: Literal["system", "user", "assistant"]
    content: str


class Candidate(BaseModel):
    """One answer to an item's prompt, written before the run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    slot: Slot
    """The name the item gives it."""
    text: str
    """The answer itself."""
    model: str | None = None
    """Who wrote it, where known."""


class HumanVote(BaseModel):
    """What a person said of the candidates."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rater: str
    """Who; `human` where nobody knows more."""
    verdict: Literal["a", "b", "tie"]


class Item(BaseModel):
    """One row of a data set: a prompt and, for comparisons, the candidates a and b."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    id: ItemId
    """Unique in its data set."""
    prompt: str
    """What the models are asked; of a conversation, the user's turn that is to be answered."""
    history: tuple[Turn, ...] = ()
    """What was said before the prompt."""
    reference: str | None = None
    """An answer that came with the prompt, as one a person wrote, or the known answer of a question; no model is shown
    it."""
    choices: tuple[str, ...] = ()
    """Of a question: what may be answered; the first is A."""
    candidates: tuple[Candidate, ...] = ()
    """Answers to compare, at most one a slot."""
    human: tuple[HumanVote, ...] = ()
    """What people said of the candidates, for measures; no model is shown it."""
    variant: str | None = None
    """Which variant of a sweep it is played by; its id begins with it."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """The row's other columns, untouched."""

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a history and choices that are none: an item without them is written as it always was."""
        written: dict[str, Any] = write(self)
        for name in ("history", "choices"):
            if not getattr(self, name):
                written.pop(name, None)
        return written

    def candidate(self, slot: Slot) -> Candidate:
        """Return the candidate of a slot; raises KeyError where the item has none there."""
        for candidate in self.candidates:
            if candidate.slot == slot:
                return candidate
        raise KeyError(slot)
