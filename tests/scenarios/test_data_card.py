"""The data card of an export: read back as a hub and as a trainer read it, and safe from what models say."""

import ast
import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from exports import exported, facts, kappas, lay_out, row, written
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from fellowship.scenarios.measures.estimate import Estimate
from fellowship.scenarios.preferences.card import card
from fellowship.scenarios.preferences.exported import Funnel, Margins, Options, Step
from fellowship.scenarios.preferences.facts import Judge
from fellowship.scenarios.preferences.front import size_category
from fellowship.scenarios.preferences.judges import JudgeKappa

EXAMPLE = {"generation-dpo": row("dpo"), "generation-kto": row("kto")}


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text.split("---\n", maxsplit=2)[2])


def blocks(text: str, language: str) -> list[str]:
    return [token.content for token in parsed(text) if token.type == "fence" and token.info == language]


def headings(text: str) -> list[str]:
    tokens = parsed(text)
    return [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]


def judge(**changes: Any) -> Judge:
    found = {"agent": "judge", "model": "openai/gpt-4o-mini", "votes": 10, "unread": 0, "flip_rate": None}
    return Judge(**{**found, "half_unread": 0, "kin": (), **changes})


def test_the_hub_reads_back_what_the_front_matter_says() -> None:
    from huggingface_hub import DatasetCard

    data = DatasetCard(card(exported(), facts(), license="cc-by-4.0")).data.to_dict()
    assert data["license"] == "cc-by-4.0"
    assert data["pretty_name"] == "Preferences of feedback-pairs"
    assert data["size_categories"] == ["1K<n<10K"]
    assert data["task_categories"] == ["text-generation"]
    assert {"synthetic", "preference", "dpo", "kto"} <= set(data["tags"])
    assert not {"reward", "sft"} & set(data["tags"])
    assert [config["config_name"] for config in data["configs"]] == ["generation-dpo", "generation-kto"]
    assert [config.get("default") for config in data["configs"]] == [True, None]
    assert "license" not in DatasetCard(card(exported(), facts())).data.to_dict()


