"""What is played: the scenario language, runs, and the folds over them. A name loads its module when first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .again import fork, replay, retry
    from .cluster.cluster import Cluster
    from .datasets import Dataset, open_dataset
    from .loading import library, load
    from .outcomes import Outcome, Status
    from .planning import plan
    from .rehearsal import Rehearsal, rehearse, rehearse_all
    from .run import play
    from .settings import Progress, Settings
    from .spec import Agent, Ask, Decide, Failing, Pick, Repeat, Scenario, When
    from .steps import Plan

_PLACES = {
    "Agent": "spec",
    "Ask": "spec",
    "Cluster": "cluster.cluster",
    "Dataset": "datasets",
    "Decide": "spec",
    "Failing": "spec",
    "Outcome": "outcomes",
    "Pick": "spec",
    "Plan": "steps",
    "Progress": "settings",
    "Rehearsal": "rehearsal",
    "Repeat": "spec",
    "Scenario": "spec",
    "Settings": "settings",
    "Status": "outcomes",
    "When": "spec",
    "fork": "again",
    "library": "loading",
    "load": "loading",
    "open_dataset": "datasets",
    "plan": "planning",
    "play": "run",
    "rehearse": "rehearsal",
    "rehearse_all": "rehearsal",
    "replay": "again",
    "retry": "again",
}

__all__ = [
    "Agent",
    "Ask",
    "Cluster",
    "Dataset",
    "Decide",
    "Failing",
    "Outcome",
    "Pick",
    "Plan",
    "Progress",
    "Rehearsal",
    "Repeat",
    "Scenario",
    "Settings",
    "Status",
    "When",
    "fork",
    "library",
    "load",
    "open_dataset",
    "plan",
    "play",
    "rehearse",
    "rehearse_all",
    "replay",
    "retry",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
