"""From a run to its data sets and back: all that the card says is as counted by hand, and its commands reproduce it."""

import json
import re
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playing import beside, content, fellowship, written
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.proportion import proportion_confint

from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.opinions import Opinions

JUDGE = "acme/gemma-9b"
MODELS = ("writer=acme/llama-8b", "single=acme/gemma-27b", "reviewer=acme/gemma-2b", f"judge={JUDGE}")
FORMATS = ("dpo", "kto", "reward", "sft")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[LoopbackEndpoint]:
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as found:
        yield found


@pytest.fixture(scope="module")
def run(endpoint: LoopbackEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    written(folder / "prompts.jsonl", 12)
    models = [word for model in MODELS for word in ("--model", model)]
    ran = fellowship(
        "run", "preference-pairs", "--data", folder / "prompts.jsonl", "--out", folder / "r", *models,
        "--set", "own_family=true", "--set", "margin=0", "--base-url", endpoint.base_url, "--no-export", "--seed", 3,
    )  # fmt: skip
    assert ran.exit_code == 0, ran.stderr
    return folder / "r"


VOTES = [
    ("a", "a"),
    ("b", "b"),
    ("tie", "a"),
    ("a", "b"),
    ("b", "b"),
    ("a", "a"),
    ("tie", "tie"),
    ("b", "a"),
    ("a", "a"),
]
"""What people said, and the judge's model."""


@pytest.fixture(scope="module")
def benchmark(run: Path) -> Path:
    rows = [
        {"item": f"q{number}", "rater": rater, "kind": kind, "verdict": verdict, **more}
        for number, (people, judge) in enumerate(VOTES)
        for rater, kind, verdict, more in (
            ("ann", "human", people, {}), ("g", "model", judge, {"model": "together/Gemma-9b"}),
        )
    ]  # fmt: skip
    path = run.parent / "votes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def export(run: Path, benchmark: Path) -> Path:
    to = run.parent / "d"
    formats = [word for target in FORMATS for word in ("--format", target)]
    told = fellowship(
        "export", run, *formats, "--to", to, "--benchmark", f"people={benchmark}", "--license", "cc-by-4.0",
        "--split", "test=0.3", "--near-duplicates", "off",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    assert "How well the judges judge" in told.stdout
    return to


def card(export: Path) -> str:
    return (export / "README.md").read_text()


def cells(text: str, first: str, columns: int) -> list[str]:
    """Return the cells of the one row of a table of so many columns that begins with a word."""
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    (found,) = [row for row in rows if row[0] == first and len(row) == columns]
    return found


def test_the_card_says_how_far_the_judge_agrees_with_people(export: Path) -> None:
    people, judge = zip(*VOTES, strict=True)
    kappa = cohen_kappa_score(people, judge)
    row = cells(card(export), "`judge`", 10)
    assert row[1:5] == ["`together/Gemma-9b`", "`people`", "`g`", f"{kappa:.3f}"]
    assert (row[6], row[8:]) == (f"{6 / 9:.1%}".replace("%", " %"), ["9", "0"])
    low, high = json.loads((export / "export.json").read_bytes())["about"]["measured"][0]["kappa_ci"]
    assert low < kappa < high
    assert row[5] == f"[{low:.3f}, {high:.3f}]"


def test_the_card_has_the_flip_rate_as_counted_by_hand(run: Path, export: Path) -> None:
    with sqlite3.connect(run / "run.db") as connection:
        rows = connection.execute("SELECT body FROM events WHERE kind = 'drafts_compared'").fetchall()
    connection.close()
    votes = [[ballot["verdict"] for ballot in json.loads(body)["ballots"]] for (body,) in rows]
    flips = sum(one != other for one, other in votes)
    assert 0 < flips < len(votes)
    row = cells(card(export), "`judge`", 8)
    assert row[1:5] == [f"`{JUDGE}`", str(len(votes)), "0", f"{flips / len(votes):.1%}".replace("%", " %")]
    assert row[6:] == [str(len(votes)), "0"]
    wilson = proportion_confint(flips, len(votes), method="wilson")
    low, high = (float(number) / 100 for number in re.findall(r"[\d.]+", row[5]))
    assert low == pytest.approx(wilson[0], abs=0.1)
    assert high == pytest.approx(wilson[1], abs=0.1)


def test_the_card_says_that_the_judge_judged_its_own_family(export: Path) -> None:
    kin = "texts of its own family (`acme/gemma-27b`)"
    assert f"**`judge` (`{JUDGE}`) judged {kin}.** A judge may favour its kin." in card(export)
    assert "No licence was given" not in card(export)


def test_what_the_card_names_is_there_and_is_as_many_rows_as_it_says(export: Path) -> None:
    front = yaml.safe_load(card(export).split("---\n")[1])
    assert front["license"] == "cc-by-4.0"
    assert {config["config_name"] for config in front["configs"]} == {
        *(f"generation-{target}" for target in FORMATS), *(f"workflow-{target}" for target in FORMATS[:3]),
    }  # fmt: skip
    told: dict[str, Any] = json.loads((export / "export.json").read_bytes())
    for written_config in told["written"]:
        for split, path in written_config["files"].items():
            assert len((export / path).read_text().splitlines()) == written_config["rows"][split]


def test_the_commands_on_the_card_make_the_same_files_again(
    run: Path,
    export: Path,
    benchmark: Path,
    endpoint: LoopbackEndpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (block,) = re.findall(r"```sh\n(fellowship run .*?)\n```", card(export), re.DOTALL)
    play, write = (shlex.split(line)[1:] for line in block.splitlines())
    assert play[1] == "preference-pairs"
    monkeypatch.chdir(run.parent)  # where prompts and votes lie: the card names them without their folder
    folders = {"RUN": str(tmp_path / "again"), "DIR": str(tmp_path / "d")}
    again = fellowship(*(folders.get(word, word) for word in play), "--base-url", endpoint.base_url, "--no-export")
    assert again.exit_code == 0, again.stderr
    made = fellowship(*(folders.get(word, word) for word in write))
    assert made.exit_code == 0, made.stderr
    found, before = content(tmp_path / "d"), content(export)
    assert found.keys() == before.keys()
    for name in found.keys() - {"README.md"}:
        assert found[name] == before[name], name
    assert _undated(found["README.md"]) == _undated(before["README.md"])


def _undated(readme: bytes) -> str:
    """Leave out the day of the calls, which midnight may change."""
    return re.sub(r"\| called \|.*", "", readme.decode())


# answers that came with the data


@pytest.fixture(scope="module")
def judged(endpoint: LoopbackEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    rows = [
        {"id": f"i{number}", "prompt": f"Question {number}?", "a": f"Answer a{number}", "b": f"Answer b{number}",
         "model_a": "gemma-27b" if number < 4 else "llama-8b", "model_b": "qwen-7b"}
        for number in range(10)
    ]  # fmt: skip
    (folder / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = fellowship(
        "run", "judge", "--data", folder / "d.jsonl", "--out", folder / "r", "--model", JUDGE,
        "--base-url", endpoint.base_url,
    )  # fmt: skip
    assert ran.exit_code == 0, ran.stderr
    return folder / "r"


def _own(document: dict[str, Any]) -> int:
    return next(step["lost"] for step in document["funnels"][0]["steps"] if step["step"] == "own family")


def test_pairs_that_a_judge_of_the_writers_family_decided_are_kept_where_that_is_asked_for(
    judged: Path, tmp_path: Path
) -> None:
    without = fellowship("export", judged, "--format", "dpo", "--to", tmp_path / "d", "--json")
    kept = fellowship("export", judged, "--format", "dpo", "--to", tmp_path / "e", "--own-family", "--json")
    assert (_own(json.loads(without.stdout)), _own(json.loads(kept.stdout))) == (4, 0)
    assert "--own-family" in card(tmp_path / "e")
    assert "--own-family" not in card(tmp_path / "d")
    refused = fellowship("export", judged, "--format", "kto", "--to", tmp_path / "d", "--own-family")
    assert refused.exit_code == 2
    assert "chosen without --own-family, not with --own-family" in " ".join(refused.stderr.split())


def test_own_family_is_refused_where_the_scenario_says_it(run: Path, tmp_path: Path) -> None:
    refused = fellowship("export", run, "--format", "dpo", "--to", tmp_path / "d", "--own-family")
    assert refused.exit_code == 2
    assert "the scenario's `pair` says own_family" in " ".join(refused.stderr.split())


def test_a_benchmark_stays_on_the_card_when_a_format_is_added_and_a_judge_it_does_not_know_is_told(
    judged: Path, benchmark: Path, tmp_path: Path
) -> None:
    to = tmp_path / "d"
    strangers = tmp_path / "strangers.jsonl"
    strangers.write_text(benchmark.read_text().replace("Gemma-9b", "other-1b"))
    first = fellowship("export", judged, "--format", "dpo", "--to", to, "--benchmark", benchmark)
    assert first.exit_code == 0, first.stderr
    second = fellowship("export", judged, "--format", "kto", "--to", to, "--benchmark", strangers)
    assert second.exit_code == 0, second.stderr
    text = card(to)
    assert cells(text, "`judge`", 10)[2] == "`votes`"
    assert "`judge` was not measured: nobody in `strangers` has its model." in text
    assert "--benchmark votes=votes.jsonl --benchmark strangers=strangers.jsonl" in text
    assert "nobody has its model" in second.stdout
