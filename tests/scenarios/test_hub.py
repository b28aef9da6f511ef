"""Data sets that are named rather than given as a file: loaded by the package `datasets`, from small local files."""

import json
from pathlib import Path
from typing import Any

import pytest
from playing import MODEL, beside, fellowship

from fellowship.protocols.errors import DeclarationError
from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import hub, open_dataset
from fellowship.scenarios.ratings.source import open_ratings


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setenv("FELLOWSHIP_CACHE", str(tmp_path / "cache"))


def talk(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]


MT_BENCH = [
    {
        "question_id": 81 + number,
        "model_a": "alpaca-13b",
        "model_b": "vicuna-13b",
        "conversation_a": talk("q1", "a1", "q2", "a2"),
        "conversation_b": talk("q1", "b1", "q2", "b2"),
        "turn": 1 + number % 2,
        "winner": ("model_a", "model_b", "tie")[number % 3],
    }
    for number in range(6)
]
PANDALM = [
    {"conversation_a": talk("q", "a"), "conversation_b": talk("q", "b"), "annotator_1": 1, "annotator_2": 2, "annotator_3": 0}
]  # fmt: skip


def folder(tmp_path: Path, **splits: list[dict[str, Any]]) -> Path:
    place = tmp_path / "some-data"
    place.mkdir()
    for name, rows in splits.items():
        (place / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place


def test_rows_of_a_hub_become_items_with_both_turns_and_what_people_said(tmp_path: Path) -> None:
    path = hub.fetch(f"hub:{folder(tmp_path, train=MT_BENCH)}")
    items = list(open_dataset(path, takes="comparison"))
    assert [item.id for item in items][:2] == ["81-t1-alpaca-13b-vicuna-13b", "82-t2-alpaca-13b-vicuna-13b"]
    assert items[0].prompt == "q1"
    assert items[1].candidate("b").text == "[Turn 1]\nb1\n\n[Turn 2, the one to judge]\nb2"
    assert [item.human[0].verdict for item in items] == ["a", "b", "tie"] * 2


def test_three_annotators_come_along(tmp_path: Path) -> None:
    (item,) = open_dataset(hub.fetch(f"hub:{folder(tmp_path, train=PANDALM)}"), takes="comparison")
    assert [(vote.rater, vote.verdict) for vote in item.human] == [
        ("annotator_1", "a"), ("annotator_2", "b"), ("annotator_3", "tie")
    ]  # fmt: skip


def test_what_was_fetched_is_kept_until_it_changes(tmp_path: Path) -> None:
    place = folder(tmp_path, train=MT_BENCH)
    first = hub.fetch(f"hub:{place}")
    written = first.stat().st_mtime_ns
    assert hub.fetch(f"hub:{place}") == first
    assert first.stat().st_mtime_ns == written
    (place / "train.jsonl").write_text(json.dumps(MT_BENCH[0]) + "\n")
    assert hub.fetch(f"hub:{place}") != first


def test_one_of_several_splits_is_named(tmp_path: Path) -> None:
    place = folder(tmp_path, train=MT_BENCH, test=MT_BENCH[:2])
    assert len(open_dataset(hub.fetch(f"hub:{place}:test"), takes="comparison")) == 2
    with pytest.raises(DeclarationError, match="has several splits: write .*:t.*; there is"):
        hub.fetch(f"hub:{place}")
    with pytest.raises(DeclarationError, match="has no split 'tets'; did you mean 'test'"):
        hub.fetch(f"hub:{place}:tets")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("hub:", "names no data set"),
        ("hub:mt-bnech", "unknown data set 'mt-bnech'; did you mean 'mt-bench'"),
        ("hub:somebody/some-data", "somebody/some-data cannot be had"),
    ],
)
def test_a_data_set_that_cannot_be_had_is_told_of(data: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def nowhere(name: str) -> None:
        raise FileNotFoundError(f"no such data set: {name}")

    monkeypatch.setattr(datasets, "load_dataset", nowhere)
    with pytest.raises(DeclarationError, match=message):
        hub.fetch(data)


@pytest.mark.parametrize("name", ["alpaca-eval", "fair-eval", "pandalm-eval", "mt-bench"])
def test_the_papers_own_data_has_ready_names(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: list[str] = []

    def here(wanted: str) -> Any:
        asked.append(wanted)
        return datasets.DatasetDict({"train": datasets.Dataset.from_list(MT_BENCH)})

    monkeypatch.setattr(datasets, "load_dataset", here)
    assert len(open_dataset(hub.fetch(f"hub:{name}"), takes="comparison")) == 6
    assert asked == [f"ma-eval/{name}"]


def test_a_run_over_a_hubs_data_knows_what_people_said(tmp_path: Path) -> None:
    place, run = folder(tmp_path, train=MT_BENCH), tmp_path / "run"
    with beside(LoopbackEndpoint(answer=Opinions())) as endpoint:
        options = ("--base-url", endpoint.base_url, "--model", MODEL, "--out", run)
        played = fellowship("run", "judge", "--data", f"hub:{place}", *options)
        assert played.exit_code == 0, played.stderr
        again = fellowship("run", "judge", "--data", f"hub:{place}", *options, "--json")
    assert json.loads(again.stdout)["calls"] == json.loads(fellowship("status", run, "--json").stdout)["calls"]
    ratings = open_ratings(run)
    assert ratings.reference("human").tolist() == [0, 1, 2, 0, 1, 2]
    assert ratings.groups == ("turn-1", "turn-2")


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"input": asked, "output": answer} for asked, answer in zip(texts[::2], texts[1::2], strict=True)]


