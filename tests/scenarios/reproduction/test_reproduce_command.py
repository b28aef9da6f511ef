"""fellowship reproduce, as people and scripts meet it."""

import json
from pathlib import Path

import pytest
from published import SHARED_DATA, needs_data
from typer.testing import CliRunner, Result

from fellowship.scenarios.cli import app

GOLD = ["model_a", "model_b", "tie", "model_a"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["reproduce", *(str(argument) for argument in arguments)])


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "evaluators" / "mine" / "multi-rater10"
    folder.mkdir(parents=True)
    for model, scores in {"one": [(8, 6), (5, 7), (6, 6), (7, 8)], "other": [(8, 6), (7, 5), (6, 6), (9, 8)]}.items():
        rows = [{"score_1": a, "score_2": b} for a, b in scores]
        (folder / f"{model}_none.json").write_text(json.dumps(rows))
    (tmp_path / "labels_mine.json").write_text(json.dumps({"winner": GOLD}))
    return tmp_path


@needs_data
@pytest.mark.parametrize("mode", ["--as-published", "--corrected"])
def test_recorded_outputs_are_as_published_in_both_modes(mode: str) -> None:
    result = run(SHARED_DATA, mode, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["mode"] == mode.removeprefix("--")
    assert document["differing_as_published"] == []
    assert document["compared"] == 107
    assert document["matching"] == (107 if mode == "--as-published" else 99)
    assert "NaN" not in result.stdout
    fields = {"table", "cell", "ours", "ours_ci", "published", "difference", "n", "source", "matches"}
    for table in document["tables"]:
        for figure in table["figures"]:
            assert fields <= figure.keys()
    assert {"inverted-knock-out", "order-never-swapped", "first-turn-only", "correlated-errors"} <= {
        effect["fault"] for effect in document["faults"]
    }


@needs_data
def test_the_terminal_shows_ours_beside_the_published_and_sums_up_the_juries() -> None:
    result = run(SHARED_DATA, "--as-published")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    judge = next(line for line in lines if line.startswith("FairEval · judge · Gemma-2-9b"))
    assert judge.split()[-4:] == ["80", "yes,", "rounded", "twice"]
    assert "0.2795" in judge
    assert "0.280" in judge
    assert (
        "57 figures, of which the best and the worst are shown (--all shows all); equal to 1e-9: all" in result.stdout
    )
    assert "107 of 107 published figures are the same within their rounding." in result.stdout
    everything = run(SHARED_DATA, "--as-published", "--all").stdout
    assert "57 figures, of which" not in everything
    assert len(everything.splitlines()) >= len(lines) + 57 - 2 - 1


@needs_data
@pytest.mark.parametrize(
    ("part", "tables"),
    [
        ("pandalm", {"PandaLM: kappa of its annotators", "PandaLM: models against the annotators' majority"}),
        ("mtbench", {"MT-Bench: agreement, vote by vote"}),
        ("fellowship/outputs/generators", {"Table 7: win rates of the feedback loop", "Knock-out picks, replayed"}),
    ],
)
def test_any_part_of_the_data_is_recomputed_by_itself(part: str, tables: set[str]) -> None:
    result = run(SHARED_DATA / part, "--json")
    assert result.exit_code == 0
    assert {table["table"] for table in json.loads(result.stdout)["tables"]} == tables


@needs_data
def test_judges_without_their_labels_say_which_file_is_wanted() -> None:
    result = run(SHARED_DATA / "fellowship" / "outputs" / "evaluators" / "fair-eval" / "multi-rater10")
    assert result.exit_code == 2
    assert "labels_fair-eval.json: not there, though answers of 6 models are" in result.stderr


@needs_data
def test_one_fault_alone_can_be_left_as_it_was() -> None:
    document = json.loads(run(SHARED_DATA / "fellowship", "--fault", "inverted-knock-out", "--json").stdout)
    assert (document["mode"], document["allowed"]) == ("chosen", ["inverted-knock-out"])
    assert document["compared"] == document["matching"]
    votes = next(table for table in document["tables"] if table["table"].startswith("Correlated"))["figures"][1]
    assert votes["ours"] < 1.5


def test_a_figure_that_is_not_what_was_published_ends_with_1_and_its_name(outputs: Path) -> None:
    kappas = outputs / "Kappa" / "Mine"
    kappas.mkdir(parents=True)
    (kappas / "llm-as-a-judge.json").write_text(json.dumps([[["one"], 0.5]]))
    result = run(outputs)
    assert result.exit_code == 1
    assert "not as published: Recorded: Kappa/Mine/llm-as-a-judge.json: one: 0.6" in result.stderr
    assert "instead of 0.5" in result.stderr
    assert "NO" in result.stdout
    assert json.loads(run(outputs, "--json").stdout)["differing_as_published"] == [
        "Recorded: Kappa/Mine/llm-as-a-judge.json: one"
    ]


def test_a_file_that_is_left_out_ends_with_1_and_is_told(outputs: Path) -> None:
    (outputs / "outputs" / "evaluators" / "mine" / "multi-rater10" / "third_none.json").write_text("{")
    result = run(outputs, "--json")
    assert result.exit_code == 1
    assert "left out: " in result.stderr
    assert len(json.loads(result.stdout)["problems"]) == 1


def test_a_path_that_is_not_there_is_one_sentence(outputs: Path) -> None:
    result = run(outputs / "outputz")
    assert result.exit_code == 2
    assert result.stderr.strip() == (
        f"fellowship: there is no directory or file {outputs / 'outputz'}; did you mean 'outputs'?"
    )


def test_a_directory_of_other_things_says_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[1]")
    result = run(tmp_path)
    assert result.exit_code == 2
    assert "holds nothing that can be recomputed" in result.stderr
    assert "labels_fair-eval.json" in result.stderr


def test_an_unknown_fault_says_the_nearest(outputs: Path) -> None:
    result = run(outputs, "--fault", "inverted-knockout")
    assert result.exit_code == 2
    assert "did you mean 'inverted-knock-out'?" in result.stderr


def test_all_faults_and_some_faults_are_not_asked_for_together(outputs: Path) -> None:
    result = run(outputs, "--as-published", "--fault", "plain-unique-mode")
    assert result.exit_code == 2
    assert "take one" in result.stderr


def test_a_fault_that_recorded_outputs_cannot_show_is_told(outputs: Path) -> None:
    result = run(outputs, "--fault", "first-turn-only")
    assert result.exit_code == 0, result.exception
    assert "--fault first-turn-only changes nothing: what judges would have said of the second turn" in result.stderr


@needs_data
@pytest.mark.parametrize("mode", ["--as-published", "--corrected"])
def test_the_recorded_picks_say_how_many_prompts_have_another_pick_once_the_knock_out_is_put_right(mode: str) -> None:
    """Counted by hand from the scores of the file: 387 of 500; 102 more second steps are ties."""
    picks = SHARED_DATA / "fellowship" / "outputs" / "generators"
    assert "387 of 500 prompts whose pick changes" in run(picks, mode).stdout
    faults = json.loads(run(picks, mode, "--json").stdout)["faults"]
    counted = [(each["n_affected"], each["of"]) for each in faults if each["what"] == "prompts whose pick changes"]
    assert counted == [(387, 500), (387, 500)]
