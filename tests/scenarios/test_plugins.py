"""What files named by --plugin, and installed packages, bring to the language and to the commands."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playing import beside, content, fellowship, results, written
from statsmodels.stats.proportion import proportion_confint

from fellowship import plugins
from fellowship.agents import ROLES, Juror
from fellowship.protocols.aggregation import RULES
from fellowship.protocols.errors import DeclarationError, NameTaken, PluginFailed
from fellowship.protocols.events import KINDS, UnknownBody
from fellowship.protocols.stopping import PREDICATES, QUANTITIES
from fellowship.runtime.log import LogReader
from fellowship.runtime.models.endpoints import PROVIDERS
from fellowship.runtime.models.transports import TRANSPORTS
from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import load, plan
from fellowship.scenarios.measures.plugged import MEASURES, measured
from fellowship.scenarios.preferences.exporters import EXPORTERS

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "plugins"
PAGES = ("agents", "conditions", "exporters", "measures", "rules", "transports")
REGISTRIES = (ROLES, KINDS, PREDICATES, QUANTITIES, RULES, MEASURES, EXPORTERS, TRANSPORTS)
JURY = """\
scenario: mine
takes: comparison
models: {judge: parrot/any}
agents:
  one: {role: ROLE}
  two: {role: juror}
  three: {role: juror}
  four: {role: juror}
flow:
  - {ask: [one, two, three, four], for: ballot, order: in-turn, hears: everyoneUNTIL}
  - {decide: RULE}
gives: verdict
"""


def given(*names: str) -> list[object]:
    return [part for name in names for part in ("--plugin", EXAMPLES / f"{name}.py")]


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """After each test the language has the words it had before it."""
    before = [list(registry) for registry in REGISTRIES], sorted(PROVIDERS)
    yield
    assert ([list(registry) for registry in REGISTRIES], sorted(PROVIDERS)) == before


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return written(tmp_path / "data.jsonl", 2)


def jury(folder: Path, *, role: str = "juror", rule: str = "unique-mode", until: str = "") -> Path:
    text = JURY.replace("ROLE", role).replace("RULE", rule)
    path = folder / "mine.yaml"
    path.write_text(text.replace("UNTIL", f", until: {until}" if until else ""))
    return path


def played(scenario: Path, data: Path, *options: object) -> Path:
    out = scenario.parent / "run"
    told = fellowship("run", scenario, "--data", data, "--out", out, *given("transports"), *options)
    assert told.exit_code == 0, told.output
    return out


def file(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


RULE = """\
from fellowship import plugins

@plugins.rule("mine", version=3)
def mine(votes):
    return "b"
