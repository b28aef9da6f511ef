"""Any two pipelines against each other, by a judge whose mind is known."""

import json
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playing import beside, fellowship, library, results, status
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from fellowship.protocols.errors import ModelNotFound, QuotaExhausted
from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Item
from fellowship.protocols.models import ModelCall
from fellowship.runtime.testing import LoopbackEndpoint, ScriptedModel
from fellowship.scenarios import Plan, Settings, load, play
from fellowship.scenarios.pipelines import Pipeline, open_pipelines
from fellowship.scenarios.spec import Sweep
from fellowship.scenarios.steps import Swept
from fellowship.scenarios.sweep import sweep
from fellowship.scenarios.versus import comparisons, meetings

SHOWN = re.compile(r'<answer-\w+ name="[AB]">\n(.*?)\n</answer', re.DOTALL)
QUESTION = re.compile(r"Question (\d+)\?")
LENGTHS: dict[str, Callable[[int], int]] = {
    "long": lambda number: 9,
    "short": lambda number: 1,
    "middle": lambda number: 5,
    "mixed": lambda number: 12 if number < 4 else 5 if number < 6 else 2,
}
"""How many words each model answers a question with."""
LOOPS = """
scenario: {name}
takes: instruction
models: {{one: acme/long, other: acme/short}}
sweep:
  - play: answer
    over: {{models.writer: every}}
  - play: feedback-loop
    over: {{models.writer: every, models.reviewer: every}}
    distinct: [models.writer, models.reviewer]
gives: draft
"""


class Judge:
    """Scores two answers by a function of how long they are; counts what it is asked."""

    def __init__(self, scores: Callable[[int, int], tuple[int, int]] = lambda first, second: (first, second)) -> None:
        self.scores = scores
        self.asked = 0

    def __call__(self, call: ModelCall) -> str:
        self.asked += 1
        if call.answer is None:
            return "One of them is longer."
        said = " ".join(message.content for message in call.messages)
        found = [len(text.split()) for text in SHOWN.findall(said)]
        scores = iter(min(score, 10) for score in self.scores(*found[:2]))
        fields = call.answer.schema["properties"]
        return json.dumps({name: next(scores) if "number" in str(part) else "So." for name, part in fields.items()})


def questions(count: int, **more: Any) -> list[Item]:
    return [Item(id=ItemId(f"i{number}"), prompt=f"Question {number}?", **more) for number in range(count)]


def written(call: ModelCall) -> str:
    """Answer a question with as many words as the model always has for it."""
    number = int(QUESTION.search(" ".join(message.content for message in call.messages))[1])  # type: ignore[index]
    name = call.settings.model.partition("/")[2]
    if call.answer is not None:
        return json.dumps(
            {key: 5 if "number" in str(part) else "Fine." for key, part in call.answer.schema["properties"].items()}
        )
    return " ".join([f"{name}{number}"] * LENGTHS[name](number))


def played(plan: Plan | Swept, items: list[Item], out: Path, script: Callable[[ModelCall], Any]) -> None:
    anyio.run(play, plan, items, out, Settings(client=ScriptedModel(script)))


def answered(out: Path, model: str, items: list[Item], script: Callable[[ModelCall], Any] = written) -> Path:
    played(library("answer", model=f"acme/{model}"), items, out, script)
    return out


