"""Rehearsals: a scenario played in memory, by models that say what a test wants, and what was said to whom in it."""

from .asked import Answers, Asked, Line, Prompt, Unreadable
from .props import sample
from .rehearsal import Paired, Rehearsal, Spoken, Told
from .rehearse import How, Row, rehearse, rehearse_all
from .room import RehearsalRoom

__all__ = [
    "Answers",
    "Asked",
    "How",
    "Line",
    "Paired",
    "Prompt",
    "Rehearsal",
    "RehearsalRoom",
    "Row",
    "Spoken",
    "Told",
    "Unreadable",
    "rehearse",
    "rehearse_all",
    "sample",
]