"""


# the pages


@pytest.mark.parametrize("name", PAGES)
def test_the_code_on_a_page_is_the_example(name: str) -> None:
    page = (ROOT / "docs" / "plugins" / f"{name}.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert blocks == [(EXAMPLES / f"{name}.py").read_text()]


def test_all_examples_can_be_loaded_at_once_and_are_listed_with_what_they_bring() -> None:
    told = fellowship("plugins", *given(*PAGES), "--json")
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    assert [plugin["name"] for plugin in document["plugins"]] == [f"{name}.py" for name in PAGES]
    brought = {(each["sort"], each["name"]) for plugin in document["plugins"] for each in plugin["brings"]}
    assert brought == {
        ("role", "fact-checker"), ("fact", "claims_checked"), ("predicate", "landslide"), ("quantity", "words"),
        ("rule", "unanimous"), ("pick", "middle"), ("measure", "readable"), ("measure", "long-answers"),
        ("exporter", "ranked"), ("exporter", "pages"), ("transport", "parrot"), ("provider", "parrot"),
    }  # fmt: skip
    assert all(each["about"] and each["line"] for plugin in document["plugins"] for each in plugin["brings"])
    shown = fellowship("plugins", *given("rules")).stdout
    assert "What all say; a tie as soon as one says otherwise." in shown


# roles and facts


def test_a_role_of_a_plugin_speaks_and_its_own_facts_are_heard_and_read_back(tmp_path: Path, data: Path) -> None:
    run = played(jury(tmp_path, role="fact-checker"), data, *given("agents"))
    with LogReader(run / "run.db") as log:
        unread = [event.message() for event in log.events(kinds=("claims_checked",))]
        with plugins.loaded(EXAMPLES / "agents.py"):
            checked = [event.message() for event in log.events(kinds=("claims_checked",))]
            kinds = {type(message).__name__ for message in checked}
        heard = [event.recipients for event in log.events(kinds=("claims_checked",))]
        calls = [json.loads(event.body) for event in log.events(kinds=("model_called",)) if event.sender == "two"]
        asked = [[log.text(digest) for _, digest in call["messages"]] for call in calls]
    assert all(isinstance(message, UnknownBody) for message in unread)
    assert (len(checked), kinds) == (2, {"ClaimsChecked"})
    assert heard == [("two", "three", "four")] * 2
    assert ["Claims that were checked: List what" in messages[-1] for messages in asked] == [True, True]
    assert (
        "claims_checked: Claims that were checked: List what" in fellowship("trace", run, "i0", *given("agents")).stdout
    )


def test_a_run_is_replayed_and_gone_on_with_by_its_plugins_and_says_which_are_missing(
    tmp_path: Path, data: Path
) -> None:
    run = played(jury(tmp_path, role="fact-checker", rule="unanimous"), data, "--limit", 1, *given("agents", "rules"))
    both = given("agents", "rules")
    again = fellowship("replay", run, *both, *given("transports"))
    assert (again.exit_code, "all as recorded" in again.stdout) == (0, True)
    needed = rf"--plugin {EXAMPLES}/agents.py --plugin {EXAMPLES}/rules.py"
    for command in (("replay", run), ("retry", run), ("fork", run, "--at", 5)):
        told = fellowship(*command, *given("transports"))
        assert told.exit_code == 2
        assert f"was played with the plugins agents.py, rules.py: give {needed}" in told.stderr.replace("\n", " ")
    shown = fellowship("trace", run, "i0")
    assert shown.exit_code == 0
    assert "one: claims_checked" in shown.stdout
    assert f"give {needed}" in shown.stderr
    assert (
        fellowship("run", tmp_path / "mine.yaml", "--data", data, "--out", run, *both, *given("transports")).exit_code
        == 0
    )
    assert [line["item"] for line in results(run)] == ["i0", "i1"]


def test_another_version_of_a_plugin_is_a_change_that_has_to_be_accepted(tmp_path: Path, data: Path) -> None:
    mine = file(tmp_path, RULE)
    run = played(jury(tmp_path, rule="mine"), data, "--plugin", mine, "--limit", 1)
    assert [line["verdict"] for line in results(run)] == ["b"]
    mine.write_text(RULE.replace('"b"', '"a"'))
    same = ("run", tmp_path / "mine.yaml", "--data", data, "--out", run, "--plugin", mine, *given("transports"))
    told = fellowship(*same)
    assert told.exit_code == 2
    assert re.search(r'plugins\.mine\.py: "[0-9a-f]{16}" then, "[0-9a-f]{16}" now', told.stderr)
    assert fellowship(*same, "--accept-changes").exit_code == 0
    assert [line["verdict"] for line in results(run)] == ["a", "a"]


def test_a_plugin_that_the_scenario_does_not_name_is_no_part_of_the_run(tmp_path: Path, data: Path) -> None:
    run = played(jury(tmp_path), data, *given("agents", "conditions"))
    record = (run / "run.yaml").read_text()
    assert "transports.py" in record
    assert "agents.py" not in record
    assert fellowship("replay", run, *given("transports")).exit_code == 0


# conditions, rules, picks


def test_a_predicate_of_a_plugin_ends_the_asking(tmp_path: Path, data: Path) -> None:
    run = played(jury(tmp_path, until="landslide"), data, *given("conditions"))
    with LogReader(run / "run.db") as log:
        spared = [json.loads(event.body)["spared"] for event in log.events(kinds=("asking_ended",))]
    assert spared == [["four"], ["four"]]


def test_a_quantity_of_a_plugin_is_compared_and_needs_what_feeds_it(tmp_path: Path, data: Path) -> None:
    debate = """\
scenario: mine
takes: comparison
models: {judge: parrot/any}
agents: {one: {role: debater}, two: {role: debater}}
flow:
  - {repeat: 4, until: words >= 3, do: [{ask: [one, two], for: argument, hears: everyone}]}
  - {ask: [one, two], for: ballot}
  - {decide: majority}
