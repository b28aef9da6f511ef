"""What an Inspect log says of a whole run: what was evaluated, by which models, and what came of it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...protocols.lifecycle import Failure, RunStarted
from ...runtime.log import LogReader
from ..again import about
from ..measures.exact import wilson
from ..outcomes import State, state_of
from .inspect_scores import AGREEMENT, ANSWER, RIGHT
from .inspect_terms import Json, add_usage, config, failure, iso
from .members import Cast, casts

SCHEMA = 2
STATUS: Mapping[State, str] = {
    "running": "started",
    "done": "success",
    "stopped": "cancelled",
    "failed": "error",
    "broken off": "error",
}
NO_MODEL = "none"
"""What stands for the model of a run that has several."""


@dataclass(slots=True)
class Sums:
    """What is summed up of the samples as they are written."""

    ids: list[str] = field(default_factory=list[str])
    values: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: {ANSWER: [], AGREEMENT: []})
    """Sample and value by score; only values that are right or wrong."""
    models: dict[str, Json] = field(default_factory=dict[str, Json])
    roles: dict[str, Json] = field(default_factory=dict[str, Json])
    states: Counter[str] = field(default_factory=Counter[str])
    """Samples by what has become of them: `done`, `failed`, `open`."""

    def add(self, sample: Json, state: str) -> None:
        """Take in a sample."""
        self.ids.append(sample["id"])
        self.states[state] += 1
        for name, values in self.values.items():
            value = sample["scores"].get(name, {}).get("value")
            if value in RIGHT.values():
                values.append((sample["id"], value))
        for sums, key in ((self.models, "model_usage"), (self.roles, "role_usage")):
            for name, used in sample[key].items():
                add_usage(sums, name, used)


class Header:
    """A run as its log tells it, before and after its samples."""

    def __init__(self, log: LogReader, run: Path, wanted: Sequence[str]) -> None:
        """Read what is noted of a run.

        Args:
            log: The run's.
            run: Its directory.
            wanted: The items that are exported; none: all.
        """
        self._log, self._run, self._wanted = log, run, wanted
        self.run_id = str(log.run_id())
        self.casts: dict[str | None, Cast] = casts(log)
        self._record: dict[str, Any] = json.loads(log.meta("played") or "{}")
        state, self._cause = state_of(log)
        self._state: State = state

    @property
    def model(self) -> str:
        """The model of all agents; `none` where they have several, or none is known."""
        models = {member.model for cast in self.casts.values() for member in cast.values() if member.model}
        return models.pop() if len(models) == 1 else NO_MODEL

    def reductions(self, sums: Sums) -> list[Json]:
        """Return the values that the metrics are of: one a sample, as there is one epoch."""
        return [
            {"scorer": name, "samples": [{"sample_id": sample, "value": value} for sample, value in values]}
            for name, values in self._measured(sums).items()
        ]

    def document(self, sums: Sums) -> Json:
        """Return the header, in the order in which Inspect reads it."""
        found: Json = {"version": SCHEMA, "status": STATUS[self._state], "eval": self._spec(sums), "plan": self._plan()}
        if self._state != "running":
            found["results"] = self._results(sums)
        found["stats"] = {
            "started_at": self._first(),
            "completed_at": "" if self._state == "running" else self._last(),
            "model_usage": sums.models,
            "role_usage": sums.roles,
        }
        if STATUS[self._state] == "error":
            found["error"] = failure(_why(self._cause))
        return found

    def _spec(self, sums: Sums) -> Json:
        data = about(self._log).get("data")
        started = self._log.newest("run_started")
        start = started.message() if started is not None else None
        dataset: Json = {"samples": start.items if isinstance(start, RunStarted) else None, "sample_ids": sums.ids}
        if data is not None:
            dataset |= {"name": Path(data).name, "location": data}
        found: Json = {
            "eval_id": self.run_id,
            "run_id": self.run_id,
            "created": self._first(),
            "task": self._log.meta("name") or self._run.name,
            "task_id": self.run_id,
            "dataset": dataset,
            "model": self.model,
            "config": {"epochs": 1, **({"sample_id": sums.ids} if self._wanted else {})},
            "packages": {"llm-fellowship": version("llm-fellowship")},
            "metadata": {"run": str(self._run), "state": self._state, **self._played()},
        }
        members = [member for cast in self.casts.values() for member in cast.values() if member.model]
        if found["model"] == NO_MODEL:
            found["model_roles"] = _roles(self.casts)
        elif members:
            found["model_generate_config"] = config(members[0].settings) if _alike(members) else {}
        scorers = self._measured(sums)
        return {**found, "scorers": [{"name": name} for name in scorers]} if scorers else found

    def _played(self) -> dict[str, Any]:
        return {key: value for key, value in self._record.items() if key in ("scenario", "variants", "prompts", "seed")}

    def _plan(self) -> Json:
        steps: list[Any] = self._record.get("scenario", {}).get("flow", [])
        found: list[Json] = [{"solver": next(iter(step), "step"), "params": step} for step in steps if step]
        return {"name": self._log.meta("name") or "plan", "steps": found}

    def _measured(self, sums: Sums) -> dict[str, list[tuple[str, str]]]:
        """Return what there are metrics of; of a sweep nothing: its variants are not one thing that is measured."""
        if self._state == "running" or set(self.casts) - {None}:
            return {}
        return {name: values for name, values in sums.values.items() if values}

    def _results(self, sums: Sums) -> Json:
        return {
            "total_samples": len(sums.ids),
            "completed_samples": sums.states["done"],
            "scores": [_score(name, values, len(sums.ids)) for name, values in self._measured(sums).items()],
        }

    def _first(self) -> str:
        event = next(iter(self._log.at([1])), None)
        return iso(event.time_s) if event is not None else iso(0)

    def _last(self) -> str:
        event = next(iter(self._log.at([self._log.last()])), None)
        return iso(event.time_s) if event is not None else ""


def _why(cause: Failure | None) -> str:
    if cause is None:
        return "the run was broken off: its process left no word; the same command goes on with it"
    return f"{cause.error}: {cause.reason}"


def _alike(members: Sequence[Any]) -> bool:
    return all(member.settings == members[0].settings for member in members)


def _roles(found: Mapping[str | None, Cast]) -> Json:
    """Return the models of each role: one, or a list where it has several."""
    roles: dict[str, list[Json]] = {}
    for cast in found.values():
        for member in cast.values():
            one = {"model": member.model, "config": config(member.settings)}
            if member.model and one not in roles.setdefault(member.role, []):
                roles[member.role].append(one)
    return {role: models[0] if len(models) == 1 else models for role, models in roles.items() if models}


def _score(name: str, values: Sequence[tuple[str, str]], samples: int) -> Json:
    """Return the accuracy of a score, between the ends of its 95 % interval."""
    right = sum(value == RIGHT[True] for _, value in values)
    low, high = wilson(right, len(values)) or (0.0, 1.0)
    figures = {"accuracy": right / len(values), "accuracy_low": low, "accuracy_high": high}
    method = {"interval": "95 %, Wilson's score interval", "n": len(values)}
    return {
        "name": name,
        "scorer": name,
        "scored_samples": len(values),
        "unscored_samples": samples - len(values),
        "metrics": {key: {"name": key, "value": value, "metadata": method} for key, value in figures.items()},
    }
