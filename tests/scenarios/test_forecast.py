"""What a run will take, reckoned beforehand, against what it takes."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from playing import items, results
from scipy import stats
from telling import speak

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Item
from fellowship.protocols.judging import Judging
from fellowship.protocols.lifecycle import ItemFinished
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log.memory import NoLog
from fellowship.runtime.models import PriceTable
from fellowship.runtime.session import Limits, Rate
from fellowship.runtime.system import ActorSystem
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Plan, Settings, load, plan, play
from fellowship.scenarios.forecasting.ahead import forecast
from fellowship.scenarios.forecasting.bounds import Bounds, bounds, signature
from fellowship.scenarios.forecasting.forecast import Forecast
from fellowship.scenarios.forecasting.reckoning import STUDENT, Circumstances, Counted, Reckoning, Seen
from fellowship.scenarios.forecasting.rehearsal import Called, Play, rehearsed
from fellowship.scenarios.forecasting.typical import WORDS, Lengths
from fellowship.scenarios.loading import library, validate
from fellowship.scenarios.source import Source, read
from fellowship.scenarios.spec import Scenario, Sweep
from fellowship.scenarios.stage import Due, Stage
from fellowship.scenarios.steps import AskStep, EachStep
from fellowship.scenarios.sweep import sweep

FAMILIES = ("openai/gpt-4o", "acme/llama-3", "acme/gemma-2", "acme/mistral", "acme/qwen", "acme/phi-3", "acme/claude")
ONE = items(1)[0]
PARAMETERS = {
    "feedback-loop": [("pick=knock-out",), ("pick=round-robin",), ("pick=as-published", "rounds=4"), ("review=both",)],
    "feedback-gated": [("pick=judged",), ("rounds=3", "patience=1")],
    "preference-pairs": [
        ("review=both", "follow=best"),
        ("review=both", "select=best-worst"),
        ("select=all", "rounds=3"),
        ("select=consecutive",),
    ],
    "judge": [("judging.strategy=independent", "judging.orders=both"), ("judging.strategy=direct",)],
}
SCENARIOS = [
    (name, changes)
    for name in library()
    if not isinstance(load(name)[0], Sweep)
    for changes in [(), *PARAMETERS.get(name, [])]
]


def apart(name: str, *changes: str) -> Plan:
    """Return a library scenario with a model of another family for every alias."""
    scenario, source = load(name, changes=changes)
    assert isinstance(scenario, Scenario)
    names = dict(zip(scenario.models, FAMILIES, strict=False))
    return plan(scenario, source=source, models=names if len(scenario.models) <= len(FAMILIES) else {"*": "acme/m"})


def made(text: str) -> Plan:
    source = read(text, "s.yaml")
    scenario = validate(source)
    assert isinstance(scenario, Scenario)
    return plan(scenario, source=source)


def at(**more: Any) -> Circumstances:
    return Circumstances(PriceTable.shipped(), Limits(**more))


async def foreseen(made: Plan, count: int = 3, **more: Any) -> Forecast:
    return await forecast(made, items(count), at(), **more)


@pytest.mark.parametrize(("name", "changes"), SCENARIOS)
def test_the_calls_of_a_library_scenario_lie_within_its_bounds(name: str, changes: tuple[str, ...]) -> None:
    made = apart(name, *changes)
    for seed in range(4):
        assert within(made, seed)
    known = bounds(made, ONE)
    assert known.greatest <= known.with_further_requests


@pytest.mark.parametrize(
    ("name", "changes", "least", "greatest"),
    [
        ("judge", ("judging.strategy=independent", "judging.orders=both"), 4, 4),
        ("debate", (), 9, 9),
        ("jury-sequential", (), 2, 3),
        ("jury-escalating", (), 3, 9),
        ("feedback-loop", ("review=both",), 7, 7),
        ("feedback-loop", ("pick=knock-out",), 5, 9),
        ("feedback-loop", ("pick=as-published",), 5, 7),
        ("feedback-loop", ("pick=round-robin",), 5, 11),
        ("feedback-gated", (), 2, 12),
        ("feedback-gated", ("pick=judged",), 3, 18),
        ("preference-pairs", (), 6, 18),
        ("preference-pairs", ("review=both",), 10, 40),
    ],
)
def test_bounds_are_those_that_the_library_says_of_itself(
    name: str, changes: tuple[str, ...], least: int, greatest: int
) -> None:
    known = bounds(apart(name, *changes), ONE)
    assert (known.least, known.greatest) == (least, greatest)


async def test_the_most_pairs_there_are_bound_what_a_judge_is_asked_in_all() -> None:
    made = apart("preference-pairs", "review=both", "select=all")
    known = bounds(made, ONE)
    play = await rehearsed(made, ONE, 0, Lengths())
    judged = sum(called.agent == "judge" for called in play.calls)
    assert judged == 2 * 6 * 5 // 2 == known.spans["judge", 0][1]  # 5 drafts of the writer, 1 of the other


def test_rounds_are_those_in_which_agents_are_asked() -> None:
    spans = bounds(apart("debate"), ONE).spans
    assert {key: span for key, span in spans.items() if key[0] == "critic"} == {
        ("critic", 0): (3, 3),
        ("critic", 1): (2, 2),  # the ballot after the repeat is asked for outside of it
        ("critic", 2): (1, 1),
    }


def test_requests_at_the_most_are_twice_for_each_time_that_an_agent_tries() -> None:
    scenario, source = load("judge", changes=["agents.judge.failing={retry: 2}"])
    assert isinstance(scenario, Scenario)
    assert bounds(plan(scenario, source=source), ONE).with_further_requests == 6


# branches: steps as a planner makes them

EACH = """\
scenario: s
takes: comparison
models: {m: x/y}
agents:
  one: {role: debater}
  two: {role: debater}
  three: {role: debater}