gives: verdict
"""
    path = file(tmp_path, debate, "mine.yaml")
    run = played(path, data, *given("conditions"))
    with LogReader(run / "run.db") as log:
        assert [json.loads(event.body)["round"] for event in log.events(kinds=("condition_met",))] == [1, 1]
    path.write_text(debate.replace("argument, hears", "ballot, hears"))
    told = fellowship("check", path, *given("conditions", "transports"))
    assert told.exit_code == 2
    assert "words needs argument, and none is asked for" in told.stderr


def test_a_rule_of_a_plugin_decides_with_its_version(tmp_path: Path, data: Path) -> None:
    run = played(jury(tmp_path, rule="mine"), data, "--plugin", file(tmp_path, RULE))
    with LogReader(run / "run.db") as log:
        decided = [json.loads(event.body) for event in log.events(kinds=("decision_made",))]
    assert [(each["rule"], each["version"], each["verdict"]) for each in decided] == [("mine", 3, "b")] * 2


def test_a_pick_of_a_plugin_chooses_a_draft(tmp_path: Path, data: Path) -> None:
    loop = """\
scenario: mine
takes: instruction
models: {writer: parrot/any}
agents: {writer: {role: generator}}
flow:
  - {repeat: 3, do: [{ask: writer, for: draft}]}
  - {pick: middle}