def test_datasets_loads_the_folder_as_the_card_says(tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    configs = (
        written("generation-dpo", {"train": 3, "test": 2}),
        written("generation-kto", {"train": 4, "test": 0}),
        written("workflow-dpo", {"train": 0, "test": 0}),
    )
    found = exported(*configs)
    folder = str(lay_out(tmp_path / "pairs", found, card(found, facts(), example=EXAMPLE)))
    assert datasets.get_dataset_config_names(folder) == ["generation-dpo", "generation-kto"]
    by_default = datasets.load_dataset(folder, cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in by_default.items()} == {"train": 3, "test": 2}
    assert by_default["train"].column_names == ["prompt", "chosen", "rejected", "metadata"]
    kto = datasets.load_dataset(folder, "generation-kto", cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in kto.items()} == {"train": 4}


@pytest.mark.parametrize(
    ("rows", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"), (10**6, "1M<n<10M"), (10**13, "n>1T")],
)
def test_a_size_is_called_as_the_hub_calls_it(rows: int, name: str) -> None:
    from huggingface_hub import DatasetCardData

    assert size_category(rows) == name
    assert f"'{name}'" in (DatasetCardData.__doc__ or "")


def test_the_same_export_has_the_same_card() -> None:
    assert card(exported(), facts(), kappas(), example=EXAMPLE) == card(exported(), facts(), kappas(), example=EXAMPLE)


def test_a_card_has_every_part_in_one_order() -> None:
    assert headings(card(exported(), facts(), kappas(), example=EXAMPLE)) == [
        "Preferences of feedback-pairs",
        "How it was made",
        "How sure the labels are",
        "Agreement with people",
        "Votes, and the order of the answers",
        "Judges and their own family",
        "Margins",
        "What was left out",
        "Balance of labels",
        "How to use it",
        "Columns",
        "A row of each",
        "Limits",
        "Sources",
    ]


HOSTILE = st.text(st.sampled_from("`~|#-<>/\n\r\\_*[]()! a\u2028\ud800\x1b"), max_size=80)


def shape(text: str) -> list[tuple[str, int]]:
    return [(token.type, token.level) for token in parsed(text)]


USUAL = shape(card(exported(), facts(), kappas(), example={"generation-dpo": row("dpo")}))


@given(HOSTILE, HOSTILE)
@settings(max_examples=25, deadline=None)
def test_no_text_of_a_model_breaks_out_of_its_block(prompt: str, answer: str) -> None:
    hostile = row("dpo", prompt=f"```\n# {prompt}", better=f"{answer}\n````\n</details>", worse=f"|{answer}|---\n---\n")
    text = card(exported(), facts(), kappas(), example={"generation-dpo": hostile})
    assert shape(text) == USUAL
    said = json.loads(blocks(text, "json")[0])
    assert said["rejected"][0]["content"].endswith("|---\n---\n")
    text.encode("utf-8")


def of(name: str) -> str:
    """Return a card in which everything that has a name has this one."""
    known = facts(data=name, about=name, text=name, judges=(judge(agent=name, kin=(name,)),))
    kappa = JudgeKappa(judge=name, model=name, benchmark=name, rater=name, rater_model=name, n=1, kappa_method=name)
    funnel = Funnel(
        data="generation", items=1, items_failed=1, items_open=1, items_without=1, candidates=2, labels=0,
        steps=(Step(step=name, lost=1, left=1, why=name),), kept=1,
    )  # fmt: skip
    only = written("generation-dpo", {"train": 1}, notes=(name,), left_out={name: 1})
    return card(exported(only, funnels=(funnel,)), known, (kappa,))


NAMED = shape(of("n"))


@given(HOSTILE)
@settings(max_examples=25, deadline=None)
def test_no_name_breaks_out_of_its_cell_or_paragraph(words: str) -> None:
    text = of(f"n{words}")
    assert shape(text) == NAMED
    text.encode("utf-8")


def test_a_long_text_is_shortened_and_says_by_how_much() -> None:
    text = card(exported(), facts(), example={"generation-dpo": row("dpo", better="x" * 5_000)})
    said = json.loads(blocks(text, "json")[0])["chosen"][0]["content"]
    assert re.fullmatch(r"x{400} \[… 4,600 more characters\]", said)


def test_every_python_block_is_python_and_names_what_was_written() -> None:
    code = blocks(card(exported(), facts(), example=EXAMPLE), "python")
    assert len(code) == 3
    for block in code:
        ast.parse(block)
    assert 'load_dataset("NAME", "generation-dpo", split="train")' in code[0]
    assert "DPOTrainer" in code[1]
    assert "desirable_weight=1.23, undesirable_weight=1" in code[2]


def test_the_export_command_names_every_option_that_rows_were_chosen_by() -> None:
    options = Options(
        margin=0.5, quorum=2, agreement=0.75, splits={"test": 0.1, "dev": 0.05}, seed=3, not_in=("mt bench",),
        variant="a/b",
    )  # fmt: skip
    found = exported(written("generation-reward", {"train": 1}, files={"train": "x/train.parquet"}), options=options)
    command = blocks(card(found, facts(), license="mit"), "sh")[0].splitlines()[1]
    assert shlex.split(command) == [
        *("fellowship", "export", "RUN", "--format", "reward", "--data", "generation", "--margin", "0.5"),
        *("--quorum", "2", "--agreement", "0.75", "--split", "test=0.1", "--split", "dev=0.05"),
        *("--near-duplicates", "off", "--not-in", "mt bench", "--variant", "a/b", "--seed", "3"),
        *("--files", "parquet", "--license", "mit", "--to", "DIR"),
    ]


def test_a_judge_that_was_measured_stands_there_with_kappa_and_interval() -> None:
    text = card(exported(), facts(), kappas())
    assert "| 0.388 | [0.357, 0.419] | 65.2 % | [63.0, 67.4] | 1,814 | 2 |" in text
    assert "was not measured" not in text


def test_a_judge_that_was_not_measured_is_said_to_be_so_with_the_command_that_would() -> None:
    text = card(exported(), facts())
    assert "How far `judge` agrees with people was not measured." in text
    assert "fellowship run judge --data hub:mt-bench --model openai/gpt-4o-mini" in text


def test_a_judge_that_the_benchmark_lacks_is_named() -> None:
    missing = JudgeKappa(judge="judge", model="openai/gpt-4o-mini", benchmark="fair-eval", rater=None)
    assert "`judge` was not measured: nobody in `fair-eval` has its model." in card(exported(), facts(), (missing,))


def test_who_judged_in_one_order_only_is_named() -> None:
    assert "`judge` judged in one order only" in card(exported(), facts(judges=(judge(),)))
    both = judge(flip_rate=Estimate(value=0.25, ci=(0.1, 0.5), n=12), half_unread=2)
    text = card(exported(), facts(judges=(both,)))
    assert "judged in one order only" not in text
    assert "| 10 | 0 | 25.0 % | [10.0, 50.0] | 12 | 2 |" in text


@pytest.mark.parametrize(
    ("kin", "said"),
    [
        (("openai/gpt-4o-mini",), "judged its own texts.**"),
        (("openai/gpt-4o",), "judged texts of its own family (`openai/gpt-4o`).**"),
        (("openai/gpt-4o", "openai/gpt-4o-mini"), "judged its own texts and those of its family (`openai/gpt-4o`, "),
        ((), "No judge is of the family of a model whose texts it judged"),
    ],
)
def test_judging_of_ones_own_family_is_said_plainly(kin: tuple[str, ...], said: str) -> None:
    assert said in card(exported(), facts(judges=(judge(kin=kin),)))


def test_a_cost_that_nobody_knows_is_said_to_be_so() -> None:
    text = card(exported(), facts(cost_usd=None, unpriced=12, not_asked=30))
    assert "| cost | not known: 12 of 5,478 calls have no price |" in text
    assert "| calls | 5,478, 30 of them answered out of a cache or a recording |" in text


def test_an_export_without_judges_scores_or_rows_has_a_card_too() -> None:
    none = Margins(
        data="generation", n=0, scale=None, min=None, lower_quartile=None, median=None, upper_quartile=None, max=None,
        mean=None, mean_ci=None,
    )  # fmt: skip
    empty = exported(written("generation-dpo", {"train": 0}), margins=(none,), funnels=())
    text = card(empty, facts(judges=(), speakers=(), first_day=None, last_day=None, calls=0, data=None))
    assert "No judge voted in this run" in text
    assert "The pairs have no scores" in text
    assert "None" not in text


def test_what_each_step_lost_stands_in_a_table() -> None:
    text = card(exported(), facts())
    assert "| candidates | pairs and single labels |  | 998 |" in text
    assert "| margin | scores less than 1 apart | 120 | 575 |" in text
    assert "Nothing was lost by: quorum." in text
    assert "- `generation-kto`: 8 contradictory" in text


def test_what_is_to_be_known_of_a_configuration_is_told() -> None:
    notes = ("test is empty: it has no file", "train has no desirable completion: KTO needs both labels")
    found = exported(
        written("generation-kto", {"train": 3, "test": 0}, notes=notes),
        written("generation-reward", {"train": 3, "test": 0}, implicit=True),
    )
    text = card(found, facts())
    assert f"- `generation-kto`: {'; '.join(notes)}.\n- `generation-reward`: both answers begin with the same" in text


def test_a_language_that_nobody_named_is_said_to_be_assumed() -> None:
    assert "The language is assumed to be English" in card(exported(), facts())
    text = card(exported(), facts(), languages=("de", "fr"))
    assert "- de\n- fr\n" in text
    assert "assumed to be English" not in text