def swept(folder: Path, items: list[Item], name: str = "mine") -> Path:
    (folder / "mine.yaml").write_text(LOOPS.format(name=name))
    declared, source = load(str(folder / "mine.yaml"))
    assert isinstance(declared, Sweep)
    played(sweep(declared, source=source), items, folder / "loops", written)
    return folder / "loops"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run of single answers and one of a sweep."""
    folder = tmp_path_factory.mktemp("there")
    answered(folder / "short", "short", questions(1))
    swept(folder, questions(1))
    return folder


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def address(judge: Judge) -> Generator[str, None, None]:
    with beside(LoopbackEndpoint(judge)) as server:
        yield server.base_url


def versus(address: str, *arguments: object, code: int = 0) -> dict[str, Any]:
    result = fellowship("versus", *arguments, "--model", "acme/judge", "--base-url", address, "--no-cache", "--json")
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def match(found: dict[str, Any], model: str, opponent: str) -> dict[str, Any]:
    return next(each for each in found["matches"] if (each["model"], each["opponent"]) == (model, opponent))


def test_a_judge_of_length_lets_the_longer_answer_win_as_often_as_it_is_longer(
    tmp_path: Path, judge: Judge, address: str
) -> None:
    for name in ("mixed", "middle"):
        answered(tmp_path / name, name, questions(10))
    found = versus(address, tmp_path / "mixed", tmp_path / "middle", "--out", tmp_path / "v")
    one = match(found, "mixed", "middle")
    assert (one["wins"], one["ties"], one["losses"], one["n"], one["unread"]) == (4, 2, 4, 10, 0)
    assert one["win_rate"] == 0.4
    assert one["win_rate_ci"] == pytest.approx(proportion_confint(4, 10, method="wilson"))
    assert one["win_rate_ties_half"] == 0.5
    assert (found["orders"], found["models"], one["orders_differ"]) == (["ab", "ba"], ["acme/judge"], 0)
    assert judge.asked == 20
    pairs = json.loads(fellowship("winrate", tmp_path / "v", "--json").stdout)["pairs"]
    (same,) = (pair for pair in pairs if pair["model"] == "mixed")
    assert {name: same[name] for name in one.keys() & same.keys()} == {
        name: one[name] for name in one.keys() & same.keys()
    }
    assert fellowship("rank", tmp_path / "v").exit_code == 0
    assert fellowship("trace", tmp_path / "v", "i3/mixed-vs-middle").exit_code == 0


def test_a_judge_of_places_brings_ties_alone_unless_one_order_is_asked_for(
    tmp_path: Path, judge: Judge, address: str
) -> None:
    judge.scores = lambda first, second: (9, 2)
    for name in ("long", "short"):
        answered(tmp_path / name, name, questions(6))
    both = (tmp_path / "short", tmp_path / "long")
    swapped = match(versus(address, *both, "--out", tmp_path / "v"), "short", "long")
    assert (swapped["ties"], swapped["orders_differ"]) == (6, 6)
    published = versus(address, *both, "--out", tmp_path / "p", "--as-published")
    assert (match(published, "short", "long")["wins"], published["orders"]) == (6, ["ab"])
    behind = versus(address, *both, "--out", tmp_path / "b", "--set", "judging.orders=ba")
    assert (match(behind, "short", "long")["losses"], behind["orders"]) == (6, ["ba"])


def test_the_same_command_again_asks_nothing_and_what_a_run_went_on_with_is_added(
    tmp_path: Path, judge: Judge, address: str
) -> None:
    answered(tmp_path / "long", "long", questions(6))
    answered(tmp_path / "short", "short", questions(4))
    command = (tmp_path / "long", tmp_path / "short", "--out", tmp_path / "v")
    first = versus(address, *command, code=1)
    assert match(first, "long", "short")["left_out"] == [
        {"why": "not there", "pipeline": "short", "items": 2, "first": ["i4", "i5"]}
    ]
    assert judge.asked == 8
    pairs = (tmp_path / "v" / "pairs.jsonl").read_bytes()
    assert versus(address, *command, code=1) == first
    assert judge.asked == 8
    assert (tmp_path / "v" / "pairs.jsonl").read_bytes() == pairs
    answered(tmp_path / "short", "short", questions(6))
    assert match(versus(address, *command), "long", "short")["n"] == 6
    assert judge.asked == 12
    run = fellowship("run", "judge", "--data", tmp_path / "v" / "pairs.jsonl", "--out", tmp_path / "v", "--model", "acme/judge",
                     "--set", "judging.orders=both", "--base-url", address, "--no-cache")  # fmt: skip
    assert (run.exit_code, judge.asked) == (0, 12), "they are a data set like any other"


def test_comparisons_are_by_item_and_then_by_meeting_and_say_whose_answers_they_are(
    tmp_path: Path, address: str
) -> None:
    runs = [answered(tmp_path / name, name, questions(3)) for name in ("long", "short", "middle")]
    versus(address, *runs, "--out", tmp_path / "v", "--limit", 2)
    rows = [json.loads(line) for line in (tmp_path / "v" / "pairs.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [
        f"i{number}/long-vs-{other}" for number in range(2) for other in ("short", "middle")
    ]
    assert rows[0] == {
        "id": "i0/long-vs-short",
        "prompt": "Question 0?",
        "a": " ".join(["long0"] * 9),
        "model_a": "long",
        "b": "short0",
        "model_b": "short",
        "item": "i0",
    }
    assert [line["item"] for line in results(tmp_path / "v")] == [row["id"] for row in rows]
    assert status(tmp_path / "v")["done"] == 4


def test_items_without_an_answer_or_with_another_prompt_are_left_out_and_told(tmp_path: Path, address: str) -> None:
    def failing(call: ModelCall) -> Any:
        text = written(call)
        return ModelNotFound("no such model") if "0" in text else text

    answered(tmp_path / "short", "short", questions(4), failing)
    others = [
        item if number != 2 else item.model_copy(update={"prompt": "Question 22?"})
        for number, item in enumerate(questions(3))
    ]
    answered(tmp_path / "long", "long", others)
    result = fellowship("versus", tmp_path / "short", tmp_path / "long", "--model", "acme/judge", "--base-url", address, "--out", tmp_path / "v")  # fmt: skip
    assert result.exit_code == 1
    assert "short against long: failed with short: 1 (i0)" in result.stderr
    assert "short against long: not there with long: 1 (i3)" in result.stderr
    assert "short against long: prompts differ: 1 (i2)" in result.stderr
    assert "0.0 [0.0, 79.3]" in result.stdout
    assert re.search(r"short\s+long\s+0/0/1\s+1\s+0\s+0\s+0\s+0\s+3", result.stdout)


def test_a_run_that_is_not_finished_is_compared_as_far_as_it_is(tmp_path: Path, address: str) -> None:
    def stopping(call: ModelCall) -> Any:
        text = written(call)
        return QuotaExhausted("the quota is used up") if "3" in text else text

    answered(tmp_path / "short", "short", questions(6), stopping)
    answered(tmp_path / "long", "long", questions(6))
    one = match(
        versus(address, tmp_path / "short", tmp_path / "long", "--out", tmp_path / "v", code=1), "short", "long"
    )
    left = {each["why"]: each["items"] for each in one["left_out"]}
    assert left.keys() <= {"open", "not there"}
    assert left["open"] >= 1
    assert one["n"] == one["pairs"] == 6 - sum(left.values())


def test_a_verdict_that_cannot_be_read_is_counted_and_is_in_no_figure(tmp_path: Path, judge: Judge) -> None:
    for name in ("long", "short"):
        answered(tmp_path / name, name, questions(5))
    silent = LoopbackEndpoint(lambda call: "No." if "Question 2?" in str(call.messages) else judge(call))
    with beside(silent) as server:
        found = versus(server.base_url, tmp_path / "long", tmp_path / "short", "--out", tmp_path / "v")
    one = match(found, "long", "short")
    assert (one["wins"], one["n"], one["unread"], one["win_rate"]) == (4, 4, 1, 1.0)


def test_a_sweep_is_held_against_its_single_answers_which_meet_one_another(tmp_path: Path, address: str) -> None:
    found = versus(address, swept(tmp_path, questions(3)), "--out", tmp_path / "v")
    assert found["opponents"] == ["answer/one", "answer/other"]
    assert [(each["model"], each["opponent"]) for each in found["matches"]] == [
        ("answer/other", "answer/one"),
        ("feedback-loop/one/other", "answer/one"),
        ("feedback-loop/one/other", "answer/other"),
        ("feedback-loop/other/one", "answer/one"),
        ("feedback-loop/other/one", "answer/other"),
    ]
    loop = match(found, "feedback-loop/other/one", "answer/other")
    assert (loop["identical"], loop["ties"]) == (3, 3), "they are judged, and told"
    assert match(found, "feedback-loop/one/other", "answer/other")["wins"] == 3
    assert found["published"] == []


def test_variants_that_a_sweep_has_gone_on_without_are_no_pipelines_of_it(tmp_path: Path) -> None:
    scenario, source = load("loops")
    assert isinstance(scenario, Sweep)
    client = ScriptedModel(written)
    for models in (["long", "short"], ["long"]):
        made = sweep(scenario, source=source, models=[(name, f"acme/{name}") for name in models])
        anyio.run(play, made, questions(1), tmp_path / "run", Settings(client=client, accept_changes=True))
    assert [(each.name, each.count(None)) for each in open_pipelines([str(tmp_path / "run")])] == [
        ("answer/long", 1),
        ("feedback-loop/same/long", 1),
    ]


def test_two_pipelines_against_the_same_opponent_are_tested_on_the_prompts_of_both(
    tmp_path: Path, address: str
) -> None:
    runs = [answered(tmp_path / name, name, questions(12)) for name in ("mixed", "long", "middle")]
    found = versus(address, *runs, "--against", "middle", "--out", tmp_path / "v")
    (rivals,) = found["rivals"]
    assert (rivals["first"], rivals["second"], rivals["opponent"], rivals["n"]) == ("mixed", "long", "middle", 12)
    assert (rivals["both"], rivals["only_first"], rivals["only_second"], rivals["neither"]) == (4, 0, 8, 0)
    assert rivals["p"] == pytest.approx(mcnemar([[4, 0], [8, 0]], exact=True).pvalue)
    assert rivals["p_holm"] == rivals["p"]


def test_the_reference_of_the_items_is_a_pipeline_like_any_other(tmp_path: Path) -> None:
    items = [*questions(2, reference="by a person"), *questions(3)[2:]]
    run = answered(tmp_path / "long", "long", items)
    made = comparisons(meetings(open_pipelines([str(run), "people=reference"])))
    assert [item.candidate("b").text for item in made.items] == ["by a person"] * 2
    assert [str(left) for left in made.contests[0].left_out] == ["no reference with people: 1 (i2)"]


def test_a_juries_verdict_counts_and_not_its_jurors_votes(tmp_path: Path, judge: Judge, address: str) -> None:
    runs = [answered(tmp_path / name, name, questions(3)) for name in ("long", "short")]
    found = versus(address, *runs, "--judge", "jury", "--out", tmp_path / "v")
    assert (found["rater"], match(found, "long", "short")["n"], judge.asked) == ("jury", 3, 18)
    assert match(found, "long", "short")["wins"] == 3
    random = versus(address, *runs, "--judge", "debate", "--set", "judging.orders=random", "--out", tmp_path / "d")
    assert (random["rater"], match(random, "long", "short")["n"]) == ("debate", 3)


def test_the_terminal_shows_one_table_and_the_published_one_beneath_where_wanted(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "170")
    run = swept(tmp_path, questions(2), "loops")
    options = ("--model", "acme/judge", "--base-url", address, "--out", tmp_path / "v")
    shown = fellowship("versus", run, *options)
    assert shown.exit_code == 0, shown.output
    assert re.search(r"feedback-loop/one/other\s+0\.0 \[0\.0, 65\.8\]\s+50\.0\s+100\.0 \[34\.2, 100\.0\]", shown.stdout)
    assert re.search(
        r"Llama, reviewed by Gemma\s+49\.0 \[44\.6, 53\.4\]\s+71\.8 \[67\.7, 75\.6\]\s+73\.8 ", shown.stdout
    )
    assert "As published, with other models: table 7" in shown.stdout
    assert "As published" not in fellowship("versus", run, *options, "--no-published").stdout


@given(places=st.lists(st.integers(0, 3), min_size=2, max_size=8), against=st.sets(st.integers(0, 7), max_size=4))
def test_nobody_meets_anybody_twice_and_those_who_are_measured_meet_every_opponent(
    places: list[int], against: set[int]
) -> None:
    pipelines = [
        Pipeline(name=f"p{number}", source="", place=place, scenario="answer", sweep=None, drafts={})
        for number, place in enumerate(sorted(places))
    ]
    patterns = [f"p{number}" for number in against if number < len(places)]
    met = (
        [(one.name, other.name) for one, other in meetings(pipelines, patterns)]
        if len(set(places)) > 1 or patterns
        else []
    )
    assert all(one != other for one, other in met)
    assert len({frozenset(pair) for pair in met}) == len(met)
    measured = {pipeline.name for pipeline in pipelines} - set(patterns)
    assert not patterns or {(one, other) for one in measured for other in patterns} <= set(met)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{short}", "it takes two to compare, and there is only short"),
        ("{short} nowhere", "nowhere: there is no such directory; a pipeline is RUN, RUN:VARIANT, NAME=RUN or reference"),
        ("{short} {short}", "two pipelines are called 'short': NAME=RUN gives one of them another name"),
        ("{short} other={short} --against othr", "unknown pipeline of --against 'othr'; did you mean 'other'?"),
        ("{short}:one x={short}", "is no sweep: it has no variant 'one'"),
        ("{loops}:answr/one {short}", "did you mean 'answer/one'?"),
        ("{loops}:feedback-loop/*", "(scenario answer): --against says who opponents are"),
        ("{short} reference", "reference: no item of the others has a reference"),
        ("{short} {folder}", "is not a run: it has no run.db; in it is"),
        ("{short} o={short} --judge feedback-loop", "feedback-loop takes instruction and gives draft"),
        ("{short} o={short} --judge evaluation", "evaluation is a sweep"),
        ("{short} o={short} --judge debate", "--set judging.orders=random shows each pair in one that is left to chance"),
        ("{short} o={short} --as-published --set judging.orders=ba", "take one of them"),
        ("{short} o={short} --out {folder}", "is there already and is not a run"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_sentence_and_nothing_is_asked(
    arguments: str, message: str, there: Path, judge: Judge, address: str
) -> None:
    given = arguments.format(short=there / "short", loops=there / "loops", folder=there).split()
    result = fellowship("versus", *given, "--model", "acme/judge", "--base-url", address)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert judge.asked == 0
    assert not (there / "pairs.jsonl").exists()
