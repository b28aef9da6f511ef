"""What an agent is made from."""

from dataclasses import dataclass

from ..protocols.models import ModelSettings
from .personas import Persona


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
