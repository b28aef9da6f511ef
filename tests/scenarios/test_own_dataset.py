"""A run that makes preference pairs writes its data sets as it ends, and nothing that befalls them befalls it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playing import beside, content, fellowship, written

from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.opinions import Opinions

MODELS = tuple(
    word for alias in ("writer", "reviewer", "single", "judge") for word in ("--model", f"{alias}=acme/{alias}")
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[LoopbackEndpoint]:
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as found:
        yield found


@pytest.fixture
def run(endpoint: LoopbackEndpoint, tmp_path: Path) -> Any:
    data = written(tmp_path / "d.jsonl", 5)

    def command(*arguments: object, scenario: str = "preference-pairs", models: tuple[str, ...] = MODELS) -> Any:
        options = ("--data", data, "--out", tmp_path / "r", "--base-url", endpoint.base_url)
        return fellowship("run", scenario, *options, *models, *arguments)

    return command


def test_the_run_ends_with_its_data_sets_and_with_what_was_lost_on_the_way(run: Any, tmp_path: Path) -> None:
    ran = run("--limit", 3)
    assert ran.exit_code == 0, ran.stderr
    own = content(tmp_path / "r" / "dataset")
    assert {"README.md", "export.json"} < own.keys()
    told = json.loads(own["export.json"])
    assert [each["config"] for each in told["written"]] == [
        "generation-dpo", "generation-kto", "workflow-dpo", "workflow-kto",
    ]  # fmt: skip
    assert "From items to generation pairs" in ran.stdout
    assert "From items to workflow pairs" in ran.stdout
    assert f"data sets  {tmp_path / 'r' / 'dataset'}" in ran.stdout
    to = tmp_path / "by-hand"
    fellowship("export", tmp_path / "r", "--format", "dpo", "--format", "kto", "--to", to)
    assert content(to) == own


def test_a_later_start_writes_them_anew(run: Any, tmp_path: Path) -> None:
    assert run("--limit", 2).exit_code == 0
    before = json.loads((tmp_path / "r" / "dataset" / "export.json").read_bytes())
    again = run("--json")
    assert again.exit_code == 0, again.stderr
    document = json.loads(again.stdout)
    found = json.loads((tmp_path / "r" / "dataset" / "export.json").read_bytes())
    assert [funnel["items"] for funnel in (*before["funnels"], *found["funnels"])] == [2, 2, 5, 5]
    assert document.pop("dataset") == {"to": str(tmp_path / "r" / "dataset"), **found}
    assert {"state", "results"} < document.keys()
    before_retry = content(tmp_path / "r" / "dataset")
    assert fellowship("retry", tmp_path / "r").exit_code == 0
    assert content(tmp_path / "r" / "dataset") == before_retry


def test_a_run_that_is_stopped_writes_what_there_is(run: Any, tmp_path: Path) -> None:
    stopped = run("--budget", "3000tok", "--concurrency", 1)
    assert stopped.exit_code == 3, stopped.output
    found = json.loads((tmp_path / "r" / "dataset" / "export.json").read_bytes())
    assert found["funnels"][0]["items_open"] > 0


@pytest.mark.parametrize(
    ("scenario", "models", "more"),
    [("preference-pairs", MODELS, ("--no-export",)), ("judge", ("--model", "acme/m"), ()),
     ("feedback-loop", ("--model", "acme/m"), ())],
)  # fmt: skip
def test_none_are_written_where_none_are_wanted_or_made(
    run: Any, tmp_path: Path, scenario: str, models: tuple[str, ...], more: tuple[str, ...]
) -> None:
    ran = run(*more, scenario=scenario, models=models)
    assert ran.exit_code == 0, ran.stderr
    assert not (tmp_path / "r" / "dataset").exists()
    assert "data sets" not in ran.output


def test_what_goes_wrong_with_them_is_told_and_is_not_the_runs(run: Any, tmp_path: Path) -> None:
    assert run("--limit", 2, "--no-export").exit_code == 0
    (tmp_path / "r" / "dataset").mkdir()
    (tmp_path / "r" / "dataset" / "mine.txt").write_text("not yours")
    ran = run("--limit", 2, "--json")
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["state"] == "done"
    assert "the data sets were not written" in ran.stderr
    assert "holds mine.txt, which no export has written" in ran.stderr
    assert content(tmp_path / "r" / "dataset") == {"mine.txt": b"not yours"}
