"""Nothing that a model, a data file or a scenario says is obeyed by a terminal, whichever command shows it."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import anyio
import poisoning
import pytest
from playing import beside, fellowship, items, library, written
from poisoning import hostile, poison
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text
from typer.testing import Result

from fellowship.protocols.models import Completion, ModelCall, Usage
from fellowship.runtime.log import LogReader
from fellowship.runtime.models.admission import AdmissionState
from fellowship.runtime.testing import Fault, LoopbackEndpoint, ScriptedModel, as_reply
from fellowship.scenarios import Progress, Settings, play, terminal
from fellowship.scenarios.console import print_json
from fellowship.scenarios.live import EndpointState, Live, Stall
from fellowship.scenarios.outcomes import status as fold
from fellowship.scenarios.progress import ProgressLine

MARK = "[bold]so[/bold][link=https://evil.example]it[/link]:skull:"
"""Markup of rich, which must stay the text it is."""
ORDERS = (
    "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\\x1b]0;title\x07",
    "\x1b[2J\x1b[38;5;199m\x1b[1;31;107m\x1bc\x1b[6n",
    "\x9b2J\x9d0;title\x9c\x85\x84",
    "\r\x08\x0b\x0c\x00\x7f",
    "\u202egnp.exe\u202c\u2066\u2069\u200e\u200f\u061c\u2028\u2029\ufff9\u206a",
)
"""What a terminal obeys: links, titles, erasing, colours, C1 controls, the carriage's return, turned around letters."""
ENDINGS = tuple(f"{MARK}{orders}{MARK}" for orders in ORDERS)
EVIL = "".join(ENDINGS)
OURS = re.compile(r"\x1b\[(?:[0-9]{1,2}(?:;[0-9]{1,2})*)?m")
"""How rich sets the colours and weights that the package itself uses."""
OF_A_LIVE_LINE = re.compile(r"\x1b\[\?25[lh]|\r?\x1b\[(?:1A|2K)")
"""How rich shows and takes back the line of progress."""
OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff\ufff9-\ufffb]"
)
ENV: dict[str, Any] = {"FORCE_COLOR": "1", "NO_COLOR": None, "COLUMNS": "20000", "TERM": "xterm-256color"}


def obeyed(shown: str) -> list[str]:
    """Return what of an output a terminal would obey, but for the package's own colours and line of progress."""
    return OBEYED.findall(OF_A_LIVE_LINE.sub("", OURS.sub("", shown)))


class Runs(NamedTuple):
    run: Path
    """A debate, every text of which is hostile, that of its events and of what was played."""
    other: Path
    """The same with one verdict the other way round."""
    item: str
    failed: str
    votes: int
    """Sequence of a vote."""


def speaker(call: ModelCall) -> Completion | Exception:
    if "Question 2?" in call.messages[1].content:
        raise ValueError(EVIL)
    text = as_reply(call, EVIL)
    return Completion(text, "stop", f"served {EVIL}", Usage(input_tokens=3, output_tokens=2), reasoning=EVIL)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Play once, make all of it hostile, whatever of it somebody might have taken to be safe."""
    folder = tmp_path_factory.mktemp("hostile")
    out: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(poisoning, "ENDINGS", ENDINGS)
        patch.setattr(poisoning, "BEGINNING", "x")
        for name in ("one", "other"):
            anyio.run(play, library("debate"), items(3), folder / name, Settings(client=ScriptedModel(speaker)))
            out.append(poison(folder / name).rename(folder / f"{name}\x1b[2J\u202e[bold]"))
        found = hostile("i0"), hostile("i2")
    with LogReader(out[0] / "run.db") as log:
        vote = next(
            event.sequence for event in log.events(kinds=("vote_cast",)) if event.conversation.startswith(found[0])
        )
    return Runs(out[0], out[1], *found, vote)


SAYS_NOTHING = {"export ratings", "cassette", "salvage", "diff", "report --markdown"}
"""What shows a run's directory and figures alone."""
Command = Callable[[Runs], tuple[object, ...]]
READING: dict[str, Command] = {
    "status": lambda it: ("status", it.run),
    "status --whole": lambda it: ("status", it.run, "--whole"),
    "trace": lambda it: ("trace", it.run),
    "trace --follow": lambda it: ("trace", it.run, "--follow"),
    "trace --text": lambda it: ("trace", it.run, "--text", "so", "--agent", it.item),
    "trace ITEM": lambda it: ("trace", it.run, it.item),
    "trace of a failed item": lambda it: ("trace", it.run, it.failed),
    "trace --prompts": lambda it: ("trace", it.run, it.item, "--prompts"),
    "trace --message": lambda it: ("trace", it.run, it.item, "--message", it.votes),
    "trace --follow ITEM": lambda it: ("trace", it.run, it.item, "--follow"),
    "trace of no item": lambda it: ("trace", it.run, f"{it.item[:-1]}"),
    "diff": lambda it: ("diff", it.run, it.other),
    "diff ITEM": lambda it: ("diff", it.run, it.other, it.item),
    "report": lambda it: ("report", it.run),
    "report --markdown": lambda it: ("report", it.run, "--markdown", "-"),
    "export ratings": lambda it: ("export", it.run, "--format", "ratings", "--to", it.run / "ratings.jsonl"),
    "export mermaid": lambda it: ("export", it.run, "--format", "mermaid", "--item", it.item, "--to", "-"),
    "export of no item": lambda it: (
        "export",
        it.run,
        "--format",
        "mermaid",
        "--item",
        EVIL.replace("\0", ""),
        "--to",
        "-",
    ),
    "replay": lambda it: ("replay", it.run),
    "retry": lambda it: ("retry", it.run),
    "fork": lambda it: ("fork", it.run, "--at", it.votes, "--out", it.run / "forked"),
    "cassette": lambda it: ("cassette", it.run, "--to", it.run / "cassette.jsonl"),
    "salvage": lambda it: ("salvage", it.run, "--to", it.run / "salvaged"),
}