gives: draft
"""
    run = played(file(tmp_path, loop, "mine.yaml"), data, *given("rules"))
    with LogReader(run / "run.db") as log:
        picked = [json.loads(event.body) for event in log.events(kinds=("draft_picked",))]
    assert [(each["rule"], each["version"]) for each in picked] == [("middle", 2)] * 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('return "c"', "mine.py:3) returned 'c', and not a, b or tie"),
        ("return votes[7].verdict", "mine.py:5: IndexError: "),
    ],
)
def test_a_rule_that_breaks_fails_the_item_and_says_where(tmp_path: Path, data: Path, body: str, words: str) -> None:
    mine = file(tmp_path, RULE.replace('return "b"', body))
    told = fellowship(
        "run",
        jury(tmp_path, rule="mine"),
        "--data",
        data,
        "--out",
        tmp_path / "run",
        "--plugin",
        mine,
        *given("transports"),
    )
    assert told.exit_code == 1
    failed = results(tmp_path / "run")
    assert [line["status"] for line in failed] == ["failed", "failed"]
    assert "PluginFailed" in json.dumps(failed[0])
    assert words in json.dumps(failed[0])


# measures


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    rows = [
        {"item": f"i{number}", "rater": rater, "kind": "model", "verdict": "unread" if number < unread else "a"}
        for rater, unread in (("one", 3), ("two", 0))
        for number in range(20)
    ]
    path = tmp_path / "votes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_measure_of_a_plugin_is_a_figure_with_its_interval(votes: Path) -> None:
    document = json.loads(fellowship("measure", "readable", votes, "--json", *given("measures")).stdout)
    assert (document["measure"], document["plugin"], document["items"]) == ("readable", "measures.py", 20)
    one = document["figures"]["one"]
    assert (one["value"], one["n"]) == (0.85, 20)
    assert one["ci"] == pytest.approx(proportion_confint(17, 20, method="wilson"), abs=1e-9)
    assert one["method"].startswith("Wilson score interval")
    shown = fellowship("measure", "readable", votes, *given("measures")).stdout
    assert re.search(r"one +20 +0\.850 +\[0\.640, 0\.948\]", shown)


def test_measures_of_plugins_stand_in_reports(votes: Path, tmp_path: Path, data: Path) -> None:
    of_votes = json.loads(fellowship("report", votes, "--json", *given("measures")).stdout)
    assert [(each["measure"], sorted(each["figures"])) for each in of_votes["plugins"]] == [
        ("readable", ["one", "two"])
    ]
    assert json.loads(fellowship("report", votes, "--json").stdout)["plugins"] == []
    run = played(jury(tmp_path), data)
    of_run = json.loads(fellowship("report", run, "--json", *given("measures")).stdout)
    assert [each["measure"] for each in of_run["plugins"]] == ["long-answers", "readable"]
    assert (
        of_run["plugins"][0]["figures"][""]
        == json.loads(fellowship("measure", "long-answers", run, "--json", *given("measures")).stdout)["figures"][""]
    )
    assert of_run["plugins"][0]["figures"][""]["n"] == 8
    assert "Measures of plugins" in fellowship("report", run, "--markdown", "-", *given("measures")).stdout


def test_a_measure_that_breaks_leaves_the_rest_of_the_report(votes: Path, tmp_path: Path) -> None:
    mine = file(
        tmp_path,
        "from fellowship import plugins\n\n@plugins.measure('mine')\ndef mine(ratings):\n    return 1 / 0\n\n"
        "@plugins.measure('bare')\ndef bare(ratings):\n    return 0.5\n",
    )
    told = fellowship("report", votes, "--json", "--plugin", mine)
    bare, broken = json.loads(told.stdout)["plugins"]
    assert told.exit_code == 0
    assert broken["failed"] == f"the measure 'mine' broke: {mine}:5: ZeroDivisionError: division by zero"
    assert bare["failed"] == f"the measure 'bare' ({mine}:7) returned 0.5, and not a Figure"
    alone = fellowship("measure", "mine", votes, "--plugin", mine)
    assert (alone.exit_code, "ZeroDivisionError" in alone.stderr, "Traceback" in alone.stderr) == (1, True, False)
    with plugins.loaded(mine), pytest.raises(PluginFailed, match="not a Figure"):
        measured("bare", None)


def test_measures_that_are_not_there_or_not_of_this_are_told(votes: Path) -> None:
    told = fellowship("measure", "readible", votes, *given("measures"))
    assert (told.exit_code, "did you mean 'readable'?" in told.stderr) == (2, True)
    told = fellowship("measure", "long-answers", votes, *given("measures"))
    assert (told.exit_code, "is taken of a run" in told.stderr) == (2, True)


@pytest.mark.parametrize("wrong", [{"value": float("nan")}, {"ci": (0.5, 0.1)}, {"n": -1}, {"method": ""}])
def test_a_figure_has_a_number_an_interval_in_order_and_a_method(wrong: dict[str, Any]) -> None:
    right = plugins.Figure(value=0.5, ci=(0.1, 0.9), n=4, method="Wilson")
    assert right.model_dump(mode="json")["ci"] == [0.1, 0.9]
    with pytest.raises(ValueError, match=next(iter(wrong)) if "ci" not in wrong else "ends before it begins"):
        plugins.Figure(**{**right.model_dump(), **wrong})


# exporters


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that makes preference pairs."""
    folder = tmp_path_factory.mktemp("pairs")
    data, run = written(folder / "d.jsonl", 3), folder / "run"
    kin = {"writer": "gemma-2-9b", "reviewer": "llama-3-8b", "judge": "gpt-4o"}
    models = [part for alias, name in kin.items() for part in ("--model", f"{alias}=acme/{name}")]
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as endpoint:
        told = fellowship(
            "run",
            "preference-pairs",
            "--data",
            data,
            "--out",
            run,
            *models,
            "--base-url",
            endpoint.base_url,
            "--no-export",
        )
    assert told.exit_code == 0, told.output
    return run


def test_rows_of_a_plugins_exporter_are_those_of_the_pairs_that_are_kept(pairs: Path, tmp_path: Path) -> None:
    mine = ("export", pairs, "--format", "ranked", "--to", tmp_path / "x", "--data", "generation", *given("exporters"))
    told = fellowship(*mine, "--json")
    document = json.loads(told.stdout)
    rows = [json.loads(line) for line in (tmp_path / "x" / "ranked.jsonl").read_text().splitlines()]
    assert told.exit_code == 0
    assert (document["rows"], document["pairs"], document["files"], document["unread"]) == (
        len(rows), len(rows), ["ranked.jsonl"], 0,
    )  # fmt: skip
    assert document["candidates"] == document["pairs"] + sum(document["dropped"].values())
    fellowship(
        "export",
        pairs,
        "--format",
        "reward",
        "--to",
        tmp_path / "dpo",
        "--data",
        "generation",
        "--near-duplicates",
        "off",
    )
    lines = (tmp_path / "dpo" / "generation-reward" / "train.jsonl").read_text().splitlines()
    published = [json.loads(line) for line in lines]
    assert rows
    assert {(row["prompt"], *row["answers"], row["margin"]) for row in rows} >= {
        (row["chosen"][0]["content"], row["chosen"][-1]["content"], row["rejected"][-1]["content"], row["margin"])
        for row in published
    }
    stricter = json.loads(fellowship(*mine, "--json", "--quorum", 9).stdout)
    assert (stricter["pairs"], stricter["dropped"].get("quorum", 0) >= len(rows)) == (0, True)
    assert "kept" in fellowship(*mine).stdout


