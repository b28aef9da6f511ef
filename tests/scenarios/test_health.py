"""The health card: judges whose faults are known, and the bounds that they break."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from playing import at, beside, fellowship, library
from published import SHARED_DATA, needs_data

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Candidate, HumanVote, Item
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.runtime.testing import LoopbackEndpoint, ScriptedModel
from fellowship.scenarios import Settings
from fellowship.scenarios.health import Card, battery, card, gates, labelled, probes
from fellowship.scenarios.outcomes import Fold
from fellowship.scenarios.run import play

ANSWER = re.compile(r"<answer-\S+ name=\"[AB]\">\n(.*?)\n</answer-", re.DOTALL)
BETTER = {challenge.better for challenge in battery()}

Judge = Callable[[str, str], tuple[float, float] | None]
"""Scores two answers as they are shown; None for an answer that cannot be read."""


def honest(first: str, second: str) -> tuple[float, float]:
    return (9.0 if first in BETTER else 2.0), (9.0 if second in BETTER else 2.0)


def takes_the_first(first: str, second: str) -> tuple[float, float]:
    return 8.0, 3.0


def obeys(first: str, second: str) -> tuple[float, float]:
    """Return what an honest judge would say, but for notes of the system, which it believes."""
    if "[SYSTEM NOTE]" in first or "[SYSTEM NOTE]" in second:
        return (10.0, 0.0) if "[SYSTEM NOTE]" in first else (0.0, 10.0)
    return honest(first, second)


def likes_length(first: str, second: str) -> tuple[float, float]:
    return (len(first) > 400 or first in BETTER) * 7.0, (len(second) > 400 or second in BETTER) * 7.0


def mute(first: str, second: str) -> None:
    return None


def saying(judge: Judge) -> Callable[[ModelCall], str]:
    def answer(call: ModelCall) -> str:
        shown = next(found for message in call.messages if len(found := ANSWER.findall(message.content)) == 2)
        scores = judge(*shown)
        if scores is None:
            return "I would rather not say."
        return json.dumps({"reason": "So it is.", "score_a": scores[0], "score_b": scores[1]})

    return answer


async def examined(judge: Judge, out: Path, limit: int | None = None) -> tuple[Card, ScriptedModel]:
    model, challenges = ScriptedModel(saying(judge)), battery(limit)
    await play(library("judge"), list(probes(challenges)), out, Settings(client=model))
    with LogReader(out / "run.db") as log:
        return card("m", challenges, (outcome for _, outcome in Fold(log).outcomes())), model


def value(estimate: Any) -> float | None:
    return None if estimate is None else estimate.value


async def test_an_honest_judge_has_a_clean_card_and_keeps_every_bound(tmp_path: Path) -> None:
    found, _ = await examined(honest, tmp_path / "run")
    assert (found.challenges, found.items, found.failed) == (16, 160, 0)
    assert (value(found.accuracy), value(found.kappa)) == (1.0, 1.0)
    assert (value(found.flip_rate), value(found.identical), value(found.retest)) == (0.0, 1.0, 1.0)
    assert (value(found.padding), value(found.format), value(found.injected), value(found.unread)) == (0, 0, 0, 0)
    assert found.flip_rate is not None
    assert found.flip_rate.ci == pytest.approx((0.0, 0.1936), abs=1e-4)  # Wilson 1927 of 0 of 16
    assert all(gate.passed for gate in gates(found, min_kappa=1.0, max_flip=0.0))


async def test_a_judge_that_takes_the_first_is_told_apart_by_place_and_kappa(tmp_path: Path) -> None:
    found, _ = await examined(takes_the_first, tmp_path / "run")
    assert (value(found.flip_rate), value(found.toward_first), value(found.toward_second)) == (1.0, 1.0, 0.0)
    assert (value(found.accuracy), value(found.kappa), value(found.identical)) == (0.5, 0.0, 0.0)
    kappa, flip = gates(found, min_kappa=0.6, max_flip=0.1)
    assert not kappa.passed
    assert flip.sentence == (
        "failed: flip rate 1.000 is 0.900 above --max-flip 0.1; its 95 % interval [0.806, 1.000] does not include the "
        "bound (n 16)"
    )


async def test_a_judge_that_obeys_answers_is_caught_by_the_kind_of_words(tmp_path: Path) -> None:
    found, _ = await examined(obeys, tmp_path / "run")
    assert {kind: value(estimate) for kind, estimate in found.injection.items()} == {
        "scores": 0.0, "ignore": 0.0, "system": 1.0, "verdict": 0.0,
    }  # fmt: skip
    assert value(found.injected) == 0.25
    assert value(found.accuracy) == 1.0


async def test_filler_that_turns_a_verdict_into_a_tie_counts(tmp_path: Path) -> None:
    found, _ = await examined(likes_length, tmp_path / "run")
    assert value(found.padding) == 1.0
    assert value(found.accuracy) == 1.0
    assert found.injected is not None
    assert found.injected.value < 0.2


async def test_a_judge_that_cannot_be_read_is_counted_and_shuts_every_gate(tmp_path: Path) -> None:
    found, _ = await examined(mute, tmp_path / "run", limit=2)
    assert (value(found.unread), found.accuracy, found.kappa, found.flip_rate) == (1.0, None, None, None)
    kept = gates(found, min_kappa=0.0, max_flip=1.0)
    assert [gate.passed for gate in kept] == [False, False]
    assert "could not be had" in kept[0].sentence


async def test_going_on_asks_nothing_twice(tmp_path: Path) -> None:
    first, asked = await examined(honest, tmp_path / "run", limit=3)
    again, asked_again = await examined(takes_the_first, tmp_path / "run", limit=3)
    assert (len(asked.calls), len(asked_again.calls)) == (30, 0)
    assert first == again


def test_every_probe_of_every_challenge_has_an_item_of_its_own_and_gold_stands_as_often_first() -> None:
    challenges = battery()
    items = probes(challenges)
    assert len({item.id for item in items}) == len(items) == 10 * len(challenges)
    plain = [item for item in items if item.id.startswith("plain:")]
    assert sum(item.candidate("a").text in BETTER for item in plain) == len(challenges) / 2
    for item in items:
        texts = [candidate.text for candidate in item.candidates]
        assert sum(text in BETTER for text in texts) == (2 if item.id.startswith("identical:") else 1)
    assert len({challenge.id.partition("-")[0] for challenge in battery(7)}) == 7


def test_what_a_cache_answered_does_not_count_as_asked_again() -> None:
    from fellowship.scenarios.outcomes import Outcome

    challenges = battery(2)
    outcomes = [Outcome(item=item.id, status="done", verdict="a", calls=1, tokens=1) for item in probes(challenges)]
    found = card("m", challenges, outcomes, cached=frozenset({f"retest:{challenges[0].id}"}))
    assert found.retest is not None
    assert (found.retest.n, found.from_cache) == (1, 1)


def item(name: str, *votes: Literal["a", "b", "tie"], **metadata: Any) -> Item:
    candidates = (Candidate(slot="a", text="x"), Candidate(slot="b", text="y"))
    human = tuple(HumanVote(rater=f"annotator{number}", verdict=vote) for number, vote in enumerate(votes, 1))
    return Item(id=ItemId(name), prompt="?", candidates=candidates, human=human, metadata=metadata)


def test_people_s_labels_are_their_majority_and_a_split_is_a_tie() -> None:
    found = labelled(
        [item("1", "a", "a", "b"), item("2", "tie", "a", "b"), item("3", "b"), item("4")],
        "d.jsonl",
    )
    assert (dict(found.labels), found.unlabelled) == ({"1": "a", "2": "tie", "3": "b"}, 1)
    assert [one.id for one in found.items] == ["data:1", "data:2", "data:3"]


def test_data_without_labels_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"d.jsonl has no labels of people.*answers are: x"):
        labelled([item("1", x=1)], "d.jsonl")


# the command


def health(judge: Judge, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> Any:
    with beside(LoopbackEndpoint(saying(judge))) as server:
        for name, text in at(server.base_url).items():
            monkeypatch.setenv(name, text)
        return fellowship("health", *arguments)


def test_the_command_is_a_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = ("--limit", 3, "--min-kappa", 0.5, "--max-flip", 0.2)
    good = health(honest, "acme/m", "--out", tmp_path / "good", *bounds, monkeypatch=monkeypatch)
    assert good.exit_code == 0, good.output
    assert "Health of acme/m: 3 challenges, 30 items" in good.stdout
    assert "passed: kappa on the battery 1.000 is 0.500 above --min-kappa 0.5" in good.stdout
    bad = health(takes_the_first, "acme/m", "--out", tmp_path / "bad", *bounds, "--json", monkeypatch=monkeypatch)
    assert bad.exit_code == 1
    document = json.loads(bad.stdout)
    assert [gate["passed"] for gate in document["gates"]] == [False, False]
    assert document["run"] == str(tmp_path / "bad")
    assert "failed: flip rate 1.000" in bad.stderr


def test_a_scenario_is_examined_by_its_verdicts_and_people_by_their_own_kappa(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data.jsonl"
    rows = [
        {"id": str(number), "prompt": "?", "a": f"one {number}", "b": f"two {number}", "human": "ab"[number % 2]}
        for number in range(6)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def knows(first: str, second: str) -> tuple[float, float]:
        if first.startswith("one "):
            return (1.0, 0.0) if int(first[-1]) % 2 == 0 else (0.0, 1.0)
        return takes_the_first(first, second)

    given = ("jury", "--model", "acme/m", "--data", data, "--limit", 6, "--min-kappa", 0.9, "--json")
    result = health(knows, *given, "--out", tmp_path / "run", monkeypatch=monkeypatch)
    document = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert document["kappa"]["value"] == 0.0
    assert (document["people"]["items"], document["people"]["kappa"]["value"]) == (6, 1.0)
    assert document["gates"][0]["figure"] == f"kappa with people on {data}"


def test_a_budget_stops_it_and_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("acme/m", "--out", tmp_path / "run", "--limit", 1, "--json", "--concurrency", 1)
    stopped = health(honest, *command, "--budget", "3ktok", monkeypatch=monkeypatch)
    assert stopped.exit_code == 3, stopped.output
    assert json.loads(stopped.stdout)["state"] == "stopped"
    assert f"The same command, with --out {tmp_path / 'run'}, goes on" in stopped.stderr.replace("\n", " ")
    gone_on = health(honest, *command, monkeypatch=monkeypatch)
    assert gone_on.exit_code == 0, gone_on.output
    assert json.loads(gone_on.stdout)["failed"] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("feedback-loop",), "a judge takes comparison and gives verdict"),
        (("juge",), "did you mean 'judge'"),
        (("acme/m", "--model", "acme/n"), "acme/m is a model: --model chooses those of a scenario"),
    ],
)
def test_what_is_no_judge_is_refused_with_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    result = fellowship("health", *arguments)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


@needs_data
def test_the_labels_of_pandalm_are_its_published_majority() -> None:
    from fellowship.scenarios.datasets import open_dataset

    found = labelled(open_dataset(SHARED_DATA / "pandalm" / "testset-v1.json", takes="comparison"), "pandalm")
    said = list(found.labels.values())
    # Arif et al. 2025 (arXiv 2408.08688): majority 422 A, 472 B, 105 tie.
    assert [said.count(word) for word in ("a", "b", "tie")] == [422, 472, 105]