flow:
  - {ask: [one, two, three], for: ballot}
  - {decide: unique-mode}
gives: verdict
"""
ASK = AskStep(
    place="0", agents=("one",), wanted="ballot", in_turn=False, shuffled=False, blind=False, apart=False, hears={},
    judging=Judging(), until=None,
)  # fmt: skip
BRANCHES = EachStep(
    place="1", name="it", of=("x", "y", "z"), column=None, most=3, sample=None, together=False, steps=(ASK,), own={}
)
DRAFTS = replace(ASK, agents=("one", "two", "three"), wanted="draft")


def spanned(*flow: Any, item: Item = ONE) -> tuple[int, int]:
    known = bounds(replace(made(EACH), flow=flow), item)
    return known.least, known.greatest


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ((BRANCHES,), (3, 3)),
        ((replace(BRANCHES, sample=2),), (2, 2)),
        ((replace(BRANCHES, of="candidates"),), (2, 2)),
        ((replace(BRANCHES, of="criteria", most=4),), (1, 4)),
        ((replace(BRANCHES, of="criteria", most=4, sample=2),), (1, 2)),
        ((DRAFTS, replace(BRANCHES, of="drafts")), (6, 6)),
        ((replace(BRANCHES, together=True, own={"one": ("one", "two", "three")}),), (3, 3)),
        ((replace(DRAFTS, wanted="ballot", assign="round-robin"),), (1, 1)),
        ((replace(DRAFTS, wanted="ballot", judging=Judging(samples=3, orders="both")),), (18, 18)),
    ],
)
def test_branches_are_played_as_often_as_there_are_things(flow: tuple[Any, ...], expected: tuple[int, int]) -> None:
    assert spanned(*flow) == expected


def test_branches_together_count_for_the_agents_of_their_own() -> None:
    own = replace(BRANCHES, together=True, own={"one": ("one", "two", "three")})
    spans = bounds(replace(made(EACH), flow=(own,)), ONE).spans
    assert [spans[name, 1] for name in ("one-1", "one-2", "one-3")] == [(1, 1)] * 3


def test_nobody_judges_its_own_draft_so_that_one_call_fewer_is_made_for_each() -> None:
    judged = replace(DRAFTS, wanted="ballot", exclude="own", on="$it")
    assert spanned(DRAFTS, replace(BRANCHES, of="drafts", steps=(judged,))) == (3 + 6, 3 + 6)


WHOLE = """\
scenario: s
takes: {takes}
models: {{one: openai/gpt-4o, two: acme/llama, three: acme/gemma}}
agents:
  one: {{role: {role}, model: one}}
  two: {{role: {role}, model: two}}
  three: {{role: {role}, model: three}}
  chair: {{role: debater, model: one}}
