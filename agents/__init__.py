"""Who speaks: one role a file, its prompt beside it."""

from ..protocols.registry import Registry
from .agent import Agent
from .debater import Debater
from .generator import Generator
from .juror import Juror
from .moderator import Moderator
from .participant import Participant
from .peer import Peer
from .personas import PERSONAS, Persona
from .profile import Profile
from .prompt import Prompt, blocks_of, variables, wording
from .reviewer import Reviewer

ROLES: Registry[type[Agent]] = Registry(
    "role",
    {
        "debater": Debater,
        "generator": Generator,
        "judge": Juror,
        "juror": Juror,
        "moderator": Moderator,
        "peer": Peer,
        "reviewer": Reviewer,
        "solver": Generator,
    },
)

__all__ = [
    "PERSONAS",
    "ROLES",
    "Agent",
    "Debater",
    "Generator",
    "Juror",
    "Moderator",
    "Participant",
    "Peer",
    "Persona",
    "Profile",
    "Prompt",
    "Reviewer",
    "blocks_of",
    "variables",
    "wording",
]
