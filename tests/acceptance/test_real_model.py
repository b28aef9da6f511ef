"""The four scenarios played all the way through on real input and the real small model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def fellowship(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "fellowship", *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


def shortest(data: Path, count: int, to: Path) -> Path:
    """Write the shortest rows of a data set: a small model on a processor reads a long one for a minute."""
    text = data.read_text()
    rows = json.loads(text) if data.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    kept = sorted(rows, key=lambda row: len(json.dumps(row)))[:count]
    to.write_text(json.dumps(kept) if data.suffix == ".json" else "".join(f"{json.dumps(row)}\n" for row in kept))
    return to


@pytest.mark.parametrize(
    ("scenario", "data", "limit", "alias"),
    [
        ("judge", "pandalm/testset-v1.json", 3, "judge"),
        ("jury", "pandalm/testset-v1.json", 1, "judge"),
        ("debate", "pandalm/testset-v1.json", 1, "judge"),
        ("feedback-loop", "mtbench/question.jsonl", 1, "writer"),
    ],
)
def test_a_scenario_gives_an_outcome_or_a_recorded_failure_for_every_item(
    scenario: str, data: str, limit: int, alias: str, shared_data: Path, tmp_path: Path
) -> None:
    out, brief = tmp_path / "run", "{model: local/smollm2-135m, max_tokens: 80}"
    short = shortest(shared_data / data, limit, tmp_path / Path(data).name)
    done = fellowship("run", scenario, "--data", short, "--set", f"models.{alias}={brief}", "--out", out)
    assert done.returncode in (0, 1), done.stderr
    outcomes = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert len(outcomes) == limit
    for outcome in outcomes:
        if outcome["status"] == "failed":
            assert outcome["error"]
        elif scenario == "feedback-loop":
            assert outcome["text"].strip()
        else:
            assert outcome["verdict"] in ("a", "b", "tie", "unread")
        traced = fellowship("trace", out, outcome["item"])
        assert traced.returncode == 0
        assert "tokens" in traced.stdout


@pytest.mark.parametrize("example", ["new_debate.py", "own_agent.py"])
def test_the_examples_run(example: str) -> None:
    command = [sys.executable, str(ROOT / "examples" / example)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 done, 1 asked" in done.stdout or '"done": 1' in done.stdout


def test_the_readmes_scenario_is_right(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = [block.removeprefix("yaml\n") for block in readme.split("```") if block.startswith("yaml\n")]
    assert blocks
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block)
        checked = fellowship("check", path)
        assert checked.returncode == 0, checked.stderr
