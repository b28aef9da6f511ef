"""The command export as people and scripts meet it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pairs import Made, pair, user
from playing import fellowship, judged

from fellowship.runtime.log import LogReader

PREFERENCES = "fellowship.scenarios.preferences"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged(tmp_path_factory.mktemp("run"), 2)


@pytest.fixture
def candidates(monkeypatch: pytest.MonkeyPatch) -> Made:
    """What the run's fold gives, and nothing is looked for among its prompts but texts that are the same."""
    made = Made(
        [
            *(pair(number, chosen=f"good {number}", margin=number / 2) for number in range(8)),
            pair(8, margin=0.5, dropped="margin"),
            pair(9, dropped="tie"),
            pair(10, "Question 0?"),
            pair(1, "Revise.", data="workflow", of="revision", request=user("Question 1?")),
        ],
        items=12, failed=1, without={"generation": 1, "workflow": 10},
    )  # fmt: skip
    duplicates = ModuleType("duplicates")

    def found_of(log: LogReader, *, variant: str | None, own_family: bool = False) -> Made:
        assert isinstance(log, LogReader)
        made.run = variant or "r1"
        return made

    def evaluation_prompts(data: str) -> list[str]:
        return Path(data).read_text().splitlines()

    def find(prompts: Any, evaluation: Any, *, threshold: float | None) -> Any:
        return Found(list(prompts), evaluation, threshold)

    vars(duplicates).update(find=find, evaluation_prompts=evaluation_prompts)
    monkeypatch.setattr(f"{PREFERENCES}.exporting.candidates", found_of)
    monkeypatch.setitem(sys.modules, f"{PREFERENCES}.duplicates", duplicates)
    return made


class Found:
    def __init__(self, prompts: list[str], evaluation: dict[str, list[str]], threshold: float | None) -> None:
        self.prompts, self.evaluation, self.threshold = prompts, evaluation, threshold

    def duplicate_of(self, place: int) -> int | None:
        first = self.prompts.index(self.prompts[place])
        return first if first < place else None

    def overlap_of(self, place: int) -> str | None:
        return next((name for name, texts in self.evaluation.items() if self.prompts[place] in texts), None)


Export = Callable[..., Any]


@pytest.fixture
def export(run: Path, candidates: Made, tmp_path: Path) -> Export:
    def command(*arguments: object) -> Any:
        return fellowship("export", run, "--to", tmp_path / "d", *arguments)

    return command


def test_the_json_document_is_the_folders_export_json_with_its_place(export: Export, tmp_path: Path) -> None:
    told = export("--format", "dpo", "--format", "kto", "--json")
    assert told.exit_code == 0, told.stderr
    document = json.loads(told.stdout)
    assert document.pop("to") == str(tmp_path / "d")
    assert document == json.loads((tmp_path / "d" / "export.json").read_text())
    assert [(each["config"], each["rows"]) for each in document["written"]] == [
        ("generation-dpo", {"train": 8}),
        ("generation-kto", {"train": 16}),
        ("workflow-dpo", {"train": 1}),
        ("workflow-kto", {"train": 2}),
    ]
    assert document["options"]["near_duplicates"] == 0.8


def test_the_funnel_and_the_files_are_shown_with_what_was_lost_on_the_way(export: Export, tmp_path: Path) -> None:
    shown = export("--format", "dpo", "--data", "generation")
    assert shown.exit_code == 0, shown.stderr
    lines = {" ".join(line.split()) for line in shown.stdout.splitlines()}
    assert {
        "From items to generation pairs", "items - 12", "failed 1 11", "without a candidate 1 10", "candidates - 11",
        "tie 1 10", "margin 1 9", "duplicates likeness of 0.8 or more 1 8", "kept - 8",
        "generation-dpo train generation-dpo/train.jsonl 8 8", f"in {tmp_path / 'd'}",
    } <= lines  # fmt: skip
    assert "quorum 0" not in shown.stdout
    assert "margin in points of 10: 0.0 to 3.5, median 1.8, mean 1.75 [" in shown.stdout.replace("\n", " ")


def test_filters_splits_and_files_are_as_the_options_say(export: Export, tmp_path: Path) -> None:
    told = export(
        "--format", "kto", "--margin", "0.5", "--split", "test=0.4", "--seed", "2", "--files", "parquet", "--json"
    )
    document = json.loads(told.stdout)
    generation = document["funnels"][0]
    lost = {step["step"]: step["lost"] for step in generation["steps"] if step["lost"]}
    assert lost == {"tie": 1, "margin": 1}
    rows = document["written"][0]["rows"]
    assert (sum(rows.values()), sorted(rows)) == (18, ["test", "train"])
    assert (tmp_path / "d" / "generation-kto" / "test.parquet").is_file()
    assert {name: document["options"][name] for name in ("margin", "quorum", "splits", "seed")} == {
        "margin": 0.5, "quorum": None, "splits": {"test": 0.4}, "seed": 2,
    }  # fmt: skip


