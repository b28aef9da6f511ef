"""A new scenario made after another: its file, a data sample, and a test that passes as it is."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast, get_args

from ..protocols.errors import DeclarationError, RateLimited
from ..protocols.models import EMBEDDED
from .loading import library, set_part, source_of, validate
from .parameter import Name
from .planning import plan
from .rehearsal import Answers, Asked, Line, Rehearsal, rehearse, sample
from .schema import schema
from .source import read
from .spec import Scenario, Sweep
from .steps import Plan

MODEL = f"{EMBEDDED}/smollm2-135m"
"""What the first run asks: it costs nothing, and is there without a key."""
SCHEMA, DATA = "scenario.schema.json", "data.jsonl"
NAME = re.compile(r"^scenario:[ \t]*[^\s#]+", re.MULTILINE)
REFUSED = "too many requests"
"""What a failing model says in the test."""


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What is to be written, and what to do next."""

    files: Mapping[Path, str]
    """The content of each file."""
    commands: tuple[str, ...]
    """For a shell: check, test, run."""

    def write(self) -> None:
        """Write the files, where none of them is there yet.

        Raises:
            DeclarationError: one of them is, or cannot be written; nothing is written over.
        """
        there = [str(path) for path in self.files if path.exists()]
        if there:
            raise DeclarationError(f"{', '.join(there)}: there already; --to DIR names another directory")
        for path, content in self.files.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("x", encoding="utf-8") as file:
                    file.write(content)
            except OSError as error:
                raise DeclarationError(f"{path} cannot be written: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Stage:
    """How the new scenario can be rehearsed."""

    plan: Plan
    changes: tuple[str, ...] = ()
    """Without which it is not played: judges and writers of one family."""
    models: Mapping[str, str] | None = None
    """Without which nobody is left to ask."""


async def scaffold(name: str, like: str, folder: Path) -> Scaffold:
    """Return a new scenario made after another one, with a test of what rehearsals of it come to.

    Args:
        name: Its name.
        like: A library scenario or a file that is no sweep.
        folder: Where its files will be.

    Raises:
        DeclarationError: the name is none, there is no such scenario to be liked, or it is a sweep or wrong.
    """
    _prove_name(name)
    text = _renamed(like, name)
    target = folder / f"{name}.yaml"
    stage = await _staged(text, target)
    rows = sample(stage.plan.scenario)
    test = folder / f"test_{name.replace('-', '_')}.py"
    files = {
        target: f"# yaml-language-server: $schema={SCHEMA}\n{text}",
        folder / SCHEMA: _schema(),
        folder / DATA: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        test: "\n".join(await _test(stage, rows)),
    }
    run = ["fellowship", "run", str(target), "--data", str(folder / DATA), "--model", MODEL]
    run += [word for change in stage.changes for word in ("--set", change)]
    commands = (["fellowship", "check", str(target)], ["pytest", str(test)], run)
    return Scaffold(files, tuple(map(shlex.join, commands)))


@cache
def _schema() -> str:
    return json.dumps(schema(), indent=1) + "\n"


# the scenario


def _prove_name(name: str) -> None:
    pattern = next(part.metadata[0].pattern for part in get_args(Name) if hasattr(part, "metadata"))
    if not re.fullmatch(pattern, name):
        near = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")
        hint = f"; did you mean {near!r}?" if near else ""
        raise DeclarationError(f"{name!r} is not a name: small letters, digits, - and _{hint}")


def _renamed(like: str, name: str) -> str:
    """Return the text of a scenario under another name, its comments kept."""
    if isinstance(validate(source_of(like)), Sweep):
        known = [each for each in library() if not isinstance(validate(source_of(each)), Sweep)]
        raise DeclarationError(f"{like} is a sweep, which has no flow to change: --like takes {', '.join(known)}")
    text = _text(like)
    if len(NAME.findall(text)) != 1:
        raise DeclarationError(f"{like} does not say its name on a line of its own, as in `scenario: {name}`")
    lines = NAME.sub(f"scenario: {name}", text).splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("# yaml-language-server:"))


def _text(like: str) -> str:
    """Return the words of a scenario that could be read as a document."""
    of_library = like in library()
    place = files(__package__ or "fellowship.scenarios") / "library" / f"{like}.yaml" if of_library else Path(like)
    return place.read_text(encoding="utf-8")


def _planned(text: str, target: Path, changes: Sequence[str], models: Mapping[str, str] | None) -> Plan:
    source = read(text, str(target))
    for change in changes:
        set_part(source.document, change)
    declared = validate(source)
    assert isinstance(declared, Scenario)  # noqa: S101 - sweeps are refused before
    return plan(declared, source=source, models=models)


async def _staged(text: str, target: Path) -> _Stage:
    """Return a way to rehearse a scenario, as much as it can be without anything that it does not say itself."""
    changes: tuple[str, ...] = ()
    made = _planned(text, target, changes, None)
    if made.unasked:
        changes = tuple(dict.fromkeys(_own_family(read(text, str(target)).document)))
        made = _planned(text, target, changes, None)
    if (await rehearse(made)).status != "done":
        apart = {alias: f"{alias}/{alias}" for alias in made.scenario.models}
        other = _planned(text, target, changes, apart)
        if (await rehearse(other)).status == "done":
            return _Stage(other, changes, apart)
    return _Stage(made, changes)