def test_an_exporter_may_write_files_of_its_own(pairs: Path, tmp_path: Path) -> None:
    told = fellowship("export", pairs, "--format", "pages", "--to", tmp_path / "x", "--json", *given("exporters"))
    document = json.loads(told.stdout)
    files = content(tmp_path / "x")
    assert sorted(files) == document["files"] == [f"{number + 1:04}.html" for number in range(document["pairs"])]
    assert files["0001.html"].startswith(b"<h1>")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--format", "ranke"), "unknown format 'ranke'; did you mean 'ranked'?"),
        (("--format", "ranked", "--format", "dpo"), "--format ranked goes alone"),
        (("--format", "ranked", "--split", "test=0.1"), "--split mean nothing for ranked"),
        (("--format", "lost"), "mine.py:5: KeyError"),
        (("--format", "listed"), "returned ['x'], and not a row, which is a dict"),
    ],
)
def test_what_an_export_cannot_be_is_told(pairs: Path, tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    mine = file(
        tmp_path,
        "from fellowship import plugins\n\n@plugins.exporter('lost')\ndef lost(pairs):\n    yield {}['x']\n\n"
        "@plugins.exporter('listed')\ndef listed(pairs):\n    yield ['x']\n",
    )
    told = fellowship("export", pairs, "--to", tmp_path / "x", *options, *given("exporters"), "--plugin", mine)
    assert told.exit_code in (1, 2)
    assert words in told.stderr
    assert not (tmp_path / "x").exists() or content(tmp_path / "x") == {}


# transports


def test_a_transport_serves_its_provider_without_a_network(tmp_path: Path, data: Path) -> None:
    run = played(jury(tmp_path), data)
    with LogReader(run / "run.db") as log:
        calls = [json.loads(event.body) for event in log.events(kinds=("model_called",))]
    assert len(calls) == 8
    assert {call["model"] for call in calls} == {"parrot/any"}
    assert all(line["tokens"] > 0 for line in results(run))


def test_a_transport_can_be_chosen_for_any_model(tmp_path: Path, data: Path) -> None:
    mine = ("run", "judge", "--data", data, "--model", "acme/m", "--base-url", "http://127.0.0.1:9/v1")
    told = fellowship(*mine, "--out", tmp_path / "r", "--transport", "parrot", "--no-cache", *given("transports"))
    assert told.exit_code == 0, told.output
    assert len(results(tmp_path / "r")) == 2
    told = fellowship(*mine, "--out", tmp_path / "s", "--transport", "parot", *given("transports"))
    assert (told.exit_code, "unknown transport 'parot'; did you mean 'parrot'?" in told.stderr) == (2, True)


def test_a_transport_is_opened_and_closed_around_a_run(tmp_path: Path, data: Path) -> None:
    text = (EXAMPLES / "transports.py").read_text().replace('"parrot"', '"opened"')
    text += """
    async def __aenter__(self):
        SEEN.write_text("opened ")
        return self

    async def __aexit__(self, *_):
        SEEN.write_text(SEEN.read_text() + "closed")
"""
    head, _, tail = text.partition("\n\ndef _filled")
    tail, _, inside = tail.rpartition("\n    async def __aenter__")
    seen = tmp_path / "seen"
    head = head.replace("import json", "import json\nfrom pathlib import Path")
    source = f"{head}\n    async def __aenter__{inside}\n\ndef _filled{tail}".replace("SEEN", f"Path({str(seen)!r})")
    mine = file(tmp_path, source)
    told = fellowship("run", "judge", "--data", data, "--model", "opened/m", "--out", tmp_path / "r", "--plugin", mine)
    assert told.exit_code == 0, told.output
    assert seen.read_text() == "opened closed"


# how they are loaded


def test_plugins_may_stand_before_the_command_and_in_the_environment(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = jury(tmp_path, rule="unanimous")
    assert fellowship(*given("rules", "transports"), "check", path).exit_code == 0
    assert fellowship("check", path, *given("rules")).exit_code == 0
    assert fellowship(*given("rules"), "check", path, *given("rules")).exit_code == 0
    assert fellowship("check", path).exit_code == 2
    monkeypatch.setenv(
        "FELLOWSHIP_PLUGIN", os.pathsep.join(str(EXAMPLES / f"{name}.py") for name in ("rules", "agents"))
    )
    assert fellowship("check", path).exit_code == 0


def package(folder: Path, name: str, text: str, *, entry: str = "mine") -> None:
    """Install a package of one module into a folder."""
    (folder / f"{name}.py").write_text(text)
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[fellowship.plugins]\n{entry} = {name}\n")


def test_a_package_brings_plugins_by_an_entry_point(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    package(site, "its_rules", RULE)
    path = jury(tmp_path, rule="mine")
    assert fellowship("check", path).exit_code == 2
    monkeypatch.syspath_prepend(site)
    run = played(path, data)
    assert {line["verdict"] for line in results(run)} == {"b"}
    assert "from: its_rules 1.2" in (run / "run.yaml").read_text()
    listed = json.loads(fellowship("plugins", "--json").stdout)["plugins"]
    assert [(each["name"], each["from"], each["packaged"]) for each in listed] == [("mine", "its_rules 1.2", True)]
    assert fellowship("replay", run, *given("transports")).exit_code == 0
    monkeypatch.undo()
    told = fellowship("replay", run, *given("transports"))
    assert told.exit_code == 2
    assert "the plugin mine: install the package its_rules 1.2, which brings it" in told.stderr


def test_a_broken_entry_point_is_told_and_stops_only_who_needs_it(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    package(site, "its_broken", "import nowhere_to_be_found\n")
    package(site, "its_clash", RULE.replace('"mine"', '"majority"'), entry="clash")
    monkeypatch.syspath_prepend(site)
    told = fellowship("check", jury(tmp_path), *given("transports"))
    assert told.exit_code == 0
    assert (
        "the plugin mine of the package its_broken 1.2 cannot be loaded: ModuleNotFoundError: No module named "
        "'nowhere_to_be_found'" in told.stderr
    )
    assert "there is a aggregation rule named 'majority' already: one of the package's own" in told.stderr.replace(
        "an aggregation", "a aggregation"
    )
    assert fellowship("check", jury(tmp_path, rule="mine"), *given("transports")).exit_code == 2
    listed = fellowship("plugins", "--json")
    assert (listed.exit_code, len(json.loads(listed.stdout)["broken"])) == (1, 2)


def test_a_name_that_is_taken_is_refused_and_whose_it_is_told(tmp_path: Path) -> None:
    own = file(tmp_path, RULE.replace('"mine"', '"majority"'))
    told = fellowship("plugins", "--plugin", own)
    assert told.exit_code == 2
    assert f"{own}:3: " in told.stderr
    assert "'majority' already: one of the package's own" in told.stderr
    first, second = file(tmp_path, RULE, "first.py"), file(tmp_path, RULE, "second.py")
    told = fellowship("plugins", "--plugin", first, "--plugin", second)
    assert (told.exit_code, "'mine' already: first.py" in told.stderr) == (2, True)
    (tmp_path / "other").mkdir()
    told = fellowship("plugins", "--plugin", first, "--plugin", file(tmp_path / "other", "", "first.py"))
    assert (told.exit_code, "two plugins are named first.py" in told.stderr) == (2, True)


HEAD = "from fellowship import plugins\nfrom fellowship.agents import Agent, Generator, Juror\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("def x(:\n", 1, "SyntaxError: invalid syntax"),
        ("a = 1\n\nb = a / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("def f():\n    raise ValueError('no')\n\nf()\n", 2, "ValueError: no"),
        ("import sys\nsys.exit(4)\n", 2, "SystemExit: 4"),
        (f"{HEAD}@plugins.role('Poet')\nclass Poet(Generator): pass\n", 3, "role 'Poet': a name has small letters"),
        (f"{HEAD}@plugins.role('poet')\nclass Poet: pass\n", 3, "goes before a subclass of fellowship.agents.Agent"),
        (f"{HEAD}@plugins.role('poet')\nclass Poet(Agent): pass\n", 3, "this one gives none"),
        (f"{HEAD}@plugins.role('judge')\nclass Poet(Juror): pass\n", 3, "a role named 'judge' already"),
        (f"{HEAD}@plugins.rule('x')\nasync def x(votes): pass\n", 3, "it is a pure function"),
        (f"{HEAD}@plugins.rule('x')\ndef x(): pass\n", 3, "rule 'x': its function takes the votes"),
        (f"{HEAD}@plugins.rule('x', version=0)\ndef x(votes): pass\n", 3, "counted from 1"),
        (f"{HEAD}@plugins.rule('x')\nclass X: pass\n", 3, "it goes before a function"),
        (f"{HEAD}@plugins.pick('x')\ndef x(drafts, scores): return drafts[0]\n", 3, "is a generator"),
        (f"{HEAD}@plugins.predicate('x', feeds='balot')\ndef x(said): pass\n", 3, "did you mean 'ballot'?"),
        (f"{HEAD}@plugins.predicate('score', feeds='ballot')\ndef x(said): pass\n", 3, "named 'score' already"),
        (f"{HEAD}@plugins.predicate('decided', feeds='ballot')\ndef x(said): pass\n", 3, "a word of the language"),
        (f"{HEAD}@plugins.quantity('x', feeds='ballot', range=(2, 1))\ndef x(said): pass\n", 3, "ends before it begins"),
        (f"{HEAD}@plugins.measure('x', of='votes')\ndef x(ratings): pass\n", 3, "`of` is ratings or run, not 'votes'"),
        (f"{HEAD}@plugins.exporter('dpo')\ndef x(pairs): pass\n", 3, "a format of that name already"),
        (f"{HEAD}@plugins.transport('x')\nclass X:\n    def send(self): pass\n", 3, "async def send"),
        (f"{HEAD}@plugins.transport('x', provider='openai')\nclass X:\n    async def send(self, endpoint, call, tier, hear=None): pass\n", 3, "a provider named 'openai' already"),
        (f"{HEAD}from fellowship.protocols.messages import Fact\n@plugins.fact\nclass X(Fact): pass\n", 4, 'kind: Literal["some_word"]'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    mine = file(tmp_path, text)
    told = fellowship("plugins", "--plugin", mine)
    assert told.exit_code == 2
    assert told.stderr.startswith(f"fellowship: {mine}:{line}:")
    assert words in told.stderr
    assert "Traceback" not in told.output


@pytest.mark.parametrize(
    ("name", "words"), [("none.py", "there is no such file"), ("mine.txt", "a plugin is a Python file")]
)
def test_what_is_no_plugin_is_told(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "mine.txt").write_text("")
    told = fellowship("check", "judge", "--plugin", tmp_path / name)
    assert (told.exit_code, words in told.stderr) == (2, True)


def test_a_script_brings_its_own_by_the_same_decorators(tmp_path: Path) -> None:
    spec, source = load(str(jury(tmp_path, role="stern")))
    with pytest.raises(DeclarationError, match="unknown role 'stern'"):
        plan(spec, source=source)
    with plugins.loaded():

        @plugins.role("stern")
        class Stern(Juror):
            """A strict juror."""

        assert plan(spec, source=source).roles["one"] is Stern
        assert [(each.name, each.packaged) for each in plugins.plugins()] == [("test_plugins.py", False)]
        with pytest.raises(DeclarationError, match=r"test_plugins.py:\d+: there is a role named 'stern' already"):
            plugins.role("stern")(Juror)
    assert "stern" not in ROLES


def test_a_registry_says_whose_a_name_is_and_takes_it_back() -> None:
    RULES.add("mine", RULES["majority"], "somebody")
    with pytest.raises(NameTaken, match="'mine' already: somebody"):
        RULES.add("mine", RULES["majority"], "another")
    assert (RULES.owner("mine"), RULES.owner("majority")) == ("somebody", None)
    assert "mine" in RULES.extended(more=RULES["majority"])
    RULES.take_back("mine")
    with pytest.raises(KeyError):
        RULES.take_back("majority")
