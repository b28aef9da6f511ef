"""What judges said of drafts, as ratings: which is a and which b, who voted, and the measures that read it."""

import json
import sqlite3
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from playing import fellowship, items
from statsmodels.stats.proportion import proportion_confint
from telling import Speaker, apart, played, speak

from fellowship.protocols.errors import Overloaded
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.scenarios import Plan, Settings, load, plan, play
from fellowship.scenarios.again import retry
from fellowship.scenarios.console import plan_of
from fellowship.scenarios.ratings import Rating, run_ratings
from fellowship.scenarios.ratings.source import open_ratings


def ratings(run: Path) -> list[Rating]:
    with LogReader(run / "run.db") as log:
        return list(run_ratings(log))


def bodies(run: Path, *kinds: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return conversation, sender and body of events, read without the package."""
    with sqlite3.connect(run / "run.db") as connection:
        rows = connection.execute(
            f"SELECT conversation, sender, body FROM events WHERE kind IN ({','.join('?' * len(kinds))})",  # noqa: S608 - marks
            kinds,
        ).fetchall()
    connection.close()
    return ((conversation, sender, json.loads(body)) for conversation, sender, body in rows)


def juried(*judges: str) -> Plan:
    """A loop whose versions are picked from by judges, each of whom has a model of its own."""
    scenario, source = load("feedback-loop")
    document = scenario.document()
    document["flow"][-1] = {"pick": "round-robin", "by": list(judges), "orders": "both"}
    for judge in judges:
        document["agents"][judge] = {"role": "judge", "model": f"acme/{judge}"}
    return plan(
        type(scenario).model_validate(document), source=source, models={"writer": "acme/w", "reviewer": "acme/r"}
    )  # type: ignore[arg-type]


async def test_every_ballot_on_two_drafts_is_a_rating_of_these_two(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert await played(apart("preference-pairs", "review=other"), 4, run) is not None
    found = ratings(run)
    expected = [
        (conversation.rpartition("~")[0], *sorted((body["first"], body["second"])), ballot["order"])
        for conversation, _, body in bodies(run, "drafts_compared")
        for ballot in body["ballots"]
    ]
    assert len(found) == len(expected) > 8
    drafts = (*(f"writer-{version}" for version in range(1, 6)), "single-1")  # two reviewers are followed apart, twice
    assert {rating.item for rating in found} <= {
        f"i{number}/{one}:{other}" for number in range(4) for one, other in combinations(drafts, 2)
    }
    for rating in found:
        assert rating.item.split("/")[1] == f"{rating.model_a}:{rating.model_b}".replace("/", "-")
        assert (rating.rater, rating.model, rating.kind) == ("judge", "acme/judge", "model")
    texts = {(name.rpartition("~")[0], f"{who}/{body['version']}") for name, who, body in bodies(run, "draft_written")}
    assert {(rating.item.split("/")[0], rating.model_a) for rating in found} <= texts
    assert [rating.item.split("/")[0] for rating in found] == sorted(rating.item.split("/")[0] for rating in found)


async def test_a_draft_that_was_asked_about_second_is_a_where_it_came_first(tmp_path: Path) -> None:
    """A knock-out as published shows the third version as a; that a vote was for it is a vote for b."""
    run = tmp_path / "run"
    made = apart("feedback-loop", "pick=knock-out", "agents.judge.role=judge")
    document = json.loads(json.dumps(made.scenario.document()))
    document["flow"][-1]["as_published"] = True
    scenario = type(made.scenario).model_validate(document)
    third_wins = Speaker(
        lambda call: speak(call) if call.answer is None or "score_a" not in call.answer.schema["properties"]
        else json.dumps({name: {"score_a": 9, "score_b": 3}.get(name, "so") for name in call.answer.schema["properties"]})
    )  # fmt: skip
    aliases = {alias: f"acme/{alias}" for alias in scenario.models}
    assert await played(plan(scenario, models=aliases), 1, run, third_wins) is not None
    swapped = [body for _, _, body in bodies(run, "drafts_compared") if body["first"] == "writer/3"]
    assert swapped
    for body in swapped:
        (found,) = [each for each in ratings(run) if each.model_b == "writer/3" and each.model_a == body["second"]]
        (ballot,) = body["ballots"]
        assert found.verdict == {"a": "b", "b": "a"}.get(ballot["verdict"], ballot["verdict"])
        assert (found.score_a, found.score_b) == (ballot["score_b"], ballot["score_a"])
        assert found.order == {"ab": "ba", "ba": "ab"}[ballot["order"]]


async def test_judges_of_the_same_drafts_vote_on_the_same_items_under_names_of_their_own(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert await played(juried("first", "second"), 6, run) is not None
    table = open_ratings(run)
    assert table.raters == ("feedback-loop:first", "feedback-loop:second")
    assert table.rater_models == ("acme/first", "acme/second")
    assert len(table.items) == 6 * 3
    document = json.loads(fellowship("agreement", run, "--json").stdout)
    (both,) = document["pairs"]
    assert both["n"] == 18


async def test_win_rates_say_whether_later_versions_are_better(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert await played(juried("judge"), 12, run) is not None
    met = [
        body["verdict"] for _, _, body in bodies(run, "drafts_compared")
        if {body["first"], body["second"]} == {"writer/1", "writer/3"}
    ]  # fmt: skip
    document = json.loads(fellowship("winrate", run, "--json").stdout)
    (found,) = [
        each for each in document["pairs"] if (each["model"], each["opponent"]) == ("writer/3", "writer/1")
    ]  # fmt: skip
    wins = met.count("b")
    assert (found["wins"], found["ties"], found["losses"], found["n"]) == (
        wins, met.count("tie"), met.count("a"), 12,
    )  # fmt: skip
    assert found["win_rate_ci"] == pytest.approx(proportion_confint(wins, 12, method="wilson"), abs=1e-9)
    lengths = {rating.model_a: rating.length_a for rating in ratings(run) if rating.item == "i0/writer-1:writer-2"}
    (text,) = [event for event in _texts(run) if event[0] == "i0~1" and event[1] == "writer/1"]
    assert lengths == {"writer/1": len(text[2])}
    bias = fellowship("bias", run, "--json")
    assert json.loads(bias.stdout)["raters"]["judge"]["position"] is not None


def _texts(run: Path) -> Iterator[tuple[str, str, str]]:
    with LogReader(run / "run.db") as log:
        for event in log.events(kinds=("draft_written",)):
            body = json.loads(event.body)
            yield event.conversation, f"{event.sender}/{body['version']}", body["text"]


async def test_what_was_tried_again_counts_as_it_came_in_the_end(tmp_path: Path) -> None:
    made = juried("judge")
    assert await played(made, 4, tmp_path / "whole") is not None
    calls = 0

    def failing(call: ModelCall) -> Any:
        nonlocal calls
        calls += 1
        return Overloaded("on fire") if call.settings.model == "acme/judge" and calls % 4 == 1 else speak(call)

    run = tmp_path / "run"
    status = await played(made, 4, run, Speaker(failing))
    assert status is not None
    assert status.failed
    assert len(ratings(run)) < len(ratings(tmp_path / "whole"))
    await retry(run, Settings(client=Speaker()))
    assert ratings(run) == ratings(tmp_path / "whole")


async def test_versions_of_a_sweep_are_told_apart_by_its_variant(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(
        "scenario: both\ntakes: instruction\ngives: draft\nmodels: {one: acme/one, two: acme/two}\nsweep:\n"
        "  - {play: feedback-loop, set: {pick: knock-out}, over: {models.judge: every}}\n"
    )
    await play(plan_of(str(path), None, None), items(2), tmp_path / "run", Settings(client=Speaker()))
    table = open_ratings(tmp_path / "run")
    variants = [rater for rater in table.raters if rater.endswith(("one", "two"))]
    assert len(variants) == 2
    assert table.raters == tuple(variants)
    assert set(table.rater_models) == {"acme/one", "acme/two"}
    assert all(model.endswith(("one/writer/1", "two/writer/1", "/writer/2", "/writer/3")) for model in table.models)
    assert all(item.startswith(tuple(f"{variant}/i" for variant in variants)) for item in table.items)


async def test_a_run_without_votes_and_comparisons_says_so(tmp_path: Path) -> None:
    assert await played(apart("feedback-loop"), 1, tmp_path / "run") is not None
    refused = fellowship("winrate", tmp_path / "run")
    assert refused.exit_code == 2
    assert "gives no verdicts, and no judge has compared drafts in it" in " ".join(refused.stderr.split())


async def test_ratings_of_drafts_are_exported_and_give_the_same_numbers_from_the_file(tmp_path: Path) -> None:
    run, to = tmp_path / "run", tmp_path / "r.parquet"
    assert await played(apart("preference-pairs"), 3, run) is not None
    exported = fellowship("export", run, "--format", "ratings", "--to", to, "--json")
    assert json.loads(exported.stdout)["votes"] == len(ratings(run))
    numbers, again = (json.loads(fellowship("winrate", source, "--json").stdout) for source in (run, to))
    assert {**again, "source": 0} == {**numbers, "source": 0}
