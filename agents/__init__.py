"""Who speaks: one role a file, its prompt beside it."""

from ..protocols.registry import Registry
from .agent import Agent
from .debater import Debater
from .generator import Generator
from .juror import Juror
from .personas import PERSONAS, Persona
from .profile import Profile
from .prompt import Prompt
from .reviewer import Reviewer

ROLES: Registry[type[Agent]] = Registry(
    "role", {"debater": Debater, "generator": Generator, "judge": Juror, "juror": Juror, "reviewer": Reviewer}
)

__all__ = [
    "PERSONAS",
    "ROLES",
    "Agent",
    "Debater",
    "Generator",
    "Juror",
    "Persona",
    "Profile",
    "Prompt",
    "Reviewer",
]
