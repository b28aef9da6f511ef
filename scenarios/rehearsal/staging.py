"""Rehearsing: a scenario is played through the real conductor and the real agents; only the models are not real."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypedDict, Unpack

from ...protocols.errors import DeclarationError, Problem, RunStopping, nearest
from ...protocols.items import Item
from ...protocols.lifecycle import ItemFailed
from ...protocols.ports import Clock
from ...runtime.recording import Cassette, FileCassette, Fit
from ...runtime.system import ActorSystem, NoModels
from ...runtime.testing.clock import ManualClock
from ..datasets import open_dataset
from ..loading import load, set_part, validate
from ..planning import plan
from ..plugins.loading import GROUP, loaded
from ..source import Source, read
from ..spec import Document, Scenario, Sweep
from ..stage import End, Stage
from ..steps import Plan
from .asked import Answers
from .ledger import Ledger
from .prompter import EVERYBODY, Prompter
from .props import item_of, sample
from .rehearsal import Rehearsal

Row = Mapping[str, Any] | Item
"""What a rehearsal is about: as a row of a data file, or an Item."""


class How(TypedDict, total=False):
    """How a rehearsal goes; all of it may be left out."""

    answers: Answers | None
    """What agents' models say, by agent; who is not named gives neutral answers of the form asked for."""
    cassette: str | Path | Cassette | None
    """Recorded calls, whose answers come in place of models'; with the fit `exact`, of all."""
    fit: Fit
    """How recorded calls have to fit: `exact` if left out."""
    parameters: Mapping[str, Any]
    """Values of the scenario's parameters, or of its parts by path."""
    changes: Sequence[str]
    """`PATH=VALUE` each, as of --set."""
    models: Mapping[str, str]
    """Models that replace the scenario's own: alias to provider/model; `*` stands for all. None of them is called: they
    tell families apart."""
    plugins: Sequence[str | Path]
    """Files that bring roles, conditions or rules of one's own; those of installed packages come along."""
    seed: int
    """For everything that is left to chance: 0 if left out."""
    clock: Clock
    """Of agents and log; left out, one that stands still."""


async def rehearse(
    scenario: str | Path | Scenario | Plan, *, item: Row | None = None, number: int = 0, **how: Unpack[How]
) -> Rehearsal:
    """Play a scenario for one item, in memory, and return what was said to whom.

    Args:
        scenario: A library scenario's name, a file, the YAML text itself, a Scenario, or a plan.
        item: A row as of a data file (`prompt`, and `a` and `b` for a comparison), or an Item; else a sample.
        number: The item's place in its data set, from 0.
        how: See `How`.

    Raises:
        DeclarationError: the scenario, the item or the answers are wrong: all problems that were found.
        CassetteMiss: a call is made that the cassette has no answer to.
    """
    with _plugged(how):
        made = _planned(scenario, how)
        row = item if item is not None else sample(made.scenario)[0]
        return await _played(made, item_of(row, made.scenario, number), number, _cassette(how.get("cassette")), how)


async def rehearse_all(
    scenario: str | Path | Scenario | Plan,
    *,
    items: Iterable[Row] | None = None,
    data: str | Path | None = None,
    limit: int | None = None,
    **how: Unpack[How],
) -> list[Rehearsal]:
    """Play a scenario for several items, one after another; lists of answers begin anew with each.

    Args:
        scenario: As of `rehearse`.
        items: Rows or Items; where there is no data either, three samples.
        data: A data file, in place of items.
        limit: The most rows of it.
        how: See `How`.

    Raises:
        DeclarationError: as `rehearse`; both items and data are named, or the file cannot be read.
        CassetteMiss: as `rehearse`.
    """
    if items is not None and data is not None:
        raise DeclarationError("items and data are two ways to say the same: name one of them")
    with _plugged(how):
        made = _planned(scenario, how)
        rows: Iterable[Row]
        if data is not None:
            rows = open_dataset(
                Path(data), takes=made.scenario.takes, limit=limit, answers=made.answers, lists=made.lists
            )
        else:
            rows = items if items is not None else sample(made.scenario)
        found = [item_of(row, made.scenario, number) for number, row in enumerate(rows)]
        cassette = _cassette(how.get("cassette"))
        return [await _played(made, item, number, cassette, how) for number, item in enumerate(found)]


def _plugged(how: How) -> AbstractContextManager[object]:
    return loaded(*how.get("plugins", ()), packaged=_has_packaged())


@cache
def _has_packaged() -> bool:
    """Whether an installed package brings plugins; looking takes longer than a rehearsal."""
    return bool(entry_points(group=GROUP))


