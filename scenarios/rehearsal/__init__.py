"""Rehearsals: a scenario played in memory, by models that say what a test wants, and what was said to whom in it."""

from .asked import Answers, Asked, Line, Prompt, Unreadable
from .props import sample
from .rehearsal import Paired, Rehearsal, Spoken, Told
from .room import RehearsalRoom
from .staging import How, Row, rehearse, rehearse_all

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