AS_JSON = (
    *("status", "trace", "trace ITEM", "trace --prompts", "trace --message", "trace --follow", "trace --follow ITEM"),
    *("diff", "diff ITEM", "report", "export ratings"),
)


def told(result: Result) -> Result:
    """Check that a command ended as commands do, and that no terminal obeys what it says."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert obeyed(result.output) == []
    return result


@pytest.mark.parametrize("name", READING)
def test_no_command_that_reads_a_run_lets_the_terminal_obey_what_is_in_it(name: str, runs: Runs) -> None:
    shown = told(fellowship(*READING[name](runs), env=ENV)).output
    assert MARK in shown or name in SAYS_NOTHING
    assert "Traceback" not in shown


@pytest.mark.parametrize("name", AS_JSON)
def test_a_json_document_on_a_terminal_has_every_character_and_none_that_is_obeyed(name: str, runs: Runs) -> None:
    shown = told(fellowship(*READING[name](runs), "--json", env=ENV)).stdout
    documents = [json.loads(line) for line in shown.splitlines()] if "follow" in name else [json.loads(shown)]
    words = json.dumps(documents, ensure_ascii=False)
    assert any(ending in words for ending in map(in_json, ENDINGS)) or name in SAYS_NOTHING


def in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def scenario(folder: Path, **more: Any) -> Path:
    """Write a scenario whose every free text is hostile."""
    agent = {"role": "debater", "model": "judge", "persona": "evil", "instructions": EVIL}
    content = {
        "scenario": "hostile",
        "about": EVIL,
        "takes": "comparison",
        "judging": {"strategy": "combined", "scale": 10, "orders": "ab"},
        "models": {"judge": f"acme/m{EVIL}"},
        "personas": {"evil": {"title": EVIL, "text": EVIL}},
        "parameters": {"rounds": {"default": 1, "about": EVIL}, "words": {"default": EVIL, "about": EVIL}},
        "agents": {"one": agent, "other": agent},
        "flow": [
            {
                "repeat": "$rounds",
                "do": [{"ask": ["one", "other"], "for": "argument", "order": "in-turn", "instructions": "$words"}],
            },
            {"ask": ["one", "other"], "for": "ballot", "instructions": EVIL},
            {"decide": "mean-score"},
        ],
        "gives": "verdict",
        **more,
    }
    path = folder / "hostile\x1b[2J.yaml"
    path.write_text(json.dumps(content))
    return path


WRONG: dict[str, dict[str, Any]] = {
    "nothing": {},
    "the name": {"scenario": EVIL},
    "an agent": {"agents": {EVIL: {"role": "judge", "model": "judge"}}},
    "roles and keys": {"agents": {"one": {"role": EVIL, "model": EVIL}, "other": {EVIL: EVIL}}},
    "words": {"takes": EVIL, EVIL: EVIL},
    "the flow": {"flow": [{"ask": EVIL, "for": EVIL}, {"repeat": 2, "until": EVIL, "do": []}, {"decide": EVIL}]},
    "parameters": {"parameters": {EVIL: {"default": EVIL, "about": EVIL}}},
    "a model": {"models": {"judge": EVIL}},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_no_terminal_obeys_a_scenario_whatever_is_wrong_with_it(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, data = scenario(tmp_path, **WRONG[wrong]), written(tmp_path / "d.jsonl", 1)
    commands: dict[str, tuple[object, ...]] = {
        "check": (path,),
        "plan": (path, "--data", data),
        "draw": (path,),
        "run": (path, "--data", data, "--out", tmp_path / "run"),
        "new": ("mine", "--like", path),
    }
    shown = {name: told(fellowship(name, *words, env=ENV)) for name, words in commands.items()}
    right = wrong in ("nothing", "a model")  # any name may be one's own endpoint's
    assert [shown[name].exit_code for name in ("check", "plan", "draw")] == [0 if right else 2] * 3
    assert MARK[:40] in "".join(found.output for found in shown.values())


@pytest.mark.parametrize("options", [("-vv",), ("--log-json", "-vv", "--json")], ids=" ".join)
def test_no_terminal_obeys_hostile_models_that_play_a_hostile_scenario_for_hostile_data(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    rows = [
        {"id": f"{number}{EVIL}", "prompt": EVIL, "a": f"{number}{EVIL}", "b": EVIL, EVIL: EVIL, "human": "a"}
        for number in range(3)
    ]
    data = tmp_path / "d\x1b[2J.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    limited = Fault(status=429, error={"message": EVIL}, headers={"retry-after": "0"})
    lost = Fault(status=404, error={"message": EVIL, "code": EVIL})
    with beside(
        LoopbackEndpoint(lambda call: as_reply(call, EVIL), faults=chain([limited, lost], repeat(None)))
    ) as server:
        where = ("--data", data, "--out", tmp_path / "r\x9b2J", "--base-url", server.base_url, "--concurrency", 1)
        shown = told(fellowship("run", scenario(tmp_path, models={"judge": "acme/m"}), *where, *options, env=ENV))
        again = told(fellowship("retry", tmp_path / "r\x9b2J", "--base-url", server.base_url, *options, env=ENV))
    assert (shown.exit_code, again.exit_code) == (1, 0), shown.output
    assert MARK in shown.stderr


@pytest.mark.parametrize("command", ["agreement", "jury", "bias", "rank", "winrate"])
def test_no_terminal_obeys_a_table_of_votes(command: str, tmp_path: Path) -> None:
    votes = [
        {
            "item": f"{item}{EVIL}",
            "rater": f"{rater}{EVIL}",
            "kind": "human" if rater == "h" else "model",
            "verdict": "ab"[item % 3 == number],
            "model_a": f"one{EVIL}",
            "model_b": f"other{EVIL}",
            "length_a": 10 + item,
            "length_b": 20,
        }
        for item in range(8)
        for number, rater in enumerate("hij")
    ]
    wrong = [{**votes[0], "verdict": EVIL}, {**votes[1], "kind": EVIL}, {EVIL: EVIL}]
    path = tmp_path / "votes\x1b[2J.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in votes))
    reference = () if command in ("rank", "winrate") else ("--reference", f"h{EVIL}")
    shown = told(fellowship(command, path, *reference, env=ENV))
    assert shown.exit_code == 0, shown.output
    assert MARK in shown.stdout
    document = told(fellowship(command, path, *reference, "--json", env=ENV))
    assert in_json(EVIL) in json.dumps(json.loads(document.stdout), ensure_ascii=False)
    path.write_text("".join(json.dumps(row) + "\n" for row in votes + wrong))
    told(fellowship(command, path, "--reference", f"no{EVIL}", env=ENV))


def test_no_terminal_obeys_what_an_endpoint_says_of_itself_while_a_run_waits_for_it(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name)
    state = AdmissionState(f"acme/m{EVIL}", 1, 2, 3, None, "none", None, "none", 0.0, 4, broken=True, why=EVIL)
    stall = Stall(
        agent=EVIL, conversation=f"{EVIL}~1", model=EVIL, call="17.2", seconds=9, stage="sent", attempts=1,
        words=EVIL, quiet_s=1.0,
    )  # fmt: skip
    live = Live(
        time_s=0, in_flight=1, calls=1, tokens=1, cost_usd=None, budget=None, draining=False, stalls=(stall,),
        endpoints=(EndpointState.model_validate(state, from_attributes=True),),
    )  # fmt: skip
    with LogReader(runs.run / "run.db") as log:
        now = fold(log, str(runs.run)).model_copy(update={"live": live, "state": "running"})
    terminal.out().print(terminal.summary(now, [runs.run / "run.db"]))
    line = ProgressLine(terminal.out())
    access = SimpleNamespace(admissions=lambda: (state, replace(state, broken=False, held_s=9.0)))
    line.watch(Progress(3, admissions=access.admissions))
    terminal.out().print(line.line())
    terminal.out().print(EVIL, Padding(Text(EVIL), 1), Panel(EVIL))  # a text that nobody has made plain
    shown = capsys.readouterr().out
    assert obeyed(shown) == []
    assert shown.count(MARK) > 20
    terminal.out().print("half \ud800 of one")
    print_json({"half": "\ud800\x9b"})
    assert capsys.readouterr().out.split("\n", 1) == ["half � of one", '{\n  "half": "\\ud800\\u009b"\n}\n']
