"""`fellowship import` as people and scripts meet it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from statsmodels.stats.proportion import proportion_confint
from typer.testing import CliRunner, Result

from fellowship.scenarios.cli import app
from fellowship.scenarios.ratings import read_ratings
from fellowship.scenarios.ratings.importers import IMPORTERS

VOTE = {"question_id": 81, "model_a": "a", "model_b": "b", "turn": 1, "judge": "expert_1", "winner": "model_a"}


def bring(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["import", *map(str, arguments)])


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    """Return a folder with one file of votes that is right, and two files that are none."""
    folder = tmp_path / "bench"
    folder.mkdir()
    rows = [VOTE, VOTE | {"judge": "gpt-4", "winner": "tie (inconsistent)"}, VOTE | {"question_id": 82}]
    (folder / "human.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "question.jsonl").write_text('{"question_id": 81, "turns": ["?"]}\n')
    (folder / "LICENSE").write_text("free")
    return folder


def test_votes_are_written_and_counted(votes: Path, tmp_path: Path) -> None:
    to = tmp_path / "new" / "ratings.jsonl"
    result = bring("mt-bench", votes, "--to", to)
    assert result.exit_code == 0, result.output
    assert "3 votes on 2 items" in result.stdout
    assert "Other files, left alone: 2." in result.stdout
    assert f"{votes / 'question.jsonl'}: its columns are others" in result.stderr
    assert [json.loads(line) for line in to.read_text().splitlines()][1] == {
        "item": "81-t1-a-b", "prompt": "81-t1", "rater": "gpt-4", "kind": "model", "verdict": "tie",
        "model_a": "a", "model_b": "b", "group": "turn-1",
    }  # fmt: skip


def test_json_is_one_document_and_all_else_goes_to_stderr(votes: Path, tmp_path: Path) -> None:
    with (votes / "human.jsonl").open("a") as file:
        file.write(json.dumps(VOTE | {"judge": "me"}) + "\n")
    to = tmp_path / "ratings.csv"
    result = bring("mt-bench", votes, "--to", to, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert {name: document[name] for name in ("format", "to", "rows", "votes", "unread", "items", "skipped")} == {
        "format": "mt-bench", "to": str(to), "rows": 4, "votes": 3, "unread": 0, "items": 2, "skipped": 0,
    }  # fmt: skip
    assert document["raters"] == {
        "expert_1": {"kind": "human", "votes": 2, "unread": 0},
        "gpt-4": {"kind": "model", "votes": 1, "unread": 0},
    }
    assert document["files"] == [str(votes / "human.jsonl")]
    (bad,) = document["bad_rows"]
    assert (bad["file"], bad["line"]) == (str(votes / "human.jsonl"), 4)
    assert f"{votes / 'human.jsonl'}:4: judge 'me' may be a person or a model" in result.stderr
    assert len(read_ratings(to)) == 3


def test_kind_says_what_the_files_do_not(votes: Path, tmp_path: Path) -> None:
    (votes / "human.jsonl").write_text(json.dumps(VOTE | {"judge": "me"}) + "\n")
    result = bring("mt-bench", votes, "--to", tmp_path / "r.jsonl", "--kind", "human", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["raters"]["me"]["kind"] == "human"


def test_no_more_than_twenty_bad_rows_are_told_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps([{"idx": 0, "x_result": 1}, *({"idx": n, "x_result": "?"} for n in range(1, 31))]))
    result = bring("pandalm", path, "--to", tmp_path / "r.jsonl")
    assert result.exit_code == 1
    assert "30 bad rows of 31 are left out:" in result.stderr
    assert f"{path}:21: x_result is '?'" in result.stderr
    assert f"{path}:22:" not in result.stderr
    assert "and 10 more" in result.stderr
    assert len(read_ratings(tmp_path / "r.jsonl")) == 1


def test_nothing_is_written_where_no_row_is_a_vote(tmp_path: Path) -> None:
    path, to = tmp_path / "m.json", tmp_path / "r.jsonl"
    path.write_text(json.dumps([{"idx": n, "x_result": "?"} for n in range(9)]))
    to.write_text("what was there")
    result = bring("pandalm", path, "--to", to)
    assert result.exit_code == 2
    assert f"{path}: no row is a vote of pandalm" in result.stderr
    assert f"{path}:5: x_result is '?'" in result.stderr
    assert to.read_text() == "what was there"


def test_a_csv_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    rows = "question_id,model_a,model_b,turn,judge,winner\r\n81,b,a,2,expert_1,model_a\r\n81,b,a,2,,tie\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + rows.encode())
    result = bring("mt-bench", path, "--to", tmp_path / "r.parquet", "--kind", "model")
    assert result.exit_code == 0, result.output
    ratings = read_ratings(tmp_path / "r.parquet")
    assert (ratings.items, ratings.raters, ratings.kinds) == (("81-t2-a-b",), ("expert_1",), ("human",))
    assert ratings.order.tolist() == [1, -1]


def test_parquet_is_read(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    said = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "four"}]
    rows: list[dict[str, Any]] = [VOTE | {"conversation_a": said, "conversation_b": said}]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "human.parquet")
    assert bring("mt-bench", tmp_path / "human.parquet", "--to", tmp_path / "r.jsonl").exit_code == 0
    assert read_ratings(tmp_path / "r.jsonl").lengths.tolist() == [[4, 4]]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("m.json", "", "m.json: it has no rows; pandalm takes rows with idx"),
        ("m.jsonl", "\n\n", "m.jsonl: it has no rows"),
        ("m.json", '[{"idx": 1,\n "x_result": }]', "m.json:2:14: not JSON"),
        ("m.json", '{"idx": 1}', "m.json: its JSON is no list of rows"),
        ("m.json", "[1, 2]", "m.json: its JSON is no list of rows"),
        ("m.json", '[{"id": 1}]', "m.json: its columns are others"),
        ("m.txt", "1", "m.txt: the ending is none of .jsonl, .json, .csv, .parquet"),
        ("m.json", '["\\ud800', "m.json:1:"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_plainly(name: str, content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    result = bring("pandalm", tmp_path / name, "--to", tmp_path / "r.jsonl")
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "r.jsonl").exists()


def test_a_broken_file_in_a_folder_is_counted_as_bad(votes: Path, tmp_path: Path) -> None:
    (votes / "torn.json").write_text('[{"question_id": 81, "model_a"')
    result = bring("mt-bench", votes, "--to", tmp_path / "r.jsonl")
    assert result.exit_code == 1
    assert f"{votes / 'torn.json'}:1:" in result.stderr
    assert len(read_ratings(tmp_path / "r.jsonl")) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("pandlm", "."), "unknown format 'pandlm'; did you mean 'pandalm'?"),
        (("mt-bench", "nowhere"), "there is no file or folder nowhere"),
        (("mt-bench", "."), "nothing of mt-bench: it takes rows with question_id and turn"),
        (("mt-bench", "bench", "--kind", "humans"), "unknown kind 'humans'; did you mean 'human'?"),
        (
            ("pandalm", "bench", "--kind", "human"),
            "--kind is for mt-bench, alpaca-eval, preference: files of pandalm say who is a person",
        ),
    ],
)
def test_wrong_use_is_told_plainly(
    arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = bring(*arguments, "--to", "r.jsonl")
    assert result.exit_code == 2
    assert told in result.stderr
    assert not Path("r.jsonl").exists()


def test_an_ending_that_cannot_be_written_is_told_before_anything_is_read(tmp_path: Path) -> None:
    result = bring("mt-bench", tmp_path / "nowhere", "--to", tmp_path / "r.xlsx")
    assert result.exit_code == 2
    assert "r.xlsx: the ending must be one of .jsonl, .csv, .parquet" in result.stderr


def test_no_file_that_is_read_is_written_over(votes: Path) -> None:
    before = (votes / "human.jsonl").read_bytes()
    result = bring("mt-bench", votes, "--to", votes / "human.jsonl")
    assert result.exit_code == 2
    assert "is one of the files that are read" in result.stderr
    assert (votes / "human.jsonl").read_bytes() == before


def test_a_file_is_read_once_however_often_it_is_named(votes: Path, tmp_path: Path) -> None:
    result = bring("mt-bench", votes, votes / "human.jsonl", votes, "--to", tmp_path / "r.jsonl", "--json")
    assert json.loads(result.stdout)["votes"] == 3


def test_what_was_imported_before_is_left_alone(votes: Path) -> None:
    for _ in range(2):
        result = bring("mt-bench", votes, "--to", votes / "ratings.jsonl")
        assert result.exit_code == 0
    assert f"{votes / 'ratings.jsonl'}: its columns are others" in result.stderr


def test_every_format_is_named_in_the_help() -> None:
    result = bring("--help")
    assert all(name in result.stdout for name in IMPORTERS)


def test_help_loads_no_importer() -> None:
    code = (
        "import sys; from fellowship.scenarios import cli; "
        "print(*[name for name in sys.modules if 'importers' in name or name == 'numpy'])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_all_that_is_published_can_be_read_back_as_it_was_written(shared_data: Path, tmp_path: Path) -> None:
    for name, folder, count in (
        ("pandalm", "pandalm", 4995),
        ("mt-bench", "mtbench", 5755),
        ("fellowship", "fellowship", 2538),
    ):
        to = tmp_path / f"{name}.csv"
        result = bring(name, shared_data / folder, "--to", to, "--json")
        assert json.loads(result.stdout)["votes"] == count
        ratings = read_ratings(to)
        assert (len(ratings), ratings.bad, ratings.ignored) == (count, (), ())


def test_two_commands_give_the_papers_win_rate_with_its_interval(tmp_path: Path, shared_data: Path) -> None:
    """Arif et al. 2025, table 7: 41.4 % of 500; the interval is statsmodels' proportion_confint, method wilson."""
    picks = list(shared_data.glob("fellowship/outputs/generators/**/*_picks_gpt.json"))
    assert bring("fellowship", *picks, "--to", tmp_path / "r.jsonl").exit_code == 0
    result = CliRunner().invoke(app, ["winrate", str(tmp_path / "r.jsonl"), "--json"])
    pair = json.loads(result.stdout)["pairs"][0]
    assert (pair["model"], pair["opponent"]) == ("gemma-2-9b-it_gemma-2-9b-it", "gpt-4o")
    assert (pair["wins"], pair["ties"], pair["n"], pair["win_rate"]) == (207, 10, 500, 0.414)
    assert pair["win_rate_ci"] == pytest.approx(proportion_confint(207, 500, method="wilson"), abs=1e-9)
