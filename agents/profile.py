"""What an agent is made from."""

from dataclasses import dataclass, replace

from ..protocols.answering import Answers
from ..protocols.items import Slot
from ..protocols.models import ModelSettings
from .personas import Persona
from .prompt import Prompt


@dataclass(frozen=True, slots=True)
class Profile:
    """One agent of a scenario, every name resolved."""

    name: str
    role: str
    settings: ModelSettings
    """The model it speaks through."""
    persona: Persona | None = None
    instructions: str = ""
    """The scenario's own words to it, added to its system message."""
    prompt: Prompt | None = None
    """Wordings in place of the role's own, by block."""
    side: Slot | None = None
    """The candidate it argues for, where the command does not say otherwise."""
    answers: Answers = "exact"
    """How answers to questions are compared: what form is asked for."""

    def called(self, name: str, number: int | None) -> "Profile":
        """Return the same agent under another name; of several made of one, its answers are told apart by number."""
        if number is None:
            return self if name == self.name else replace(self, name=name)
        sample = number if self.settings.sample is None else 100 * self.settings.sample + number
        return replace(self, name=name, settings=self.settings.model_copy(update={"sample": sample}))
