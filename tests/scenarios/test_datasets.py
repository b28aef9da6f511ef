import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fellowship.protocols.errors import DeclarationError
from fellowship.scenarios import open_dataset
from fellowship.scenarios.datasets import read_mapping

ROWS = [
    {"id": "x", "prompt": "p1", "a": "one", "b": "two", "extra": 3},
    {"id": "y", "prompt": "p2", "a": "three", "b": "four", "extra": 4},
]


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def jsonl(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def refused(path: Path, **options: object) -> list[str]:
    options.setdefault("takes", "comparison")
    with pytest.raises(DeclarationError) as caught:
        open_dataset(path, **options)  # type: ignore[arg-type]
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def written(tmp_path: Path, ending: str) -> Path:
    match ending:
        case "jsonl":
            return write(tmp_path, "d.jsonl", jsonl(*ROWS))
        case "json":
            return write(tmp_path, "d.json", json.dumps(ROWS))
        case "csv":
            lines = ["id,prompt,a,b,extra", "x,p1,one,two,3", "y,p2,three,four,4"]
            return write(tmp_path, "d.csv", "\r\n".join(lines))
        case _:
            import pyarrow as pa
            from pyarrow import parquet

            parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "d.parquet")
            return tmp_path / "d.parquet"


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
def test_every_format_gives_the_same_items(tmp_path: Path, ending: str) -> None:
    dataset = open_dataset(written(tmp_path, ending), takes="comparison")
    items = list(dataset)
    assert len(dataset) == len(items) == 2
    assert [(item.id, item.prompt, item.candidate("a").text, item.candidate("b").text) for item in items] == [
        ("x", "p1", "one", "two"),
        ("y", "p2", "three", "four"),
    ]
    assert str(items[0].metadata["extra"]) == "3"


def test_columns_are_mapped_by_name_by_path_and_joined(tmp_path: Path) -> None:
    row = {"q": {"text": "p"}, "context": "c", "answers": ["one", "two"], "who": "m1"}
    mapping = read_mapping("prompt=q.text+context, a=answers.0, b=answers.1, model_a=who")
    path = write(tmp_path, "d.jsonl", jsonl(row))
    item = next(iter(open_dataset(path, takes="comparison", mapping=mapping)))
    assert (item.id, item.prompt) == ("1", "p\n\nc")
    assert [(c.slot, c.text, c.model) for c in item.candidates] == [("a", "one", "m1"), ("b", "two", None)]
    assert item.metadata == {}


def test_what_an_item_is_made_of_is_not_kept_a_second_time(tmp_path: Path) -> None:
    row = {"id": "x", "prompt": "p", "a": "one", "b": "two", "model_a": "m1", "source": "web"}
    item = next(iter(open_dataset(write(tmp_path, "d.jsonl", jsonl(row)), takes="comparison")))
    assert item.metadata == {"source": "web"}


def test_a_column_with_a_dot_in_its_name_is_found_first(tmp_path: Path) -> None:
    path = write(tmp_path, "d.jsonl", jsonl({"q.text+x": "p"}))
    dataset = open_dataset(path, takes="instruction", mapping={"prompt": "q.text+x"})
    assert next(iter(dataset)).prompt == "p"


def test_rows_without_an_id_are_numbered_by_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, "d.jsonl", '{"prompt": "p"}\n\n{"prompt": "q"}\n')
    assert [item.id for item in open_dataset(path, takes="instruction")] == ["1", "3"]


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path: Path) -> None:
    path = write(tmp_path, "d.jsonl", b'\xef\xbb\xbf{"prompt": "p"}\r\n{"prompt": "q"}\r\n')
    assert [item.prompt for item in open_dataset(path, takes="instruction")] == ["p", "q"]
    table = write(tmp_path, "d.csv", b"\xef\xbb\xbfprompt\r\np\r\n")
    assert [item.prompt for item in open_dataset(table, takes="instruction")] == ["p"]


def test_a_limit_takes_the_first_rows_and_looks_at_no_others(tmp_path: Path) -> None:
    path = write(tmp_path, "d.jsonl", jsonl({"prompt": "p"}, {"prompt": 3}))
    assert len(open_dataset(path, takes="instruction", limit=1)) == 1


def test_published_shapes_are_read_without_a_mapping(shared_data: Path) -> None:
    pandalm = open_dataset(shared_data / "pandalm" / "testset-v1.json", takes="comparison")
    assert pandalm.shape is not None
    assert (len(pandalm), pandalm.shape.name) == (999, "pandalm")
    words = [item.candidate("a").text for item in pandalm if item.candidate("a").text in ("True", "False")]
    assert len(words) >= 4  # the published file has them as true and false
    first = next(iter(pandalm))
    assert "\n\n" in first.prompt
    assert first.candidate("b").text.startswith("If you have any questions")
    assert [(vote.rater, vote.verdict) for vote in first.human] == [(f"annotator{number}", "b") for number in (1, 2, 3)]
    assert (first.candidate("a").model, first.candidate("b").model) == ("bloom-7b", "llama-7b")
    assert "annotator1" not in first.metadata
    questions = open_dataset(shared_data / "mtbench" / "question.jsonl", takes="instruction")
    assert len(questions) == 80
    assert next(iter(questions)).id == "81"


