"""Pairs of a run, written as data sets: order, filters, splits, and what each format makes of a pair."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import Made, dropped, pair, pairs, side, user
from playing import content

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.items import Turn
from fellowship.protocols.pairing import REASONS, Data, Filters
from fellowship.scenarios.preferences import columns
from fellowship.scenarios.preferences.balance import balance
from fellowship.scenarios.preferences.candidates import why_dropped
from fellowship.scenarios.preferences.export import export
from fellowship.scenarios.preferences.exported import FORMATS, Exported, Options
from fellowship.scenarios.preferences.pair import Pair
from fellowship.scenarios.preferences.prompts import normalised
from fellowship.scenarios.preferences.reading import read_pairs
from fellowship.scenarios.preferences.splits import Splits

LISTS = st.lists(pairs(asked=Filters()), max_size=8)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line] if path.is_file() else []


def rows(folder: Path, config: str, split: str = "train") -> list[dict[str, Any]]:
    return lines(folder / config / f"{split}.jsonl")


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def once(prompts: Iterable[str]) -> Callable[[int], str | None]:
    """Call a prompt a duplicate where the same text came before, and an overlap where it says so."""
    seen: set[str] = set()
    found: list[str | None] = []
    for prompt in prompts:
        found.append("overlap with exam" if "exam" in prompt else "duplicate" if prompt in seen else None)
        seen.add(prompt)
    return found.__getitem__


def in_item_order(found: Iterable[Pair]) -> list[Pair]:
    return sorted(found, key=lambda each: each.number)


# what each format makes of a pair


def test_a_pair_is_a_row_of_dpo_with_its_prompt_beside_both_answers(tmp_path: Path) -> None:
    export(Made([pair(chosen="yes", rejected="no")]), tmp_path / "d", ["dpo"], data="generation")
    (row,) = rows(tmp_path / "d", "generation-dpo")
    known = row.pop("metadata")
    assert row == {
        "prompt": [{"role": "user", "content": "Question 0?"}],
        "chosen": said("yes"),
        "rejected": said("no"),
    }
    assert known["models"] == {"chosen": "acme/w", "rejected": "acme/w", "judges": ["acme/j"]}
    assert known["scores"] == {"chosen": 8.0, "rejected": 6.0, "scale": 10}
    assert (known["run"], known["item"], known["margin"]) == ("r1", "i0", 2.0)
    assert [one["order"] for one in known["ballots"]] == ["chosen-first", "rejected-first"]
    assert known["events"] == {"chosen": "writer/1", "rejected": "writer/2"}
    assert known["prompt_id"] == sha256(b"Question 0?").hexdigest()


def test_an_implicit_row_begins_with_the_same_prompt_on_both_sides(tmp_path: Path) -> None:
    made = replace(pair(), prompt=(Turn(role="system", content="Be short."), *user("Why?")))
    export(Made([made]), tmp_path / "d", ["dpo", "reward"], implicit=True, data="generation")
    for config in ("generation-dpo", "generation-reward"):
        (row,) = rows(tmp_path / "d", config)
        prompt = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why?"}]
        assert "prompt" not in row
        assert (row["chosen"], row["rejected"]) == (prompt + said("good"), prompt + said("bad"))
    assert rows(tmp_path / "d", "generation-reward")[0]["margin"] == 2.0


def test_pairs_without_scores_are_no_rows_of_reward_and_are_counted(tmp_path: Path) -> None:
    found = export(Made([pair(0), pair(1, margin=None)]), tmp_path / "d", ["reward", "dpo"], data="generation")
    assert {each.format: (each.rows, each.left_out) for each in found.written} == {
        "dpo": ({"train": 2}, {}),
        "reward": ({"train": 1}, {"no scores": 1}),
    }


def test_a_completion_is_a_row_of_kto_once_and_none_where_it_is_both_good_and_bad(tmp_path: Path) -> None:
    made = [pair(0, chosen="A", rejected="B"), pair(0, chosen="B", rejected="C"), pair(0, chosen="A", rejected="C")]
    alone = pair(1, chosen=None, rejected="B")
    found = export(Made([*made, alone]), tmp_path / "d", ["kto"], data="generation")
    told = [
        (row["prompt"][0]["content"], row["completion"], row["label"]) for row in rows(tmp_path / "d", "generation-kto")
    ]
    assert told == [
        ("Question 0?", said("A"), True),
        ("Question 0?", said("C"), False),
        ("Question 1?", said("B"), False),
    ]
    assert found.written[0].left_out == {"contradictory": 2, "repeated": 2}


def test_single_labels_are_said_by_kto_alone(tmp_path: Path) -> None:
    made = [pair(0, data="workflow"), pair(0, rejected=None, data="workflow"), pair(1, chosen=None, data="workflow")]
    found = export(Made(made), tmp_path / "d", ["dpo", "kto", "reward"], data="workflow")
    assert [(each.format, each.rows["train"], each.left_out) for each in found.written] == [
        ("dpo", 1, {"single labels": 2}),
        ("kto", 3, {"repeated": 1}),
        ("reward", 1, {"single labels": 2}),
    ]
    assert (found.funnels[0].candidates, found.funnels[0].labels, found.funnels[0].kept) == (1, 2, 3)


def test_sft_has_one_answer_a_prompt_the_one_that_lost_least_then_scored_highest_then_won_most(tmp_path: Path) -> None:
    def won(number: int, better: str, score: float | None, worse: str) -> Pair:
        return pair(number, chosen=side(better, score=score), rejected=worse)

    made = [
        won(0, "loser", 9.0, "x"), won(0, "winner", 8.0, "loser"),
        won(1, "low", 7.0, "x"), won(1, "high", 8.0, "x"), won(1, "low", 7.0, "y"),
        won(2, "once", None, "x"), won(2, "twice", None, "x"), won(2, "twice", None, "y"),
        won(3, "first", None, "x"), won(3, "second", None, "x"),
    ]  # fmt: skip
    found = export(Made(made), tmp_path / "d", ["sft"])
    assert [row["completion"] for row in rows(tmp_path / "d", "generation-sft")] == [
        said(text) for text in ("winner", "high", "twice", "first")
    ]
    assert found.written[0].left_out == {"not the best": 6}
    assert [each.config for each in found.written] == ["generation-sft"]


@given(LISTS)
@settings(max_examples=25, deadline=None)
def test_every_pair_is_a_row_of_each_format_or_counted_as_left_out(made: list[Pair]) -> None:
    with TemporaryDirectory() as folder:
        found = export(Made(made), Path(folder) / "d", FORMATS)
        kept = {funnel.data: funnel.kept for funnel in found.funnels}
        sides = {
            data: sum(
                (one.chosen is not None) + (one.rejected is not None)
                for one in made
                if one.data == data and not one.dropped
            )
            for data in kept
        }
        for each in found.written:
            told = sides if each.format == "kto" else kept
            assert sum(each.rows.values()) + sum(each.left_out.values()) == told[each.data], each
            written = rows(Path(folder) / "d", each.config)
            assert len(written) == each.rows["train"]
            if each.format != "reward":
                assert len({json.dumps(row["prompt"]) for row in written}) == each.prompts["train"]


# the funnel


@given(LISTS, st.booleans())
@settings(max_examples=25, deadline=None)
def test_what_is_kept_and_all_that_is_lost_come_to_the_candidates_at_every_step(made: list[Pair], look: bool) -> None:
    with TemporaryDirectory() as folder:
        found = export(Made(made), Path(folder) / "d", ["kto"], repeats=once if look else None)
    for funnel in found.funnels:
        of_it = [one for one in made if one.data == funnel.data]
        assert funnel.candidates + funnel.labels == len(of_it)
        left = len(of_it)
        for step in funnel.steps:
            left -= step.lost
            assert step.left == left
        assert funnel.kept == left
        lost = Counter(one.dropped for one in of_it)
        assert [step.lost for step in funnel.steps[: len(REASONS)]] == [lost[reason] for reason in REASONS]


def test_items_of_a_prompt_that_came_before_or_is_in_an_evaluation_set_are_left_out_with_all_their_pairs(
    tmp_path: Path,
) -> None:
    made = [
        pair(2, "same"), pair(0, "same"), pair(0, "same", "better"), pair(1, "exam"), pair(3, "other", data="workflow"),
        pair(2, "reviewed", data="workflow", request=user("same")),
    ]  # fmt: skip
    found = export(Made(made), tmp_path / "d", ["dpo"], repeats=once, options=Options(not_in=("exam",)))
    generation, workflow = found.funnels
    assert {step.step: step.lost for step in generation.steps if step.lost} == {"overlaps": 1, "duplicates": 1}
    assert [step.why for step in generation.steps if step.step == "overlaps"] == ["exam: 1"]
    assert {step.step: step.lost for step in workflow.steps if step.lost} == {"duplicates": 1}
    assert [row["metadata"]["number"] for row in rows(tmp_path / "d", "generation-dpo")] == [0, 0]


def test_the_variants_of_one_item_are_no_duplicates_of_one_another(tmp_path: Path) -> None:
    made = [pair(number, "same", variant=name, item=f"{name}/i0") for number, name in enumerate(("one", "two"))]
    assert export(Made(made), tmp_path / "d", ["dpo"], repeats=once).funnels[0].kept == 2


# filters


@given(
    LISTS,
    st.none() | st.sampled_from((0.0, 1.5)),
    st.none() | st.integers(1, 4),
    st.none() | st.sampled_from((0.0, 0.6, 1.0)),
)
@settings(max_examples=25, deadline=None)
def test_other_filters_keep_what_a_scenario_with_these_filters_would_have_kept(
    made: list[Pair], margin: float | None, quorum: int | None, agreement: float | None
) -> None:
    asked = Filters(margin=1.0, quorum=2)
    options = Options(margin=margin, quorum=quorum, agreement=agreement)
    wanted = asked.model_copy(
        update={name: value for name, value in options if value is not None and name in Filters.model_fields}
    )
    with TemporaryDirectory() as folder:
        first = [dropped(one, why_dropped(one, asked)) for one in made]
        then = [dropped(one, why_dropped(one, wanted)) for one in made]
        mended = export(Made(first, asked), Path(folder) / "one", ["dpo", "kto"], options=options)
        meant = export(Made(then, wanted), Path(folder) / "two", ["dpo", "kto"], options=options)
        assert mended == meant
        assert content(Path(folder) / "one") == content(Path(folder) / "two")


def test_what_no_filter_decides_stays_as_it_was() -> None:
    made = pair(margin=None, votes=(0, 1, 0, 0), dropped="tie")
    assert why_dropped(made, Filters()) == "tie"
    assert why_dropped(replace(made, dropped="agreement", votes=(2, 1, 0, 0)), Filters(agreement=0.6)) is None
    assert why_dropped(replace(made, dropped=None, votes=(2, 1, 0, 0)), Filters(agreement=0.7)) == "agreement"
    assert why_dropped(replace(made, dropped=None), Filters(margin=1)) == "no scores"


@given(LISTS, st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_rows_and_figures_are_the_same_in_however_many_parts_pairs_are_looked_at(
    made: list[Pair], block: int, part: int
) -> None:
    with TemporaryDirectory() as folder:
        whole = export(Made(made), Path(folder) / "one", FORMATS)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(columns, "BLOCK", block)
            patched.setattr(columns, "PART", part)
            assert export(Made(made), Path(folder) / "two", FORMATS) == whole
        assert content(Path(folder) / "one") == content(Path(folder) / "two")


# order


@given(LISTS, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_rows_are_in_the_order_of_the_items_however_conversations_ended(made: list[Pair], chance: Any) -> None:
    groups = [list(group) for _, group in groupby(in_item_order(made), key=lambda each: each.number)]
    with TemporaryDirectory() as folder:
        export(Made([one for group in groups for one in group]), Path(folder) / "one", ["dpo", "sft"])
        chance.shuffle(groups)
        export(Made([one for group in groups for one in group]), Path(folder) / "two", ["dpo", "sft"])
        assert content(Path(folder) / "one") == content(Path(folder) / "two")
        for config in ("generation-dpo", "workflow-dpo"):
            numbers = [row["metadata"]["number"] for row in rows(Path(folder) / "one", config)]
            assert numbers == sorted(numbers)


def test_the_variants_of_an_item_stand_in_the_order_of_their_names(tmp_path: Path) -> None:
    made = [pair(0, variant=name) for name in ("b", "a", None, "c")]
    export(Made(made), tmp_path / "d", ["dpo"])
    assert [row["metadata"]["variant"] for row in rows(tmp_path / "d", "generation-dpo")] == [None, "a", "b", "c"]


# splits

PROMPTS = st.lists(st.text(st.sampled_from("aAàÀ \tß\uff11"), min_size=1, max_size=4), min_size=1, max_size=10)


@given(PROMPTS, st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_no_prompt_is_in_two_splits_in_any_format_or_data_set(texts: list[str], seed: int) -> None:
    made = [pair(number, text, f"good {number}") for number, text in enumerate(texts)]
    made += [
        pair(number, "Review it.", f"well {number}", data="workflow", of="feedback", request=user(text))
        for number, text in enumerate(texts)
    ]
    options = Options(splits={"test": 0.3, "dev": 0.2}, seed=seed)
    with TemporaryDirectory() as folder:
        found = export(Made(made), Path(folder) / "d", FORMATS, options=options)
        where: dict[str, set[str]] = {}
        for each in found.written:
            for split in each.files:
                for row in rows(Path(folder) / "d", each.config, split):
                    where.setdefault(normalised(texts[row["metadata"]["number"]]), set()).add(split)
            assert each.files.keys() == {split for split, number in each.rows.items() if number}
    assert all(len(splits) == 1 for splits in where.values())


def test_a_split_gets_its_share_and_other_prompts_move_nobody() -> None:
    splits = Splits({"test": 0.1, "dev": 0.2}, seed=5)
    shares = Counter(splits.names[splits.of(f"prompt {number}")] for number in range(10_000))
    assert {name: round(count / 10_000, 1) for name, count in shares.items()} == {"train": 0.7, "dev": 0.2, "test": 0.1}
    other = Splits({"test": 0.1, "dev": 0.2}, seed=6)
    assert any(splits.of(f"prompt {number}") != other.of(f"prompt {number}") for number in range(100))


def test_the_same_prompt_in_other_letters_and_spaces_is_one() -> None:
    assert normalised(" Straße\n\uff11 ") == normalised("STRASSE 1")


def test_a_split_that_is_empty_has_no_file_and_is_told(tmp_path: Path) -> None:
    found = export(Made([pair()]), tmp_path / "d", ["dpo"], data="generation", options=Options(splits={"test": 1e-9}))
    assert found.written[0].rows == {"train": 1, "test": 0}
    assert found.written[0].files == {"train": "generation-dpo/train.jsonl"}
    assert found.written[0].notes == ("test is empty: it has no file",)
    assert not (tmp_path / "d" / "generation-dpo" / "test.jsonl").exists()


# reading back


@given(st.lists(pairs(labels=False), max_size=6), st.booleans(), st.sampled_from(("jsonl", "parquet")))
@settings(max_examples=25, deadline=None)
def test_pairs_that_are_exported_and_read_again_are_the_same(made: list[Pair], implicit: bool, files: Any) -> None:
    with TemporaryDirectory() as folder:
        export(Made(made), Path(folder) / "d", ["dpo"], implicit=implicit, files=files)
        for data in ("generation", "workflow"):
            path = Path(folder) / "d" / f"{data}-dpo" / f"train.{files}"
            back = list(read_pairs(path)) if path.is_file() else []
            assert back == [replace(one, request=()) for one in in_item_order(made) if one.data == data]


def test_a_file_that_is_none_of_an_export_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"prompt": "p", "chosen": "c", "rejected": "r"}\n')
    with pytest.raises(DeclarationError, match=r"other.jsonl:1: not a row of DPO"):
        list(read_pairs(path))


# figures


@pytest.mark.parametrize(
    ("desirable", "undesirable"), [(1, 1), (400, 300), (133, 100), (1000, 3), (3, 1000), (7, 6), (134, 100)]
)
def test_weights_bring_kto_labels_between_1_to_1_and_4_to_3(desirable: int, undesirable: int) -> None:
    """The bounds of trl 0.27's KTOTrainer, after equation 8 of arXiv 2402.01306, which it rounds to hundredths."""
    found = balance(desirable, undesirable)
    up, down = found.desirable_weight, found.undesirable_weight
    assert 1 <= up * desirable / (down * undesirable) <= 4 / 3
    lower, upper = round(undesirable * down / desirable, 2), round(undesirable * down / desirable * 1.33, 2)
    assert lower <= up <= upper or round(desirable * up / undesirable / 1.33, 2) <= down <= round(
        desirable * up / undesirable, 2
    )
    assert 1.0 in (up, down)


