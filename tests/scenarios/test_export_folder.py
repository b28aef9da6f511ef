"""The folder of an export: what is in it, what may be replaced, and how other tools read it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from pairs import Made, pair, side, user
from playing import content

from fellowship.protocols.errors import DeclarationError
from fellowship.scenarios.preferences.export import export
from fellowship.scenarios.preferences.exported import FORMATS, Exported, Options
from fellowship.scenarios.preferences.front import front_matter
from fellowship.scenarios.preferences.pair import Pair
from fellowship.scenarios.preferences.splits import Splits

PAIRS = [
    *(pair(number, chosen=f"good {number}", rejected=f"bad {number}") for number in range(20)),
    *(pair(number, f"Go on {number}", data="workflow", of="revision", request=user(f"Question {number}?")) for number in range(20)),
    pair(20, rejected=None, data="workflow", of="feedback"),
]  # fmt: skip
CONFIGS = [
    f"{data}-{target}"
    for data in ("generation", "workflow")
    for target in FORMATS
    if (data, target) != ("workflow", "sft")
]


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The library, offline, with a cache of its own."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield datasets
    datasets.enable_progress_bars()


# as others read it


@pytest.mark.parametrize("files", ["jsonl", "parquet"])
def test_datasets_loads_every_configuration_by_name_with_its_splits(tmp_path: Path, datasets: Any, files: Any) -> None:
    options = Options(splits={"test": 0.4})
    found = export(Made(PAIRS), tmp_path / "d", FORMATS, files=files, options=options)
    assert [each.config for each in found.written] == CONFIGS
    for each in found.written:
        loaded = datasets.load_dataset(str(tmp_path / "d"), each.config, cache_dir=str(tmp_path / "cache"))
        assert {split: len(rows) for split, rows in loaded.items()} == {s: n for s, n in each.rows.items() if n}
        assert loaded["train"][0]["metadata"]["run"] == "r1"
        assert len({str(rows.features) for rows in loaded.values()}) == 1


def test_both_sorts_of_file_load_as_the_same_rows_of_the_same_types(tmp_path: Path, datasets: Any) -> None:
    for files in ("jsonl", "parquet"):
        export(Made(PAIRS), tmp_path / files, FORMATS, files=files)  # type: ignore[arg-type]
    for config in CONFIGS:
        cache = str(tmp_path / "cache")
        one, other = (
            datasets.load_dataset(str(tmp_path / files), config, split="train", cache_dir=cache)
            for files in ("jsonl", "parquet")
        )
        assert one.to_list() == other.to_list()
        assert one.features == other.features


@pytest.mark.parametrize("card", [None, lambda exported, _: front_matter(exported, "loop", None, ["en"])])
def test_what_another_folder_of_the_same_name_held_is_not_loaded_in_place_of_an_export(
    tmp_path: Path, datasets: Any, card: Any
) -> None:
    for run in ("first", "second"):
        made = [pair(number, chosen=f"{run} {number}") for number in range(3)]
        export(Made(made), tmp_path / run / "dataset", ["dpo"], card=card)
        loaded = datasets.load_dataset(
            str(tmp_path / run / "dataset"), "generation-dpo", split="train", cache_dir=str(tmp_path / "cache")
        )
        assert [row["chosen"][0]["content"] for row in loaded] == [f"{run} {number}" for number in range(3)]


LONG = "x" * 80_000
CHUNK = 10 << 20
"""Of a JSONL file, in which `datasets` looks for types where nobody says them."""


def unknown(number: int, prompt: str | None = None) -> Pair:
    good, bad = side(LONG, score=None, model=None), side("bad", score=None, model=None)
    return pair(number, prompt, chosen=good, rejected=bad, margin=None, scale=None, ballots=())


def known(number: int, prompt: str | None = None) -> Pair:
    return pair(number, prompt, chosen=LONG, margin=1.5, scale=10, variant="v")


@pytest.mark.parametrize(("first", "then"), [(unknown, known), (known, unknown)])
def test_a_file_of_more_than_one_chunk_loads_with_nulls_whatever_is_unknown_at_its_beginning(
    tmp_path: Path, datasets: Any, first: Callable[[int], Pair], then: Callable[[int], Pair]
) -> None:
    made = [(first if number < 150 else then)(number) for number in range(300)]
    export(Made(made), tmp_path / "d", ["dpo"], data="generation")
    assert (tmp_path / "d" / "generation-dpo" / "train.jsonl").stat().st_size > 2 * CHUNK
    loaded = datasets.load_dataset(str(tmp_path / "d"), "generation-dpo", cache_dir=str(tmp_path / "cache"))["train"]
    rows = [loaded[0]["metadata"], loaded[299]["metadata"]]
    bare, full = rows if first is unknown else rows[::-1]
    assert (bare["margin"], bare["models"], bare["scores"], bare["variant"], bare["ballots"]) == (
        None, {"chosen": None, "rejected": None, "judges": []},
        {"chosen": None, "rejected": None, "scale": None}, None, [],
    )  # fmt: skip
    assert (full["margin"], full["models"]["judges"], full["scores"]["scale"], full["variant"]) == (
        1.5, ["acme/j"], 10, "v",
    )  # fmt: skip
    assert full["ballots"][0] == {
        "judge": "judge", "model": "acme/j", "order": "chosen-first", "verdict": "chosen", "score_chosen": 8.0,
        "score_rejected": 6.0,
    }  # fmt: skip


@pytest.mark.parametrize("files", ["jsonl", "parquet"])
@pytest.mark.parametrize("known_in", ["train", "test"])
def test_a_split_where_nothing_is_known_has_the_types_of_one_where_all_is(
    tmp_path: Path, datasets: Any, known_in: str, files: Any
) -> None:
    options = Options(splits={"test": 0.5})
    splits = Splits(options.splits, options.seed)
    made = [
        (known if splits.names[splits.of(prompt)] == known_in else unknown)(number, prompt)
        for number, prompt in enumerate(map(str, range(12)))
    ]
    export(Made(made), tmp_path / "d", ["dpo", "kto"], data="generation", files=files, options=options)
    for config in ("generation-dpo", "generation-kto"):
        loaded = datasets.load_dataset(str(tmp_path / "d"), config, cache_dir=str(tmp_path / "cache"))
        assert {(split, row["metadata"]["margin"]) for split in loaded for row in loaded[split]} == {
            (split, 1.5 if split == known_in else None) for split in ("train", "test")
        }
        assert loaded["train"].features == loaded["test"].features


def test_the_front_matter_says_the_types_of_every_configuration_in_the_hubs_own_form(
    tmp_path: Path, datasets: Any
) -> None:
    from huggingface_hub import DatasetCard
    from pyarrow import parquet

    found = export(Made(PAIRS), tmp_path / "d", FORMATS, files="parquet")
    said = DatasetCard.load(tmp_path / "d" / "README.md").data.to_dict()["dataset_info"]
    assert [each["config_name"] for each in said] == CONFIGS
    for types, each in zip(said, found.written, strict=True):
        schema = parquet.read_schema(tmp_path / "d" / each.files["train"])
        assert types["features"] == datasets.Features.from_arrow_schema(schema)._to_yaml_list()


def test_a_parquet_file_has_several_row_groups_and_one_schema(tmp_path: Path) -> None:
    from pyarrow import parquet

    made = [pair(number, chosen="a" * 20_000, rejected="b" * 20_000) for number in range(600)]
    export(Made(made), tmp_path / "d", ["kto"], data="generation", files="parquet")
    with parquet.ParquetFile(tmp_path / "d" / "generation-kto" / "train.parquet") as file:
        assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [1000, 200]
        assert "null" not in str(file.schema_arrow)


# what may be there before


def test_other_formats_of_the_run_join_those_that_are_there(tmp_path: Path) -> None:
    export(Made(PAIRS), tmp_path / "one", ["dpo"], data="generation")
    export(Made(PAIRS), tmp_path / "one", ["kto"], files="parquet")
    found = export(Made(PAIRS), tmp_path / "one", ["dpo"], data="workflow")
    assert [each.config for each in found.written] == [
        "generation-dpo",
        "generation-kto",
        "workflow-dpo",
        "workflow-kto",
    ]
    assert (
        [funnel.data for funnel in found.funnels]
        == [margins.data for margins in found.margins]
        == ["generation", "workflow"]
    )
    assert sorted(content(tmp_path / "one")) == sorted(
        ["README.md", "export.json", *(file for each in found.written for file in each.files.values())]
    )


def test_in_whatever_order_formats_are_written_the_folder_is_the_same(tmp_path: Path) -> None:
    export(Made(PAIRS), tmp_path / "one", FORMATS)
    for formats in (["sft", "kto"], ["reward"], ["dpo"]):
        export(Made(PAIRS), tmp_path / "two", formats)  # type: ignore[arg-type]
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_configuration_that_is_written_again_replaces_its_files(tmp_path: Path) -> None:
    export(Made(PAIRS), tmp_path / "d", ["dpo"], data="generation", options=Options(splits={"test": 0.5}))
    assert (tmp_path / "d" / "generation-dpo" / "test.jsonl").is_file()
    export(Made(PAIRS), tmp_path / "d", ["dpo"], data="generation", files="parquet")
    assert sorted(content(tmp_path / "d")) == ["README.md", "export.json", "generation-dpo/train.parquet"]


def test_a_folder_with_anything_else_in_it_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "notes.txt").write_text("mine")
    with pytest.raises(DeclarationError, match=r"holds notes.txt, which no export has written: name an empty or a new"):
        export(Made(PAIRS), tmp_path / "d", ["dpo"])
    assert content(tmp_path / "d") == {"notes.txt": b"mine"}


@pytest.mark.parametrize("stray", ["README.md", "generation-dpo/train.jsonl", "export.json"])
def test_a_file_that_only_looks_like_an_exports_is_no_less_refused(tmp_path: Path, stray: str) -> None:
    (tmp_path / "d" / stray).parent.mkdir(parents=True)
    (tmp_path / "d" / stray).write_text("{}")
    with pytest.raises(DeclarationError, match="which no export has written|not what an export writes"):
        export(Made(PAIRS), tmp_path / "d", ["dpo"])
    assert content(tmp_path / "d") == {stray: b"{}"}


def test_an_export_json_that_names_files_of_others_has_no_say_over_them(tmp_path: Path) -> None:
    export(Made(PAIRS), tmp_path / "d", ["dpo"])
    path = tmp_path / "d" / "export.json"
    path.write_text(path.read_text().replace("generation-dpo/train.jsonl", "../mine.jsonl"))
    (tmp_path / "mine.jsonl").write_text("mine")
    with pytest.raises(DeclarationError, match=r"not what an export writes: it names ../mine.jsonl"):
        export(Made(PAIRS), tmp_path / "d", ["dpo", "kto"])
    assert (tmp_path / "mine.jsonl").read_text() == "mine"


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ({"run": "r2"}, "an export of another run"),
        ({"options": Options(seed=4)}, "chosen with --seed 0, not with --seed 4: give the same options"),
        ({"options": Options(splits={"test": 0.5})}, "chosen without --split, not with --split test=0.5"),
        ({"options": Options(margin=9)}, r"chosen without --margin, not with --margin 9.0"),
        ({"pairs": PAIRS[:5]}, "of 20 kept generation pairs, and now there are 5: the run has gone on"),
    ],
)
def test_data_sets_that_do_not_fit_together_do_not_come_into_one_folder(
    tmp_path: Path, then: dict[str, Any], words: str
) -> None:
    export(Made(PAIRS), tmp_path / "d", ["dpo"])
    before = content(tmp_path / "d")
    made = Made(then.get("pairs", PAIRS), run=then.get("run", "r1"))
    with pytest.raises(DeclarationError, match=words):
        export(made, tmp_path / "d", ["kto"], options=then.get("options"))
    assert content(tmp_path / "d") == before


def test_a_run_that_has_gone_on_replaces_all_that_it_had_given(tmp_path: Path) -> None:
    export(Made(PAIRS[:5]), tmp_path / "d", ["dpo"], data="generation")
    found = export(Made(PAIRS), tmp_path / "d", ["dpo", "kto"], data="generation")
    assert [each.rows for each in found.written] == [{"train": 20}, {"train": 40}]


# whole or not at all


def test_an_export_that_fails_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    export(Made(PAIRS), tmp_path / "d", ["dpo"])
    before = content(tmp_path / "d")

    def failing() -> Iterator[Pair]:
        yield from PAIRS
        raise RuntimeError("the log cannot be read")

    with pytest.raises(RuntimeError):
        export(Made(failing()), tmp_path / "d", ["kto"])
    assert content(tmp_path / "d") == before


@pytest.mark.parametrize("broken_at", range(8))
def test_an_export_that_dies_among_its_last_moves_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_at: int
) -> None:
    export(Made(PAIRS[:5]), tmp_path / "d", ["dpo"], options=Options(splits={"test": 0.5}))
    left, replace, rmtree = broken_at, Path.replace, shutil.rmtree

    class Died(BaseException):
        pass

    def dying(self: Path, target: Path) -> Path:
        nonlocal left
        if not left:
            raise Died
        left -= 1
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dying)
        patched.setattr(
            "shutil.rmtree", lambda path, **more: None if sys.exc_info()[0] is Died else rmtree(path, **more)
        )
        with suppress(Died):
            export(Made(PAIRS), tmp_path / "d", ["dpo", "kto"])
    export(Made(PAIRS), tmp_path / "d", ["dpo", "kto"])
    export(Made(PAIRS), tmp_path / "new", ["dpo", "kto"])
    assert content(tmp_path / "d") == content(tmp_path / "new")


def test_two_exports_do_not_write_into_one_folder_at_once(tmp_path: Path) -> None:
    export(Made(PAIRS), tmp_path / "d", ["dpo"])
    with (
        FileLock(tmp_path / "d" / ".part.lock"),
        pytest.raises(DeclarationError, match="another export is writing into"),
    ):
        export(Made(PAIRS), tmp_path / "d", ["kto"])


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeclarationError, match="is a file: --to takes a folder"):
        export(Made(PAIRS), tmp_path / "file", ["dpo"])
    with pytest.raises(DeclarationError, match="cannot be written: Not a directory"):
        export(Made(PAIRS), tmp_path / "file" / "d", ["dpo"])


def test_the_card_is_made_of_what_was_exported_and_of_a_row_of_each_configuration(tmp_path: Path) -> None:
    export(Made(PAIRS), tmp_path / "d", ["dpo"])
    seen: dict[str, Any] = {}

    def card(exported: Exported, examples: Any) -> str:
        seen.update(examples)
        return f"{len(exported.written)} configurations"

    export(Made(PAIRS), tmp_path / "d", ["kto"], files="parquet", card=card)
    assert (tmp_path / "d" / "README.md").read_text() == "4 configurations"
    assert {config: sorted(row) for config, row in seen.items()} == {
        "generation-dpo": ["chosen", "metadata", "prompt", "rejected"],
        "workflow-dpo": ["chosen", "metadata", "prompt", "rejected"],
        "generation-kto": ["completion", "label", "metadata", "prompt"],
        "workflow-kto": ["completion", "label", "metadata", "prompt"],
    }


# memory

GROWTH = """
import re, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from pairs import Made, pair
from fellowship.scenarios.preferences.export import export

def made(count):
    for number in range(count):
        text = f"{number} " * 40
        yield pair(number, text[:40], "good " + text, "bad " + text, ballots=())

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

to = Path(sys.argv[2])
export(Made(made(5_000)), to / "few", ["kto"])
before = peak()
export(Made(made(50_000)), to / "many", ["kto"])
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="what getrusage tells begins at the parent's peak")
def test_memory_holds_neither_texts_nor_numbers_about_pairs(tmp_path: Path) -> None:
    """Growth in MiB, of 45,000 pairs more, of 100 MB; where numbers about them were in memory it was 11.5."""
    command = [sys.executable, "-c", GROWTH, str(Path(__file__).parents[1]), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "many" / "generation-kto" / "train.jsonl").stat().st_size > 80_000_000
    assert float(done.stdout) < 6