def test_an_input_that_is_empty_leaves_no_blank_lines_behind(tmp_path: Path) -> None:
    row = {"idx": 7, "instruction": "Do it.", "input": "", "response1": "one", "response2": "two"}
    item = next(iter(open_dataset(write(tmp_path, "d.json", json.dumps([row])), takes="comparison")))
    assert (item.id, item.prompt) == ("7", "Do it.")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.jsonl", "", "d.jsonl has no rows"),
        ("d.jsonl", "\n\n", "d.jsonl has no rows"),
        ("d.json", "", "d.json has no rows"),
        ("d.json", "[]", "d.json has no rows"),
        ("d.csv", "", "d.csv has no rows"),
        ("d.csv", "prompt,a,b\n", "d.csv has no rows"),
        ("d.jsonl", '{"prompt": "p", "a": "", "b": ""}\n{"prompt"\n', "d.jsonl:2:"),
        ("d.jsonl", '{"prompt": "p", "a": NaN, "b": ""}\n', "d.jsonl:1:"),
        ("d.jsonl", b'{"prompt": "\xff"}\n', "d.jsonl:1:13: not UTF-8: byte 0xff"),
        ("d.csv", b"prompt,a,b\np,\xff,y\n", "d.csv:2:3: not UTF-8: byte 0xff"),
        ("d.jsonl", "[1]\n", "d.jsonl:1: a row is an object with named columns, not list"),
        ("d.json", '{"prompt": "p"}', "d.json: a JSON data set is a list of rows, not dict"),
        ("d.json", "[1, 2", "d.json:1:"),
        ("d.csv", "prompt,a,b\np,x\n", "d.csv:2: the row does not have the 3 columns of the header"),
        ("d.csv", "prompt,a,b\np,x,y,z\n", "d.csv:2: the row does not have the 3 columns of the header"),
        ("d.csv", "prompt,a,a\np,x,y\n", "d.csv:1: columns stand here twice: a"),
        ("d.csv", 'prompt,a,b\n"p,x,y\n', "d.csv:"),
        ("d.parquet", "no parquet", "d.parquet: not Parquet"),
        ("d.txt", "x", "d.txt: the ending must be one of .jsonl, .json, .csv, .parquet"),
        ("d.jsonl", jsonl({"prompt": "p", "a": "x"}), "d.jsonl:1: no column 'b' for b; there is a, prompt"),
        (
            "d.jsonl",
            jsonl({"prompt": None, "a": "x", "b": "y"}),
            "d.jsonl:1: prompt must be text, and column 'prompt' has NoneType",
        ),
        ("d.jsonl", jsonl({"prompt": " ", "a": "x", "b": "y"}), "d.jsonl:1: prompt is empty"),
        ("d.jsonl", jsonl({"prompt": "p", "a": None, "b": "y"}), "d.jsonl:1: a must be text"),
        ("d.jsonl", jsonl({"prompt": "p", "a": 1, "b": "y"}), "d.jsonl:1: a must be text, and column 'a' has int 1"),
        ("d.jsonl", jsonl({"prompt": "p", "a": "x", "b": "y", "id": 1.5}), "d.jsonl:1: id must be text"),
        ("d.jsonl", jsonl({"prompt": "p", "a": "x", "b": "y", "id": True}), "d.jsonl:1: id must be text"),
        (
            "d.jsonl",
            jsonl(*[{"id": "1", "prompt": "p", "a": "x", "b": "y"}] * 2),
            "d.jsonl:2: id '1' stands in row 1 already",
        ),
        (
            "d.jsonl",
            jsonl({"id": 1, "prompt": "p", "a": "x", "b": "y"}, {"id": "1", "prompt": "p", "a": "x", "b": "y"}),
            "d.jsonl:2: id '1'",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_place(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    lines = refused(write(tmp_path, name, content))
    assert len(lines) == 1
    assert lines[0].startswith(message)


def test_all_bad_rows_are_told_at_once_up_to_a_score(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "a": "x", "b": "y"}, *[{"prompt": 1, "a": "x", "b": "y"}] * 3]
    assert [line.split(":")[1] for line in refused(write(tmp_path, "d.jsonl", jsonl(*rows)))] == ["2", "3", "4"]
    assert len(refused(write(tmp_path, "e.jsonl", jsonl(ROWS[0], *[{"prompt": 1, "a": "", "b": ""}] * 50)))) == 20


def test_a_missing_file_a_folder_and_a_wrong_mapping_are_told(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.jsonl") == ["there is no file no.jsonl"]
    assert "is a directory" in refused(tmp_path)[0]
    path = write(tmp_path, "d.jsonl", jsonl(*ROWS))
    assert "no column 'q' for prompt" in refused(path, mapping={"prompt": "q"})[0]
    assert "did you mean 'prompt'" in refused(path, mapping={"promt": "prompt"})[0]
    with pytest.raises(DeclarationError, match="--map takes FIELD=COLUMN"):
        read_mapping("prompt")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["jsonl", "json", "csv", "parquet"]))
def test_no_bytes_whatever_end_in_anything_but_a_message(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str
) -> None:
    path = write(tmp_path_factory.mktemp("data"), f"d.{ending}", content)
    try:
        open_dataset(path, takes="instruction")
    except DeclarationError as error:
        assert str(error)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1).filter(str.strip), st.text()), min_size=1, max_size=5))
def test_any_text_comes_through_unchanged(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    content = jsonl(*({"prompt": prompt, "a": answer, "b": answer} for prompt, answer in rows))
    path = write(tmp_path_factory.mktemp("data"), "d.jsonl", content)
    items = list(open_dataset(path, takes="comparison"))
    assert [(item.prompt, item.candidate("a").text) for item in items] == rows