def test_prompts_of_an_evaluation_set_are_left_out_and_the_set_is_named_without_its_folder(
    export: Export, tmp_path: Path
) -> None:
    (tmp_path / "exam.txt").write_text("Question 3?\nQuestion 4?\n")
    told = export("--format", "dpo", "--not-in", tmp_path / "exam.txt", "--near-duplicates", "off", "--json")
    document = json.loads(told.stdout)
    steps = {step["step"]: (step["lost"], step["why"]) for step in document["funnels"][0]["steps"]}
    assert (steps["overlaps"], steps["duplicates"]) == ((2, "exam.txt: 2"), (1, "only where texts are the same"))
    assert (document["options"]["not_in"], document["options"]["near_duplicates"]) == (["exam.txt"], None)
    assert str(tmp_path) not in (tmp_path / "d" / "export.json").read_text()


def test_a_format_without_a_row_is_told_by_exit_code_1(export: Export, candidates: Made) -> None:
    candidates.pairs = [pair(dropped="tie")]
    told = export("--format", "dpo")
    assert told.exit_code == 1
    assert "generation-dpo: there is no row: it has no file" in told.stdout


def test_a_variant_of_a_sweep_is_the_only_one_that_is_read(export: Export) -> None:
    document = json.loads(export("--format", "dpo", "--variant", "writer=a", "--json").stdout)
    assert (document["run"], document["options"]["variant"]) == ("writer=a", "writer=a")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "dop"), "unknown format 'dop'; did you mean 'dpo'?"),
        (("--format", "ratings", "--format", "dpo"), "--format ratings goes alone"),
        (("--format", "ratings", "--margin", "1", "--seed", "3"), "--margin, --seed mean nothing for ratings"),
        (("--format", "kto", "--implicit"), "--implicit is said of dpo"),
        (("--format", "sft", "--data", "workflow"), "sft is made of generation data"),
        (("--format", "dpo", "--margin", "-1"), "--margin -1.0: input should be greater than or equal to 0"),
        (("--format", "dpo", "--agreement", "1.5"), "--agreement 1.5: input should be less than or equal to 1"),
        (("--format", "dpo", "--margin", "nan"), "--margin nan: input should be a finite number"),
        (("--format", "dpo", "--near-duplicates", "no"), "--near-duplicates no: input should be a valid number"),
        (("--format", "dpo", "--near-duplicates", "0"), "--near-duplicates 0: input should be greater than 0, or off"),
        (("--format", "dpo", "--split", "test"), "--split test: a share is a number above 0 and below 1"),
        (("--format", "dpo", "--split", "te st=0.1"), "write NAME=SHARE, as in test=0.1"),
        (("--format", "dpo", "--split", "train=0.9"), "train is what the others leave"),
        (("--format", "dpo", "--split", "a=0.5", "--split", "b=0.5"), "the shares come to 1, and leave nothing"),
        (("--format", "dpo", "--split", "a=0.5", "--split", "a=0.2"), "--split names 'a' twice"),
        (("--format", "dpo", "--not-in", "x/exam.jsonl", "--not-in", "exam.jsonl"), "--not-in names exam.jsonl twice"),
    ],
)
def test_what_means_nothing_is_refused_in_a_sentence_and_nothing_is_written(
    export: Export, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    refused = export(*arguments)
    assert refused.exit_code == 2
    assert words in " ".join(refused.stderr.split())
    assert not (tmp_path / "d").exists()


def test_a_missing_format_and_a_word_of_the_card_that_no_hub_knows_are_refused(export: Export) -> None:
    for arguments, words in (
        ((), "--format is missing: dpo, kto, reward, sft, ratings"),
        (("--push", "acme/pairs", "--seed", "1"), "--format is missing"),
        (("--format", "dpo", "--public"), "--public is said of --push"),
        (("--push", "acme/pairs"), "holds no export of this run: say what to write, as in --format dpo"),
        (("--format", "ratings", "--push", "acme/pairs"), "--push mean nothing for ratings"),
        (("--format", "dpo", "--license", "CC BY 4.0"), "as the hub names it, as in cc-by-4.0"),
        (("--format", "dpo", "--language", "English"), "write its ISO 639 code, as in en"),
        (("--format", "dpo", "--benchmark", "x/v.jsonl", "--benchmark", "v=y.jsonl"), "--benchmark names v twice"),
        (("--format", "dpo", "--benchmark", "=v.jsonl"), "write NAME=RATINGS"),
        (("--format", "dpo", "--benchmark", "no.jsonl"), "no.jsonl"),
    ):
        refused = export(*arguments)
        assert refused.exit_code == 2, arguments
        assert words in " ".join(refused.stderr.split())


def test_licence_and_language_stand_on_the_card_and_stay_when_a_format_is_added(export: Export, tmp_path: Path) -> None:
    assert export("--format", "dpo", "--license", "cc-by-4.0", "--language", "de").exit_code == 0
    assert export("--format", "kto").exit_code == 0
    card = (tmp_path / "d" / "README.md").read_text()
    assert "license: cc-by-4.0\n" in card
    assert "language:\n- de\n" in card
    assert (
        "fellowship export RUN --format dpo --format kto --near-duplicates 0.8 --license cc-by-4.0 --language de"
        in card
    )