flow:
{flow}
gives: {gives}
"""
JUDGED = "  - {decide: unique-mode}"
PICKED = "  - {pick: last}"
FLOWS = {
    "each criterion by all": (
        (
            "  - {ask: chair, for: criteria, most: 3}\n"
            "  - {each: it, of: criteria, most: 3, do: [{ask: [one, two, three], for: ballot, instructions: By $it.}]}"
        ),
        (1 + 3, 1 + 9),
    ),
    "branches together": (
        (
            "  - {ask: chair, for: argument, hears: nobody}\n"
            "  - {each: it, of: [x, y, z], order: together, do: [\n"
            "      {repeat: 2, do: [{ask: [one, two], for: argument, hears: everyone, order: in-turn, instructions: $it}]},\n"
            "      {ask: [one, two], for: ballot}]}\n"
            "  - {ask: [three, chair], for: ballot, hears: everyone}"
        ),
        (1 + 3 * 6 + 2, 1 + 3 * 6 + 2),
    ),
    "judges take turns": ("  - {ask: [one, two, three, chair], for: ballot, assign: round-robin}", (1, 1)),
    "judges by chance": (
        "  - {ask: [one, two, three], for: ballot, assign: random}\n  - {ask: chair, for: ballot}",
        (2, 2),
    ),
    "confirmed when split": (
        "  - {ask: [one, two, three], for: ballot}\n  - {when: agreement < 1, do: [{ask: chair, for: ballot}]}",
        (3, 4),
    ),
    "rounds by number": (
        (
            "  - {repeat: 5, until: round >= 3, do: [{ask: [one, two, three, chair], for: argument, hears: everyone}]}\n"
            "  - {ask: [one, two, three, chair], for: ballot}"
        ),
        (16, 16),
    ),
    "rounds by calls": (
        (
            "  - {repeat: 5, until: calls >= 5, do: [{ask: [one, two, three, chair], for: argument, hears: everyone}]}\n"
            "  - {ask: [one, two, three, chair], for: ballot}"
        ),
        (12, 12),
    ),
    "both sides": (
        (
            "  - {each: it, of: candidates, do: [{ask: [one, two, three], for: argument, side: $it, hears: everyone}]}\n"
            "  - {ask: [one, two, three, chair], for: ballot}"
        ),
        (10, 10),
    ),
    "samples": ("  - {ask: [one, two, three, chair], for: ballot, samples: 3, orders: both}", (24, 24)),
}


async def test_a_council_whose_members_do_not_judge_their_own_is_foreseen_to_the_call(tmp_path: Path) -> None:
    flow = (
        "  - {ask: [one, two, three], for: draft}\n"
        "  - {each: it, of: drafts, do: [{ask: [one, two, three], for: feedback, on: $it, exclude: own, hears: everyone}]}\n"
        "  - {ask: [one, two, three], for: draft, hears: everyone}\n"
        "  - {pick: best, by: [one, two, three], exclude: own}"
    )
    text = WHOLE.format(takes="instruction", role="peer", gives="draft", flow=flow)
    planned = made("\n".join(line for line in text.splitlines() if "chair" not in line))
    known = bounds(planned, ONE)
    await play(planned, items(3), tmp_path / "run", Settings(client=ScriptedModel(speak)))
    assert [row["calls"] for row in results(tmp_path / "run")] == [3 + 6 + 3 + 12] * 3
    assert (known.least, known.greatest) == (24, 24)


async def test_a_question_that_is_talked_over_until_all_agree_is_foreseen(tmp_path: Path) -> None:
    flow = (
        "  - {repeat: 3, until: consensus, do: [{ask: [one, two, three], for: answer, hears: everyone}]}\n"
        "  - {decide: unique-mode}"
    )
    text = WHOLE.format(takes="question", role="solver", gives="answer", flow=flow)
    planned = made("\n".join(line for line in text.splitlines() if "chair" not in line))
    known = bounds(planned, ONE)
    assert (known.least, known.greatest) == (3, 9)
    assert known.spans["one", 1] == (1, 1)
    assert known.spans["one", 3] == (0, 1)
    rows = [ONE.model_copy(update={"id": ItemId(f"i{n}"), "reference": "4", "choices": ("4", "5")}) for n in range(4)]
    found = await forecast(planned, rows, at())
    assert 12 < found.calls.expected < 36
    assert not any("came to no end" in line for line in found.assumptions)


@pytest.mark.parametrize("name", FLOWS)
async def test_what_the_whole_language_takes_is_foreseen(name: str, tmp_path: Path) -> None:
    flow, expected = FLOWS[name]
    text = WHOLE.format(takes="comparison", role="debater", gives="verdict", flow=f"{flow}\n{JUDGED}")
    planned = made(text)
    known = [bounds(planned, item, number) for number, item in enumerate(items(5))]
    assert {(each.least, each.greatest) for each in known} == {expected}
    for seed in range(3):
        await play(planned, items(5), tmp_path / f"{seed}", Settings(client=by_chance(seed), seed=seed))
        rows = results(tmp_path / f"{seed}")
        assert [row["status"] for row in rows] == ["done"] * 5, rows
        assert all(expected[0] <= row["calls"] <= expected[1] for row in rows)
    found = await foreseen(planned, 8)
    assert found.calls.least <= found.calls.expected <= found.calls.greatest
    assert not any("came to no end" in line for line in found.assumptions)


def test_where_judges_take_turns_each_is_asked_about_its_own_items() -> None:
    text = WHOLE.format(
        takes="comparison", role="debater", gives="verdict", flow=f"{FLOWS['judges take turns'][0]}\n{JUDGED}"
    )
    found = asyncio.run(foreseen(made(text), 6))
    assert {name: (agent.calls.least, agent.calls.greatest) for name, agent in found.agents.items()} == {
        "one": (2, 2),
        "two": (2, 2),
        "three": (1, 1),
        "chair": (1, 1),
    }


def test_branches_of_a_column_are_those_of_the_item_and_no_others() -> None:
    data = replace(BRANCHES, of="data", column="points", most=10)
    item = ONE.model_copy(update={"metadata": {"points": ["p", "q", "r", "s"]}})
    assert spanned(data, item=item) == (4, 4)
    of = signature(replace(made(EACH), flow=(data,)))
    assert of(0, item) != of(0, ONE)


# any flow

CONDITIONS = ("consensus", "disagreement", "settled", "agreement >= 0.7", "margin > 2")
JURORS = ("one", "two", "three")
CAST = st.lists(st.sampled_from(JURORS), min_size=1, max_size=3, unique=True)
TALK = st.fixed_dictionaries({"ask": CAST, "for": st.sampled_from(["argument", "ballot"])})
UNTIL = st.sampled_from(["decided", *CONDITIONS])
VOTES = st.fixed_dictionaries(
    {"ask": CAST, "for": st.just("ballot"), "order": st.sampled_from(["in-turn", "random"]), "until": UNTIL}
)
FIRST: Any = {"ask": list(JURORS), "for": "ballot"}


def flows(leaf: st.SearchStrategy[Any], conditions: tuple[str, ...]) -> st.SearchStrategy[list[Any]]:
    def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        body, condition = st.lists(inner, min_size=1, max_size=3), st.sampled_from(conditions)
        return st.one_of(
            st.fixed_dictionaries({"repeat": st.integers(1, 3), "do": body}),
            st.fixed_dictionaries({"repeat": st.integers(1, 3), "do": body, "until": condition}),
            st.fixed_dictionaries({"when": condition, "do": body}),
            st.fixed_dictionaries({"when": condition, "do": body, "else": body}),
        )

    return st.lists(st.recursive(leaf, around, max_leaves=5), min_size=1, max_size=4)


def by_chance(seed: int) -> ScriptedModel:
    """Return a model that says anything, often the same as before."""
    rng = random.Random(seed)

    def value(part: dict[str, Any]) -> object:
        if "enum" in part:
            return rng.choice(part["enum"])
        if part["type"] == "array":
            return ["clear", "true", "short"][: rng.randint(1, part.get("maxItems", 3))]
        if part["type"] == "boolean":
            return rng.random() < 0.5
        return rng.randint(0, min(3, int(part.get("maximum", 3)))) if part["type"] == "number" else "so"

    def script(call: ModelCall) -> str:
        if call.answer is None:
            return rng.choice(["one text", "another text", "a third", "a fourth text"])
        return json.dumps({name: value(part) for name, part in call.answer.schema["properties"].items()})

    return ScriptedModel(script)


def proven(document: dict[str, Any]) -> Plan:
    """Return the plan of a document; what is refused is passed over."""
    try:
        source = Source("s.yaml", document)
        scenario = validate(source)
        assert isinstance(scenario, Scenario)
        return plan(scenario, source=source)
    except DeclarationError:
        assume(False)
        raise


def taken(made: Plan, seed: int) -> Counter[str] | None:
    """Return the calls of an item by agent; None where it comes to no end."""
    log = _Calls()
    model = by_chance(seed)

    async def staged() -> tuple[object, object]:
        return await Stage(made, ActorSystem(log, models=model, seed=seed), seed).play(Due(0, ONE))

    end, _ = asyncio.run(staged())
    assert sum(log.calls.values()) == len(model.calls)
    return log.calls if isinstance(end, ItemFinished) else None


class _Calls(NoLog):
    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def append(self, message: Any, *, sender: str, **more: Any) -> int:
        if message.kind == "model_called":
            self.calls[sender] += 1
        return super().append(message, sender=sender, **more)


def within(made: Plan, seed: int) -> bool:
    """Prove that what an item takes lies within its bounds; returns whether it comes to an end."""
    known, calls = bounds(made, ONE, 0), taken(made, seed)
    if calls is None:
        return False
    assert known.least <= calls.total() <= known.greatest
    for name in made.profiles:
        least, most = known.spans.get((name, 0), (0, 0))
        assert least <= calls[name] <= most, name
    return True


@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
@given(flows(st.one_of(TALK, VOTES), CONDITIONS), st.integers(0, 2**16))
def test_no_talk_takes_more_calls_than_were_foreseen_or_fewer(steps: list[Any], seed: int) -> None:
    document = {
        "scenario": "s",
        "takes": "comparison",
        "models": {"m": "x/y"},
        "agents": {name: {"role": "debater"} for name in JURORS},
        "flow": [FIRST, *steps, {"decide": "unique-mode"}],
        "gives": "verdict",
    }
    assume(within(proven(document), seed))


PICK = st.fixed_dictionaries(
    {
        "pick": st.sampled_from(["knock-out", "round-robin", "best"]),
        "by": st.sampled_from(["judge", ["judge", "other"]]),
    }
)
WRITE = st.fixed_dictionaries(
    {"ask": st.sampled_from([["w"], ["v", "w"]]), "for": st.just("draft"), "hears": st.just(["r", "q"])},
    optional={"apart": st.booleans()},
)
REVIEW = st.fixed_dictionaries(
    {
        "ask": st.sampled_from([["r"], ["r", "q"]]),
        "for": st.just("feedback"),
        "hears": st.sampled_from(["w", ["v", "w"]]),
    }
)
PAIR = st.fixed_dictionaries(
    {
        "pair": st.just("generation"),
        "by": st.sampled_from(["judge", ["judge", "other"]]),
        "select": st.sampled_from(["best-worst", "best-all", "consecutive", "all"]),
    }
)
FLOW: Any = {"pair": "workflow", "by": "judge"}


@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
@given(
    flows(st.one_of(WRITE, REVIEW, PICK, PAIR), ("score >= 2", "without-gain >= 1", "unchanged")),
    st.sampled_from([[], [FLOW], [{"pick": "knock-out", "by": "judge"}, {"pair": "generation", "by": "judge"}]]),
    st.integers(0, 2**16),
)
def test_no_loop_takes_more_calls_than_were_foreseen_or_fewer(steps: list[Any], ends: list[Any], seed: int) -> None:
    names = dict(zip(("v", "w", "r", "q", "judge", "other"), FAMILIES, strict=False))
    roles = ("generator", "generator", "reviewer", "reviewer", "judge", "judge")
    first: list[Any] = [
        {"ask": ["v", "w"], "for": "draft"},
        {"ask": ["r", "q"], "for": "feedback", "hears": ["v", "w"]},
    ]
    document = {
        "scenario": "s",
        "takes": "instruction",
        "judging": {"orders": "ab"},
        "agents": {name: {"role": role, "model": names[name]} for name, role in zip(names, roles, strict=True)},
        "flow": [*first, *steps, *ends, {"pick": "best", "by": ["judge", "other"]}],
        "gives": "draft",
    }
    assume(within(proven(document), seed))


# figures


async def test_a_scenario_that_nothing_changes_is_foreseen_to_the_call() -> None:
    found = await foreseen(apart("debate"), 5)
    assert (found.calls.least, found.calls.expected, found.calls.greatest) == (45, 45, 45)
    assert found.calls.expected_ci == (45, 45)
    assert (found.per_item.least, found.per_item.greatest, found.per_item.with_further_requests) == (9, 9, 18)
    assert {number: figures.expected for number, figures in found.agents["critic"].rounds.items()} == {"1": 10, "2": 5}


async def test_what_is_expected_lies_between_the_bounds_and_the_same_seed_expects_the_same() -> None:
    one, same = [await foreseen(apart("jury-escalating"), 20, seed=7) for _ in range(2)]
    other = await foreseen(apart("jury-escalating"), 20, seed=8)
    assert one == same != other
    assert 60 < one.calls.expected < 180
    assert one.calls.expected_ci is not None
    assert 60 <= one.calls.expected_ci[0] < one.calls.expected < one.calls.expected_ci[1] <= 180


async def test_money_is_tokens_times_the_price_of_each_models() -> None:
    prices = PriceTable({"acme/m": {"input_cost_per_token": 0.001, "output_cost_per_token": 0.1}})
    scenario, source = load("jury")
    assert isinstance(scenario, Scenario)
    made = plan(scenario, source=source, models={"*": "acme/m"})
    found = await forecast(made, items(3), Circumstances(prices, Limits()))
    assert found.cost_usd is not None
    assert found.cost_usd.expected == pytest.approx(
        found.tokens.input.expected / 1000 + found.tokens.output.expected / 10
    )
    assert found.cost_usd.least <= found.cost_usd.expected <= found.cost_usd.greatest


async def test_models_without_a_price_are_named_and_embedded_ones_are_free() -> None:
    nobody = await foreseen(made(EACH))
    assert (nobody.cost_usd, nobody.unpriced) == (None, ("x/y",))
    scenario, source = load("judge")
    assert isinstance(scenario, Scenario)
    free = await forecast(plan(scenario, source=source), items(2), at())
    assert free.cost_usd is not None
    assert (free.cost_usd.greatest, free.unpriced) == (0, ())
    assert any("x/y" in line and "price" in line for line in nobody.assumptions)


async def test_time_is_that_of_the_strictest_limit() -> None:
    scenario, source = load("judge")
    assert isinstance(scenario, Scenario)
    made = plan(scenario, source=source, models={"*": "acme/m"})

    async def expected(**limits: Any) -> float:
        return (await forecast(made, items(40), at(**limits))).time_s.expected

    assert await expected(concurrency=64) == 2.0  # one item's calls in a row
    assert await expected(concurrency=4) == 40 / 4 * 2.0
    assert await expected(rates={"*": Rate(requests=30)}) == 80.0
    tokens = await forecast(made, items(40), at(rates={"acme/m": Rate(tokens=600)}))
    assert tokens.time_s.expected == pytest.approx((tokens.tokens.input.expected + tokens.tokens.output.expected) / 10)


async def test_answers_are_never_longer_than_max_tokens_allows() -> None:
    scenario, source = load("answer", changes=["models.writer={model: acme/m, max_tokens: 50}"])
    assert isinstance(scenario, Scenario)
    found = await forecast(plan(scenario, source=source), items(2), at())
    assert found.tokens.output.expected <= found.tokens.output.greatest == 100


async def test_longer_answers_take_more_tokens() -> None:
    short = await foreseen(apart("feedback-loop"), lengths=Lengths.from_str("20"))
    long = await foreseen(apart("feedback-loop"), lengths=Lengths.from_str("draft=600"))
    assert short.tokens.output.expected < long.tokens.output.expected
    assert short.tokens.input.expected < long.tokens.input.expected


@pytest.mark.parametrize("text", ["draft=0", "x", "draft=1.5", ""])
def test_a_length_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DeclarationError, match="write 200, or draft=500,ballot=30"):
        Lengths.from_str(text)


def test_a_kind_of_answer_that_there_is_not_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(DeclarationError, match="did you mean 'draft'"):
        Lengths.from_str("daft=3")
    assert Lengths.from_str("draft=7,ballot=1").words == {**WORDS, "draft": 7, "ballot": 1}


def test_quantiles_are_those_of_scipy() -> None:
    assert pytest.approx([stats.t.ppf(0.975, degrees) for degrees in range(1, 8)], abs=5e-4) == STUDENT


def test_the_interval_of_a_few_items_of_many_is_that_of_their_means_by_scipy() -> None:
    counts = [[3, 3], [9, 3], [9, 9], [3, 9]]
    by_item = [[Play(calls=[Called("one", 1, 10, 5)] * count) for count in each] for each in counts]
    wide = Counted(Bounds({("", 0): (0, 100)}, 100), 10**9)
    found = Reckoning(made(EACH), [wide], Seen(by_item, []), at()).totals()
    means = [sum(each) / 2 for each in counts]
    low, high = stats.t.interval(0.95, len(means) - 1, loc=6, scale=stats.sem(means))
    assert found.per_item.expected == 6
    assert found.per_item.expected_ci == pytest.approx((low, high), abs=2e-3)


async def test_a_sweep_is_the_sum_of_its_variants() -> None:
    scenario, source = load("evaluation")
    assert isinstance(scenario, Sweep)
    swept = sweep(scenario, source=source, models=[(None, "openai/gpt-4o"), (None, "acme/llama")])
    found = await forecast(swept, items(2), at())
    assert found.calls.greatest == found.calls.least == 2 * 2 * 15
    assert sum(each.calls.expected for each in found.variants.values()) == found.calls.expected
    assert found.agents == {}
    assert found.unpriced == ("acme/llama",)


async def test_items_that_differ_are_counted_each_by_its_own_bounds() -> None:
    data = replace(BRANCHES, of="data", column="points", most=10)
    rows = [
        ONE.model_copy(update={"id": ItemId(f"i{number}"), "metadata": {"points": ["p"] * number}})
        for number in range(1, 4)
    ]
    found = [bounds(replace(made(EACH), flow=(data,)), row) for row in rows]
    assert [(each.least, each.greatest) for each in found] == [(1, 1), (2, 2), (3, 3)]