def test_a_kto_data_set_with_one_label_only_is_told(tmp_path: Path) -> None:
    made = [pair(number, rejected=None, data="workflow") for number in range(3)]
    (found,) = export(Made(made), tmp_path / "d", ["kto"], data="workflow").written
    assert found.notes == ("train has no undesirable completion: KTO needs both labels",)
    assert found.balance is not None
    assert (found.balance.desirable, found.balance.undesirable) == (3, 0)


def test_margins_are_summed_up_with_an_interval_clustered_by_item(tmp_path: Path) -> None:
    """Against statsmodels' mean with a clustered covariance, whose small-sample factor is G / (G - 1) here."""
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(3)
    values, groups = rng.integers(1, 9, 60) / 2, np.repeat(np.arange(20), 3)
    made = [pair(int(group), margin=float(value)) for group, value in zip(groups, values, strict=True)]
    (found,) = export(Made(made), tmp_path / "d", ["dpo"], data="generation").margins
    fitted = OLS(values, np.ones((60, 1))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert found.mean_ci == pytest.approx(fitted.conf_int()[0])
    told = (found.min, found.lower_quartile, found.median, found.upper_quartile, found.max, found.mean)
    assert told == pytest.approx((*np.quantile(values, (0, 0.25, 0.5, 0.75, 1)), values.mean()))
    assert (found.n, found.scale) == (60, 10)


# refused


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -1.0])
def test_a_score_that_is_no_number_is_refused_and_nothing_is_written(tmp_path: Path, score: float) -> None:
    with pytest.raises(DeclarationError, match="item i0: .* is no score"):
        export(Made([pair(chosen=side("x", score=score))]), tmp_path / "d", ["dpo"])
    assert not (tmp_path / "d").exists()


def test_a_text_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="item i0: a text cannot be written"):
        export(Made([pair(chosen="\ud800")]), tmp_path / "d", ["dpo"])


@pytest.mark.parametrize(
    ("formats", "data", "makes", "words"),
    [
        (["sft"], "workflow", ("generation", "workflow"), "sft is made of generation data"),
        (["dpo"], "workflow", ("generation",), "no workflow data: its scenario makes generation"),
        (["dpo"], None, (), "its scenario makes none"),
    ],
)
def test_data_that_the_scenario_does_not_make_is_refused(
    tmp_path: Path, formats: Sequence[Any], data: Data | None, makes: tuple[Data, ...], words: str
) -> None:
    with pytest.raises(DeclarationError, match=words):
        export(Made([], data=makes), tmp_path / "d", formats, data=data)


def test_export_json_is_what_the_export_came_to(tmp_path: Path) -> None:
    found = export(Made([pair()], items=3, failed=1, without={"generation": 1}), tmp_path / "d", ["dpo"])
    assert Exported.model_validate_json((tmp_path / "d" / "export.json").read_bytes()) == found
    assert (found.funnels[0].items, found.funnels[0].items_failed, found.funnels[0].items_without) == (3, 1, 1)