CAPYBARA = [{"source": "Airoboros", "conversation": turns(f"q{number}", "a", "and then?", "b")} for number in range(3)]
NO_ROBOTS = [
    {
        "prompt": f"q{number}",
        "prompt_id": f"7c{number}",
        "messages": [{"role": "system", "content": "Marv is rude."}, *talk(f"q{number}", "a", "and then?", "b")],
        "category": "Chat",
    }
    for number in range(3)
]


@pytest.mark.parametrize("name", ["argilla-capybara-prompts", "argilla-capybara-prompts-subset"])
@pytest.mark.parametrize("rows", [CAPYBARA, [{"prompt": f"q{number}"} for number in range(3)]])
def test_the_papers_prompts_have_ready_names_and_are_the_first_turns(
    name: str, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, run = ready(monkeypatch, rows), tmp_path / "run"
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as endpoint:
        options = ("--base-url", endpoint.base_url, "--model", MODEL, "--out", run)
        played = fellowship("run", "feedback-loop", "--data", f"hub:{name}", *options)
        assert played.exit_code == 0, played.stderr
    asked = {tuple(message["content"] for message in served.request["messages"][1:2]) for served in endpoint.ledger}
    assert {("q0",), ("q1",), ("q2",)} < asked
    told = "6 messages after it are left out" if "conversation" in rows[0] else ""
    assert (told in played.stderr, "left out" in played.stderr) == (True, bool(told))
    assert data == [f"ma-eval/{name}"]
    assert "and then?" not in json.dumps([served.request for served in endpoint.ledger])


def test_no_robots_is_asked_its_last_turn_after_all_that_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    ready(monkeypatch, NO_ROBOTS)
    path = hub.fetch("hub:no-robots")
    items = list(open_dataset(path, takes="instruction", turns=hub.turns_of("hub:no-robots")))
    assert [item.id for item in items] == ["7c0", "7c1", "7c2"]
    assert [(item.prompt, item.reference, len(item.history)) for item in items] == [("and then?", "b", 3)] * 3


def test_last_turns_can_be_asked_of_a_ready_name_and_its_splits_are_told_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    both = {"train": datasets.Dataset.from_list(NO_ROBOTS), "test": datasets.Dataset.from_list(NO_ROBOTS[:1])}
    monkeypatch.setattr(datasets, "load_dataset", lambda _: datasets.DatasetDict(both))
    message = r"no-robots has several splits: write hub:no-robots:train; there is train \(3 rows\), test \(1 rows\)"
    with pytest.raises(DeclarationError, match=message):
        hub.fetch("hub:no-robots")
    ready(monkeypatch, CAPYBARA)
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as endpoint:
        options = ("--base-url", endpoint.base_url, "--model", MODEL, "--out", tmp_path / "run", "--turns", "last")
        played = fellowship("run", "feedback-loop", "--data", "hub:argilla-capybara-prompts", *options)
        assert played.exit_code == 0, played.stderr
    assert endpoint.ledger[0].request["messages"][-1]["content"] == "and then?"


def ready(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]) -> list[str]:
    """Let every name be a data set of these rows; returns the names that are asked for."""
    import datasets

    names: list[str] = []

    def here(wanted: str) -> Any:
        names.append(wanted)
        return datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)})

    monkeypatch.setattr(datasets, "load_dataset", here)
    return names
