"""The guide to the scenario language: every example in it is right, and is played."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from playing import fellowship

from fellowship.agents import ROLES
from fellowship.agents.prompt import blocks_of
from fellowship.protocols.aggregation import RULES
from fellowship.protocols.selection import PICKS
from fellowship.protocols.stopping import PREDICATES, QUANTITIES
from fellowship.protocols.topology import GraphName
from fellowship.scenarios import load, plan, rehearse
from fellowship.scenarios.asking import FACTS
from fellowship.scenarios.spec import VERBS

GUIDE = (Path(__file__).parents[2] / "docs/scenarios.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
FILES = dict(re.findall(r"```yaml\n# (\S+\.yaml)\n(.*?)```", GUIDE, re.DOTALL))
WHOLE = {yaml.safe_load(block)["scenario"]: block for block in BLOCKS if block.startswith("scenario:")}
SWEEPS = {name for name, block in WHOLE.items() if "sweep" in yaml.safe_load(block)}
RECIPES = re.findall(r"^\*\*([^*]+)\*\* \((\w+), (\w+)\)[^\n]*\n\n```yaml\n(.*?)```", GUIDE, re.MULTILINE | re.DOTALL)


def section(heading: str) -> str:
    return GUIDE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_words(text: str) -> list[str]:
    """Return the names in the first column of tables."""
    return [name for row in re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)]


def test_every_block_of_yaml_is_a_whole_scenario_a_recipe_or_a_file() -> None:
    assert len(BLOCKS) == len(WHOLE) + len(RECIPES) + len(FILES)
    assert len(RECIPES) >= 15
    for verb in VERBS:
        assert f"\n## {verb}\n" in GUIDE
        assert re.search(rf"(^  +- |{{){verb}: ", section(verb), re.MULTILINE), f"an example of {verb}"


@pytest.mark.parametrize("name", WHOLE)
async def test_every_whole_example_is_right_and_goes_through(name: str, tmp_path: Path) -> None:
    for file, text in FILES.items():
        (tmp_path / file).write_text(text)
    path = tmp_path / f"{name}.yaml"
    path.write_text(WHOLE[name])
    checked = fellowship("check", path)
    assert checked.exit_code == 0, checked.stderr
    assert "warning" not in checked.stderr
    if name not in SWEEPS:
        played = await rehearse(path)
        assert played.status == "done", played.error
        assert played.calls > 0


@pytest.mark.parametrize(("title", "takes", "gives", "piece"), RECIPES, ids=[title for title, *_ in RECIPES])
async def test_every_recipe_goes_through_as_part_of_a_scenario(
    title: str, takes: str, gives: str, piece: str, tmp_path: Path
) -> None:
    models = "" if "models:" in piece else "models: {m: acme/m}\n"
    path = tmp_path / "recipe.yaml"
    path.write_text(f"scenario: recipe\ntakes: {takes}\ngives: {gives}\n{models}{piece}")
    played = await rehearse(path)
    assert played.status == "done", f"{title}: {played.error}"
    assert played.calls > 0
    assert set(yaml.safe_load(piece)) <= {"agents", "groups", "personas", "models", "flow"}


def test_the_tables_name_all_there_is() -> None:
    conditions = first_words(section("Conditions and early stop"))
    assert set(conditions) == {*PREDICATES, *QUANTITIES}
    assert set(first_words(section("decide"))) == set(RULES)
    assert set(first_words(section("pick"))) == {"pick", *PICKS}
    graphs = re.findall(r"`\{graph: ([a-z-]+)", section("Hearing"))
    assert set(graphs) >= set(get_args(GraphName))


def test_the_table_of_roles_says_what_each_gives_and_no_more() -> None:
    table = section("Agents").partition("\n\n")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", table, re.MULTILINE)
    told = {
        name: set(re.findall(r"`([^`]+)`", gives)) for names, gives in rows for name in re.findall(r"`([^`]+)`", names)
    }
    every = next(set(re.findall(r"`([^`]+)`", gives)) for names, gives in rows if names.strip() == "every role")
    assert told.keys() == set(ROLES)
    for name, gives in told.items():
        assert gives | every == {word for word, fact in FACTS.items() if fact in ROLES[name].gives}, name
    wordings = section("Agents").partition("- `prompt` replaces")[2].partition("Jinja")[0]
    every_block = {block for role in ROLES for block in blocks_of(ROLES[role])}
    assert set(re.findall(r"`([^`]+)`", wordings)) == every_block - {"form", "wish", "again"}


async def told(name: str, **answers: Any) -> Any:
    return await rehearse(WHOLE[name], answers=answers)


async def test_what_the_guide_says_of_who_hears_whom_is_so() -> None:
    played = await told("neighbours")
    assert played.sequence[5:10] == [
        ("solver-1", "answer", ("solver-2", "solver-5")),
        ("solver-2", "answer", ("solver-1", "solver-3")),
        ("solver-3", "answer", ("solver-2", "solver-4")),
        ("solver-4", "answer", ("solver-3", "solver-5")),
        ("solver-5", "answer", ("solver-1", "solver-4")),
    ]
    assert {speaker for speaker, word, _ in played.heard("clerk")[5:10]} == {f"Speaker {n}" for n in range(1, 6)}
    last = played.prompts("solver-3")[-1].text
    assert "summary 1 of clerk" in last
    assert "<answer" not in last
    assert "Your own answer so far" in last


async def test_what_the_guide_says_of_turns_is_so() -> None:
    played = await told("turns")
    assert [agent for agent, *_ in played.sequence[:4]] == ["pro-1", "con-1", "pro-2", "con-2"]
    assert sorted(agent for agent, *_ in played.sequence[4:8]) == ["con-1", "con-2", "pro-1", "pro-2"]
    assert all(word == "argument" for _, word, _ in played.sequence[:8])
    assert [agent for agent, *_ in played.sequence[8:]] == ["judge-1"]
    blind = {agent: heard for agent, _, heard in played.sequence[4:8]}
    assert blind["con-2"] == (), "it has heard all those before it, and nobody of this step"


async def test_what_the_guide_says_of_branches_and_votes_is_so() -> None:
    criteria = {"criteria": ["truth", "style", "depth"]}
    played = await told("criteria-apart", planner=criteria, judge={"score_a": 7, "score_b": 2})
    assert played.sequence[1:] == [(f"judge-{n}", "ballot", ()) for n in (1, 2, 3)]
    assert played.decisions[0].votes == 3
    assert "Judge by this alone: style" in played.prompts("judge-2")[0].request
    split = await told(
        "court-of-appeal",
        **{"juror-1": {"score_a": 9, "score_b": 1}, "juror-2": {"score_a": 1, "score_b": 9}},
        chair={"score_a": 4, "score_b": 6},
    )
    assert {agent for agent, *_ in split.sequence} == {"juror-1", "juror-2", "chair", "court-critic", "court-defender"}
    assert (split.verdict, split.decisions[0].votes) == ("b", 1)


async def test_agents_without_a_model_have_the_only_one_declared_whatever_a_used_scenario_brings(
    tmp_path: Path,
) -> None:
    path = tmp_path / "using.yaml"
    path.write_text(
        "scenario: using\ntakes: comparison\nmodels: {m: acme/m}\nagents: {chair: {role: judge}}\n"
        "flow:\n  - {use: court, as: {grader: chair}}\ngives: verdict\n"
    )
    scenario, source = load(str(path))
    assert plan(scenario, source=source).profiles["chair"].settings.model == "acme/m"
    assert (await rehearse(path)).status == "done"


async def test_a_decision_of_ours_counts_the_votes_of_a_used_scenario_too_unless_it_says_whose() -> None:
    head = "scenario: mine\ntakes: comparison\nmodels: {m: acme/m}\nagents: {own: {role: judge}}\n"
    flow = "flow:\n  - {ask: own, for: ballot}\n  - {use: court}\n  - {decide: unique-mode}\ngives: verdict\n"
    every = await rehearse(head + flow)
    assert [decision.votes for decision in every.decisions] == [1, 2]
    alone = await rehearse(head + flow.replace("unique-mode}", "unique-mode, among: own}"))
    assert [decision.votes for decision in alone.decisions] == [1, 1]


async def test_who_begins_to_listen_late_is_told_all_that_was_said_and_a_second_ballot_replaces_the_first() -> None:
    piece = next(piece for title, *_, piece in RECIPES if title.startswith("A blind ballot"))
    text = f"scenario: s\ntakes: comparison\ngives: verdict\nmodels: {{m: acme/m}}\n{piece}"
    votes = [{"score_a": 9, "score_b": 1}, {"score_a": 1, "score_b": 9}]
    played = await rehearse(text, answers={"juror-1": [votes[0], votes[1]], "juror": [votes[1], votes[1]]})
    assert played.sequence == [
        ("juror-1", "ballot", ()),
        ("juror-2", "ballot", ()),
        ("juror-3", "ballot", ()),
        ("juror-1", "ballot", ("juror-2", "juror-3")),
        ("juror-2", "ballot", ("juror-1", "juror-3")),
        ("juror-3", "ballot", ("juror-1", "juror-2")),
    ]
    assert (played.verdict, played.decisions[0].votes, played.scores) == ("b", 3, (1, 9))