async def _played(made: Plan, item: Item, number: int, cassette: Cassette | None, how: How) -> Rehearsal:
    answers, fit, seed, clock = how.get("answers"), how.get("fit", "exact"), how.get("seed", 0), how.get("clock")
    time = clock or ManualClock()
    ledger = Ledger(time)
    system = ActorSystem(ledger, clock=time, seed=seed, intercept=ledger.deliver)
    prompter = Prompter(system, ledger, item, answers, _speakers(made, answers))
    system.models = NoModels() if cassette is not None and fit == "exact" else prompter
    stage = Stage(made, system, seed, cassette=cassette, fit=fit)
    due = stage.due(number, item, None)
    end: End | None = None
    stopped: RunStopping | None = None
    try:
        end, _ = await stage.play(due)
    except RunStopping as error:
        stopped = error
    prompter.tell()
    why: str | None = None
    if end is None:
        why = f"{type(stopped).__name__}: {stopped}"
    elif isinstance(end, ItemFailed):
        why = f"{end.cause.error}: {end.cause.reason}"
    return Rehearsal(
        scenario=made.scenario.scenario,
        item=item,
        status="stopped" if end is None else "done" if why is None else "failed",
        outcome=end,
        error=why,
        turns=tuple(ledger.spoken),
        agents=tuple(made.profiles),
        unused=prompter.unused,
        log=ledger,
        noted=tuple(ledger.facts),
        told={agent: tuple(heard) for agent, heard in ledger.told.items()},
        conversation=due.conversation,
    )


def _planned(scenario: str | Path | Scenario | Plan, how: How) -> Plan:
    """Return the plan of a scenario.

    Raises:
        DeclarationError: all that is wrong with it; it is a sweep; or judges would label what their family wrote.
    """
    parameters, changes, models = how.get("parameters") or {}, how.get("changes") or (), how.get("models")
    if isinstance(scenario, Plan):
        if parameters or changes or models:
            raise DeclarationError("a plan is ready: parameters, changes and models belong to what it is made from")
        made = scenario
    else:
        declared, source = _declared(
            scenario, [*changes, *(f"{name}={json.dumps(parameters[name])}" for name in parameters)]
        )
        if isinstance(declared, Sweep):
            plays = ", ".join(dict.fromkeys(leg.play for leg in declared.sweep))
            raise DeclarationError(f"{declared.scenario} is a sweep: rehearse a scenario that it plays: {plays}")
        made = plan(declared, source=source, models=models)
    if made.unasked:
        raise DeclarationError(made.unasked)
    return made


def _declared(scenario: str | Path | Scenario, changes: Sequence[str]) -> tuple[Document, Source]:
    if isinstance(scenario, Scenario):
        source = Source(scenario.scenario, scenario.document())
        if not changes:
            return scenario, source
    elif "\n" in str(scenario):
        source = read(str(scenario), "scenario.yaml")
    else:
        return load(str(scenario), changes=changes)
    for change in changes:
        set_part(source.document, change)
    return validate(source), source


def _cassette(cassette: str | Path | Cassette | None) -> Cassette | None:
    return FileCassette.read(Path(cassette)) if isinstance(cassette, (str, Path)) else cassette


def _speakers(made: Plan, answers: Answers | None) -> dict[str, str]:
    """Return for each agent the key of `answers` that speaks for it: its own name, a group's, or `*`.

    Raises:
        DeclarationError: a key is the name of nobody.
    """
    if answers is None or callable(answers):
        return {}
    agents, scenario = tuple(made.profiles), made.scenario
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for key in answers:
        if key == EVERYBODY or key in agents:
            continue
        members = _members(key, made)
        if not members:
            known = (*agents, *scenario.groups, *scenario.agents, EVERYBODY)
            problems.append(Problem(f"answers: unknown agent {key!r}{nearest(key, known)}"))
        for agent in members:
            found.setdefault(agent, key)
    if problems:
        raise DeclarationError(problems)
    found |= {agent: agent for agent in agents if agent in answers}
    if EVERYBODY in answers:
        found = {**dict.fromkeys(agents, EVERYBODY), **found}
    return found


def _members(name: str, made: Plan) -> tuple[str, ...]:
    """Return the agents for whom a name stands: a group's, or that of an agent of which there are several."""
    scenario, agents = made.scenario, tuple(made.profiles)
    if name in scenario.groups:
        several = [_members(member, made) or (member,) for member in scenario.groups[name]]
        return tuple(agent for each in several for agent in each if agent in agents)
    if name in scenario.agents:
        return tuple(agent for agent in agents if agent.startswith(f"{name}-"))
    return ()
