"""Sweeps that vary two parts which must differ, and the plain answer that loops are held against."""

from pathlib import Path

import pytest
from playing import fellowship, items, library, results

from fellowship.protocols.errors import DeclarationError
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Settings, load, play
from fellowship.scenarios.spec import Sweep
from fellowship.scenarios.sweep import sweep

LOOPS = """
scenario: mine
takes: instruction
models: {llama: acme/l, gemma: acme/g}
sweep:
  - play: answer
    over: {models.writer: every}
  - play: feedback-loop
    over: {models.writer: every, models.reviewer: every}
    distinct: [models.writer, models.reviewer]
gives: draft
"""


def variants(folder: Path, text: str = LOOPS, *models: tuple[str | None, str]) -> list[str]:
    path = folder / "mine.yaml"
    path.write_text(text)
    declared, source = load(str(path))
    assert isinstance(declared, Sweep)
    return list(sweep(declared, source=source, models=models).variants)


def test_combinations_in_which_distinct_paths_are_alike_are_no_variants(tmp_path: Path) -> None:
    assert variants(tmp_path) == [
        "answer/llama",
        "answer/gemma",
        "feedback-loop/llama/gemma",
        "feedback-loop/gemma/llama",
    ]
    three = variants(tmp_path, LOOPS, ("x", "acme/x"), ("y", "acme/y"), ("z", "acme/z"))
    assert len(three) == 3 + 3 * 2
    assert "feedback-loop/y/y" not in three


def test_the_papers_table_has_its_loops_by_the_library_and_by_the_documentations_own_sweep(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "versus.md").read_text()
    text = page.partition("```yaml\n")[2].partition("```")[0].replace("…", "m")
    loops = [
        "feedback-loop/same/llama",
        "feedback-loop/same/gemma",
        "feedback-loop/other/llama/gemma",
        "feedback-loop/other/gemma/llama",
        "feedback-loop/both/llama/gemma",
        "feedback-loop/both/gemma/llama",
    ]
    assert variants(tmp_path, text) == ["answer/gpt", "answer/llama", "answer/gemma", *loops]
    named = fellowship("check", "loops", "--model", "llama=acme/l", "--model", "gemma=acme/g").stdout
    assert f"loops is right: answer/llama, answer/gemma, {', '.join(loops)}; models" in " ".join(named.split())


def test_with_one_model_the_legs_that_need_two_have_no_variant(tmp_path: Path) -> None:
    assert variants(tmp_path, LOOPS, ("x", "acme/x")) == ["answer/x"]
    alone = LOOPS.replace("  - play: answer\n    over: {models.writer: every}\n", "")
    with pytest.raises(DeclarationError, match=r"mine.yaml:5:\d+: no combination is left to play"):
        variants(tmp_path, alone, ("x", "acme/x"))


@pytest.mark.parametrize(
    ("distinct", "message"),
    [
        ("[models.writer, models.reveiwer]", r"mine.yaml:10:\d+: distinct: models.reveiwer does not stand under over; did you mean 'models.reviewer'"),
        ("[models.writer]", r"mine.yaml:10:\d+: distinct takes two different paths or more"),
        ("[models.writer, models.writer]", "distinct takes two different paths or more"),
        ("models.writer", "distinct must be a list"),
    ],
)  # fmt: skip
def test_paths_that_are_not_varied_cannot_differ(tmp_path: Path, distinct: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        variants(tmp_path, LOOPS.replace("[models.writer, models.reviewer]", distinct))


async def test_a_plain_answer_is_one_call_and_gives_its_text(tmp_path: Path) -> None:
    model = ScriptedModel(["one", "two"])
    status = await play(library("answer"), items(2), tmp_path / "run", Settings(client=model))
    assert (status.done, len(model.calls)) == (2, 2)
    assert {line["text"] for line in results(tmp_path / "run")} == {"one", "two"}
    assert fellowship("check", "answer").exit_code == 0