def _own_family(document: object, path: str = "") -> Iterator[str]:
    """Return the changes by which judges label what their own family wrote."""
    found: dict[str, object] = {}
    if isinstance(document, dict):
        found = cast("dict[str, object]", document)
    elif isinstance(document, list):
        found = {str(index): part for index, part in enumerate(cast("list[object]", document))}
    if "pair" in found:
        chosen = str(found.get("own_family", ""))
        yield f"{chosen[1:]}=true" if chosen.startswith("$") else f"{path}.own_family=true"
    for key, part in found.items():
        yield from _own_family(part, f"{path}.{key}" if path else key)


# its test


async def _test(stage: _Stage, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a test of what rehearsals came to."""
    forms: set[str] = set()

    def noting(asked: Asked) -> Line:
        forms.update(asked.fields)
        return None

    played = await rehearse(stage.plan, answers=noting)
    name = stage.plan.scenario.scenario
    how: dict[str, object] = {"changes": list(stage.changes)} if stage.changes else {}
    how |= {"models": dict(stage.models)} if stage.models else {}
    more = ", **HOW" if how else ""
    first = played.turns[0].agent if played.turns else played.agents[0]
    lines = [
        f'"""What {name} does, played by models that say what a test wants: no key, no network."""',
        "",
        "from fellowship.protocols.errors import RateLimited",
        "",
        f"SCENARIO = {_words(f'{name}.yaml')}",
        *([f"HOW = {json.dumps(how)}"] if how else []),
        "",
        "",
        "def test_everyone_is_asked_in_turn_and_has_heard_whom_they_should(fellowship_scenario):",
        f"    played = fellowship_scenario.play(SCENARIO{more})",
        f"    assert played.status == {_words(played.status)}, played.error",
        "    assert played.sequence == [  # who says what, having heard whom since they spoke last",
        *(f"        {_turn(turn)}," for turn in played.turns),
        "    ]",
        f"    assert played.calls == {played.calls}",
    ]
    lines += _draft(played) + await _outcome(stage, forms, rows[0], more)
    lines += await _failing(stage, first, more)
    done = [(str(row["id"]), (await rehearse(stage.plan, item=row)).status) for row in rows]
    return [
        *lines,
        "",
        "",
        "def test_every_row_of_the_sample_is_played(fellowship_scenario):",
        f"    played = fellowship_scenario.play(SCENARIO, data={_words(DATA)}{more})",
        f"    assert [(each.item.id, each.status) for each in played] == [{', '.join(map(_pair, done))}]",
        "",
    ]


def _draft(played: Rehearsal) -> list[str]:
    if played.text is None:
        return []
    return [f"    assert played.text == {_words(played.text)}"]


async def _outcome(stage: _Stage, forms: set[str], row: Mapping[str, Any], more: str) -> list[str]:
    """Return the lines of a test of what comes out where everybody says the same."""
    fields: dict[str, object]
    if {"score_a", "score_b"} <= forms:
        fields = {"score_a": 9, "score_b": 2}
    elif "verdict" in forms:
        fields = {"verdict": "A"}
    elif "answer" in forms:
        fields = {"answer": row["reference"]}
    else:
        return []
    answers: Answers = {"*": fields}
    played = await rehearse(stage.plan, item=row, answers=answers)
    facts = {"verdict": played.verdict, "answer": played.answer, "correct": played.correct}
    known = [_asserted(name, value) for name, value in facts.items() if value is not None]
    if not known or played.status != "done":
        return []
    told = f"answers={json.dumps(answers, ensure_ascii=False)}{more}"
    line = f"    played = fellowship_scenario.play(SCENARIO, {told})"
    if "answer" in forms:
        line = f"    [played] = fellowship_scenario.play(SCENARIO, data={_words(DATA)}, limit=1, {told})"
    return [
        "",
        "",
        "def test_the_outcome_is_what_everybody_says(fellowship_scenario):",
        line,
        *known,
    ]


async def _failing(stage: _Stage, agent: str, more: str) -> list[str]:
    """Return the lines of a test of what becomes of an item where a model cannot be asked."""
    played = await rehearse(stage.plan, answers={agent: RateLimited(REFUSED)})
    answers = f'{{{_words(agent)}: RateLimited("{REFUSED}")}}'
    told = "fails_the_item" if played.status == "failed" else "is_done_without"
    return [
        "",
        "",
        f"def test_a_model_that_cannot_be_asked_{told}(fellowship_scenario):",
        f"    played = fellowship_scenario.play(SCENARIO, answers={answers}{more})",
        f"    assert played.status == {_words(played.status)}",
        *([f'    assert "{REFUSED}" in played.error'] if played.error and REFUSED in played.error else []),
        f"    assert played.said({_words(agent)}) == []" if not played.said(agent) else "    assert played.calls",
    ]


def _asserted(name: str, value: str | bool) -> str:  # noqa: FBT001 - what was found
    return f"    assert played.{name} {f'is {value}' if isinstance(value, bool) else f'== {_words(value)}'}"


def _words(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _turn(turn: tuple[str, str, tuple[str, ...]]) -> str:
    agent, word, heard = turn
    speakers = ", ".join(map(_words, heard))
    return f"({_words(agent)}, {_words(word)}, ({speakers}{',' if len(heard) == 1 else ''}))"


def _pair(pair: tuple[str, str]) -> str:
    return f"({_words(pair[0])}, {_words(pair[1])})"
