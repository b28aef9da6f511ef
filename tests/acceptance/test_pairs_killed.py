"""A run that makes preference pairs, killed and started again: its data sets are those of an undisturbed run, byte for byte."""

import json
import os
from pathlib import Path

import pytest
from playing import content, fellowship, results
from tasting import Tastes

from fellowship.runtime.testing import Fault, LoopbackEndpoint, Mishaps
from fellowship.runtime.testing import trial as starts
from fellowship.runtime.testing.proofs import differing_outcomes
from fellowship.runtime.testing.trial import Moment, Trial

PROMPTS = int(os.environ.get("FELLOWSHIP_TEST_PROMPTS", "50"))
"""In the first case, and a fifth of it in the second; 10,000 take some minutes."""
FORMATS = ("dpo", "kto", "reward", "sft")
MODELS = ("writer=acme/llama-3", "reviewer=acme/gemma-2", "judge=acme/gpt-4o")
CASES = {
    "one reviewer": (PROMPTS, ()),
    "two reviewers who are followed apart": (max(PROMPTS // 5, 10), ("review=both", "follow=best")),
}
REFUSED = 0.002
"""Of the questions: their items fail."""
MISHAPS = (Fault(status=500), Fault(status=429, headers={"retry-after-ms": "20"}), "reset", "truncated", "not-json")
CONCURRENCY = 32
BOUND = 2 * (CONCURRENCY + CONCURRENCY // 4)
"""Answers that can be under way when a run is killed: both reviewers are asked at once."""


def written(path: Path, count: int) -> Path:
    lines = [{"id": f"i{number}", "prompt": f"Explain thing {number * number} to me."} for number in range(count)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def command(data: Path, out: Path, base_url: str, changes: tuple[str, ...]) -> list[str]:
    words = ["run", "preference-pairs", "--data", str(data), "--out", str(out), "--concurrency", str(CONCURRENCY)]
    words += [word for model in MODELS for word in ("--model", model)]
    return [*words, *(word for change in changes for word in ("--set", change)), "--base-url", base_url, "--no-cache"]


def exported(run: Path, to: Path) -> dict[str, bytes]:
    formats = [word for name in FORMATS for word in ("--format", name)]
    done = fellowship("export", run, *formats, "--to", to, "--split", "test=0.1")
    assert done.exit_code in (0, 1), done.stderr
    return content(to)


def paid_for_twice(trial: Trial, undisturbed: Trial) -> list[str]:
    """Return what is wrong with what was asked again: a question may stand twice, where two drafts are the same."""
    expected = undisturbed.answers
    wrong = [f"a kill lost {start.lost} answers" for start in trial.kills if start.lost > BOUND + start.excused]
    again = [key for start in trial.starts for key in start.again if expected[key] == 1]
    more, less = trial.answers - expected, expected - trial.answers
    if again or less or more.total() > sum(start.lost for start in trial.starts):
        wrong.append(f"{len(again)} in the log asked again; {more.total()} too many, {less.total()} too few")
    return wrong


@pytest.mark.parametrize("case", CASES)
async def test_data_sets_of_a_run_that_was_killed_twice_are_those_of_an_undisturbed_one_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr(starts, "PATIENCE_S", 120.0 + PROMPTS / 10)
    count, changes = CASES[case]
    data = written(tmp_path / "prompts.jsonl", count)
    calm = Tastes(refused=REFUSED)
    async with LoopbackEndpoint(calm, faults=calm) as endpoint:
        undisturbed = Trial(tmp_path / "undisturbed", endpoint, calm)
        whole = await undisturbed.start(command(data, undisturbed.out, endpoint.base_url, changes))
    assert whole.code == 1, undisturbed.said
    rough = Tastes(Mishaps(0.02, MISHAPS, seed=5), refused=REFUSED)
    async with LoopbackEndpoint(rough, faults=rough) as endpoint:
        trial = Trial(tmp_path / "run", endpoint, rough)
        words = command(data, trial.out, endpoint.base_url, changes)
        for share in (0.2, 0.4):
            killed = await trial.start(words, Moment(requests=int(whole.requests * share)))
            assert killed.code == "killed", trial.said
        last = await trial.start(words)
    assert last.code == 1, trial.said
    assert paid_for_twice(trial, undisturbed) == []
    assert differing_outcomes(trial.out, undisturbed.out) == []
    assert {line["status"] for line in results(trial.out)} == {"done", "failed"}
    found, expected = exported(trial.out, tmp_path / "data"), exported(undisturbed.out, tmp_path / "expected")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    funnels = json.loads(expected["export.json"])["funnels"]
    lost = {step["step"] for funnel in funnels for step in funnel["steps"] if step["lost"]}
    assert {"identical", "unread", "tie"} <= lost
    assert all(funnel["kept"] > count / 2 for funnel in funnels)
