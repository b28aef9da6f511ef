"""What a run says of its data set: out of its log alone, whatever befell it, and nothing of the machine it ran on."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from playing import MODEL, QUESTION, fellowship, items, library, written
from statsmodels.stats.proportion import proportion_confint
from telling import Speaker, apart, played, speak

from fellowship.protocols.errors import DeclarationError, LogError, Overloaded
from fellowship.protocols.items import Item
from fellowship.protocols.models import ModelCall
from fellowship.runtime.clock import SystemClock
from fellowship.runtime.log import LogReader
from fellowship.runtime.testing import ScriptedModel
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import Plan, Settings, load, open_dataset, plan, play
from fellowship.scenarios.again import retry
from fellowship.scenarios.console import plan_of
from fellowship.scenarios.outcomes import Fold
from fellowship.scenarios.preferences.command import Command, data_name
from fellowship.scenarios.preferences.facts import Facts, facts_of
from fellowship.scenarios.steps import Playable

SPOKEN = ScriptedModel(Opinions(unreadable=0))


def of(run: Path) -> Facts:
    with LogReader(run / "run.db") as log:
        return facts_of(log)


async def told(run: Path, made: Playable, client: Any = SPOKEN, of_items: Any = None, **more: Any) -> Facts:
    await play(made, items(3) if of_items is None else of_items, run, Settings(client=client, **more))
    return of(run)


def ballot(call: ModelCall, first: float, second: float) -> str:
    """Answer in the form that is asked for: the answer that is shown first, then the other."""
    assert call.answer is not None
    numbers = iter((first, second))
    fields = call.answer.schema["properties"]
    return json.dumps({name: next(numbers) if part.get("type") != "string" else "so" for name, part in fields.items()})


def number_of(call: ModelCall) -> int:
    found = QUESTION.search(call.messages[1].content)
    assert found is not None
    return int(found[1])


def swayed(*of_items: int) -> ScriptedModel:
    """A judge of whom a is the better, and of some items whatever is shown first."""

    def judge(call: ModelCall) -> str:
        number, text = number_of(call), call.messages[1].content
        a_first = text.index(f"Answer a{number}") < text.index(f"Answer b{number}")
        return ballot(call, 9, 4) if a_first or number in of_items else ballot(call, 4, 9)

    return ScriptedModel(judge)


def changed(name: str, change: Callable[[dict[str, Any]], Any], **models: str) -> Plan:
    """Return a scenario of the library with changes of its document."""
    scenario, source = load(name)
    document = json.loads(json.dumps(scenario.document()))
    change(document)
    made = type(scenario).model_validate(document)
    return plan(made, source=source, models=models or {"*": MODEL})  # type: ignore[arg-type]


async def test_a_flip_rate_is_of_comparisons_in_both_orders_with_wilsons_interval(tmp_path: Path) -> None:
    found = await told(tmp_path / "run", library("judge", "judging.orders=both"), swayed(1, 4, 5), items(8))
    (judge,) = found.judges
    assert (judge.agent, judge.model, judge.votes, judge.unread, judge.half_unread) == ("judge", MODEL, 8, 0, 0)
    assert judge.flip_rate is not None
    assert (judge.flip_rate.value, judge.flip_rate.n) == (3 / 8, 8)
    assert judge.flip_rate.ci == pytest.approx(proportion_confint(3, 8, method="wilson"), abs=1e-12)


async def test_comparisons_of_one_item_are_no_more_than_one_item_where_they_go_together(tmp_path: Path) -> None:
    def twice(document: dict[str, Any]) -> None:
        document.setdefault("judging", {})["orders"] = "both"
        document["flow"].insert(0, dict(document["flow"][0]))

    found = await told(tmp_path / "run", changed("judge", twice), swayed(0, 1, 2), items(8))
    (judge,) = found.judges
    assert judge.flip_rate is not None
    assert (judge.votes, judge.flip_rate.value, judge.flip_rate.n) == (16, 3 / 8, 16)
    low, high = judge.flip_rate.ci or (0, 0)
    alone = proportion_confint(6, 16, method="wilson")
    assert high - low > alone[1] - alone[0]


async def test_unread_votes_are_counted_and_are_no_flips(tmp_path: Path) -> None:
    def judge(call: ModelCall) -> str:
        text = call.messages[1].content
        a_first = text.index("Answer a") < text.index("Answer b")
        return "no" if number_of(call) == 1 and not a_first else ballot(call, 9, 4) if a_first else ballot(call, 4, 9)

    found = await told(tmp_path / "run", library("judge", "judging.orders=both"), ScriptedModel(judge), items(4))
    (seen,) = found.judges
    assert (seen.votes, seen.unread, seen.half_unread) == (4, 1, 1)
    assert seen.flip_rate is not None
    assert (seen.flip_rate.value, seen.flip_rate.n) == (0, 3)


async def test_a_judge_of_one_order_has_no_flip_rate(tmp_path: Path) -> None:
    assert (await told(tmp_path / "run", library("judge"))).judges[0].flip_rate is None


async def test_a_run_that_failed_and_was_retried_says_what_an_undisturbed_one_says_of_its_votes(tmp_path: Path) -> None:
    made = library("jury", "judging.orders=both")
    whole = await told(tmp_path / "whole", made, of_items=items(5))
    calls = 0

    def failing(call: ModelCall) -> Any:
        nonlocal calls
        calls += 1
        return Overloaded("on fire") if calls % 7 == 3 else Opinions(unreadable=0)(call)

    broken = await told(tmp_path / "run", made, ScriptedModel(failing), items(5))
    assert sum(judge.votes for judge in broken.judges) < sum(judge.votes for judge in whole.judges)
    await retry(tmp_path / "run", Settings(client=SPOKEN))
    again = of(tmp_path / "run")
    assert again.judges == whole.judges
    assert [judge.agent for judge in again.judges] == ["first", "second", "third"]
    assert again.calls > whole.calls


async def test_sums_are_those_of_the_status(tmp_path: Path) -> None:
    found = await told(tmp_path / "run", library("feedback-loop"))
    with LogReader(tmp_path / "run" / "run.db") as log:
        total = Fold(log).whole().total()
    assert (found.calls, found.input_tokens, found.output_tokens) == (15, total.input_tokens, total.output_tokens)
    assert (found.cost_usd, found.unpriced, found.not_asked) == (None, 15, 0)


async def test_days_are_those_of_the_first_call_and_of_the_last(tmp_path: Path) -> None:
    class At(SystemClock):
        day = datetime(2026, 11, 19, 23, 59, tzinfo=UTC)

        def now_s(self) -> float:
            return self.day.timestamp()

    clock = At()
    first = await told(tmp_path / "run", library("judge"), of_items=items(2), clock=clock)
    assert (first.first_day, first.last_day) == ("2026-11-19", "2026-11-19")
    clock.day = datetime(2026, 11, 21, 0, 1, tzinfo=UTC)
    more = await told(tmp_path / "run", library("judge"), of_items=items(3), clock=clock, accept_changes=True)
    assert (more.first_day, more.last_day) == ("2026-11-19", "2026-11-21")


async def test_a_run_without_a_call_has_no_days(tmp_path: Path) -> None:
    found = await told(tmp_path / "run", library("judge"), of_items=[])
    assert (found.first_day, found.last_day, found.calls, found.judges) == (None, None, 0, ())


async def test_speakers_are_told_with_role_model_settings_and_what_answered(tmp_path: Path) -> None:
    def settled(document: dict[str, Any]) -> None:
        writer = {"model": "acme/large", "temperature": 0.7, "max_tokens": 99, "base_url": "http://10.0.0.7/v1"}
        document["models"] = {"writer": writer, "reviewer": "acme/small"}

    made = changed("feedback-loop", settled, writer="acme/large")
    found = await told(tmp_path / "run", made)
    writer, reviewer = found.speakers
    assert (writer.agent, writer.role, writer.model, reviewer.role) == ("writer", "generator", "acme/large", "reviewer")
    assert writer.settings == {"temperature": 0.7, "max_tokens": 99}
    assert reviewer.settings == {"temperature": 0.0}
    assert (writer.served_by, reviewer.served_by) == (("acme/large",), ("acme/small",))
    assert writer.prompt_digest == made.prompt_digests()["writer"]
    assert "10.0.0.7" not in repr(asdict(found))


async def test_judges_of_their_own_family_are_known_by_the_texts_they_judged(tmp_path: Path) -> None:
    def by(item: Item, *models: str) -> Item:
        written = zip(item.candidates, models, strict=True)
        return item.model_copy(
            update={"candidates": tuple(text.model_copy(update={"model": model}) for text, model in written)}
        )

    compared = [by(items(2)[0], "gemma-2-9b", "gpt-4o"), by(items(2)[1], "vicuna-13b", "llama-3-8b")]
    for model, kin in (("acme/llama-3.1-70b", ("llama-3-8b",)), ("acme/qwen-2", ()), ("gpt-4o", ("gpt-4o",))):
        name = model if "/" in model else f"openai/{model}"
        run = tmp_path / name.replace("/", "-")
        assert (await told(run, library("judge", model=name), of_items=compared)).judges[0].kin == kin


async def test_who_judges_drafts_of_its_own_model_is_its_own_kin(tmp_path: Path) -> None:
    def judged(document: dict[str, Any]) -> None:
        document["agents"]["judge"] = {"role": "judge", "model": "judge"}
        document["models"] = {"writer": "acme/llama-3-8b", "reviewer": "acme/gemma-2", "judge": "acme/gemma-9b"}
        document["takes"], document["gives"] = "comparison", "draft"
        document["flow"].append({"ask": "judge", "for": "ballot"})

    made = changed("feedback-loop", judged, judge="acme/llama-3-70b")
    (judge,) = (await told(tmp_path / "run", made)).judges
    assert judge.kin == ("acme/llama-3-8b",)


async def test_a_family_that_a_scenario_names_makes_kin_and_whoever_serves_a_model_does_not_matter(
    tmp_path: Path,
) -> None:
    said = {"agents.writer.family": "Ours", "agents.judge.family": "ours"}
    models = {"writer": "acme/tuned", "single": "acme/own", "reviewer": "acme/qwen-2", "judge": "other/own"}
    for changes, kin in (((), ("acme/own",)), (tuple(f"{at}={to}" for at, to in said.items()), ("acme/tuned",))):
        scenario, source = load("preference-pairs", changes=["own_family=true", *changes])
        made = plan(scenario, source=source, models=models)  # type: ignore[arg-type]
        run = tmp_path / str(len(changes))
        assert await played(made, 1, run) is not None
        assert of(run).judges[0].kin == kin


# the command


def planned(command: Command, folder: Path, text: str) -> Playable:
    """Return the plan that a command's own words lead to."""
    words = list(command.words[2:])
    if command.file:
        (folder / command.file).write_text(text)
        words[0] = str(folder / command.file)
    options: dict[str, list[str]] = {}
    for option, value in zip(words[1::2], words[2::2], strict=True):
        options.setdefault(option, []).append(value)
    return plan_of(words[0], options.get("--model"), options.get("--set"))


CASES: dict[str, Callable[[], Playable]] = {
    "of the library": lambda: library("judge"),
    "changed": lambda: library(
        "judge", "judging.orders=both", "judging.scale=5", "agents.judge.instructions=Be 'fair'."
    ),
    "a part of a list changed": lambda: library("feedback-loop", "flow.1.repeat=4"),
    "with other parameters": lambda: library("feedback-loop", "review=both", "rounds=3", "pick=knock-out"),
    "with pairs": lambda: library("preference-pairs", "own_family=true", "margin=0", "judging.orders=ab"),
    "a persona changed": lambda: library("debate", "agents.critic.persona=scientist"),
    "with several models": lambda: changed("jury", lambda document: None, judge="acme/one", second="acme/two"),
    "a flow of its own": lambda: changed("judge", lambda document: document["flow"].insert(0, document["flow"][0])),
    "a name of its own": lambda: changed("judge", lambda document: document.update(scenario="mine")),
    "a model of its own": lambda: changed("judge", lambda d: d["agents"]["judge"].update(model="acme/x"), judge=MODEL),
    "with settings": lambda: changed("judge", lambda d: d["models"].update(judge={"model": MODEL, "temperature": 1})),
    "a sweep": lambda: plan_of("evaluation", ["one=acme/one", "two=acme/two"], None),
    "a sweep changed": lambda: plan_of("evaluation", ["acme/one"], ["judging.orders=both"]),
}


@pytest.mark.parametrize("case", CASES)
async def test_the_command_plays_the_very_same(tmp_path: Path, case: str) -> None:
    made = CASES[case]()
    found = await told(tmp_path / "run", made, of_items=items(1))
    again = planned(found.command, tmp_path, found.text)
    assert _played(again) == _played(made)
    assert (found.command.file is not None) == (case in ("a flow of its own", "a name of its own"))


def _played(made: Playable) -> Any:
    """Return what decides what is said: of a sweep its variants, of a scenario all but what its aliases were before."""
    record = made.record()
    variants = record.get("variants", {"": record})
    return {
        name: {"models": variant["models"], "prompts": variant["prompts"], "flow": variant["scenario"]["flow"],
               "agents": variant["scenario"]["agents"], "judging": variant["scenario"].get("judging")}
        for name, variant in variants.items()
    }  # fmt: skip


async def test_the_command_names_seed_limit_and_mapping_and_quotes_what_a_shell_would_read(tmp_path: Path) -> None:
    path = tmp_path / "my prompts.jsonl"
    path.write_text(
        "".join(json.dumps({"id": n, "task": f"Question {n}?", "a": "1", "b": "2"}) + "\n" for n in range(4))
    )
    dataset = open_dataset(path, takes="comparison", mapping={"prompt": "task"}, limit=2)
    found = await told(tmp_path / "run", library("judge"), of_items=dataset, seed=5, about={"data": str(path)})
    assert str(found.command) == (
        f"fellowship run judge --data 'my prompts.jsonl' --map prompt=task --limit 2 --model judge={MODEL} --seed 5"
    )
    assert found.data == "my prompts.jsonl"
    assert found.data_digest is not None
    assert found.data_digest.startswith(".jsonl ")
    assert str(tmp_path) not in repr(asdict(found))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("/home/ann/secret/prompts.jsonl", "prompts.jsonl"),
        ("../prompts.csv", "prompts.csv"),
        ("C:\\Users\\ann\\prompts.csv", "prompts.csv"),
        ("hub:mt-bench", "hub:mt-bench"),
        ("hub:HuggingFaceH4/no_robots:train", "hub:HuggingFaceH4/no_robots:train"),
        ("hub:/home/ann/folder", "folder"),
        ("hub:./folder", "folder"),
    ],
)
def test_a_data_set_is_named_without_the_folder_it_lies_in(data: str, name: str) -> None:
    assert data_name(data) == name


def test_a_run_of_the_command_line_says_the_same(tmp_path: Path) -> None:
    data, run = written(tmp_path / "pairs.jsonl", 2), tmp_path / "run"
    cassette = tmp_path / "source"
    import anyio

    anyio.run(lambda: play(library("judge"), open_dataset(data, takes="comparison"), cassette, Settings(client=SPOKEN)))
    command = of(cassette).command
    played = fellowship(*command.words[1:3], "--data", data, *command.words[5:], "--cassette", cassette, "--out", run)
    assert played.exit_code == 0, played.stderr
    again = of(run)
    assert (again.data, again.not_asked, again.calls) == ("pairs.jsonl", 2, 2)
    assert yaml.safe_load(again.text)["scenario"] == "judge"


# logs that are not whole


async def test_a_log_that_does_not_say_what_was_played_is_refused(tmp_path: Path) -> None:
    await told(tmp_path / "run", library("judge"))
    with sqlite3.connect(tmp_path / "run" / "run.db") as connection:
        connection.execute("DELETE FROM meta WHERE key = 'played'")
    connection.close()
    with pytest.raises(DeclarationError, match="does not say what was played"):
        of(tmp_path / "run")


async def test_a_damaged_event_is_named(tmp_path: Path) -> None:
    await told(tmp_path / "run", library("judge"))
    with sqlite3.connect(tmp_path / "run" / "run.db") as connection:
        connection.execute("UPDATE events SET body = '{\"kind\": \"vote_cast\"}' WHERE kind = 'vote_cast'")
    connection.close()
    with pytest.raises(LogError, match=r"event \d+ is not what it was"):
        of(tmp_path / "run")


# judges of drafts


def counted(run: Path, agent: str = "judge") -> tuple[int, int, int, int, int]:
    """Count by hand: votes, unread, in both orders and both read, flips among these, and one of both unread."""
    with sqlite3.connect(run / "run.db") as connection:
        bodies = connection.execute(
            "SELECT body FROM events WHERE kind IN ('drafts_compared', 'vote_cast') AND sender = ?", (agent,)
        ).fetchall()
    connection.close()
    votes = [json.loads(body) for (body,) in bodies]
    both = [[ballot["verdict"] for ballot in vote["ballots"]] for vote in votes if len(vote["ballots"]) == 2]
    read = [verdicts for verdicts in both if "unread" not in verdicts]
    unread = sum(vote["verdict"] == "unread" for vote in votes)
    return len(votes), unread, len(read), sum(one != other for one, other in read), len(both) - len(read)


@pytest.mark.parametrize("name", ["preference-pairs", "judge"])
async def test_votes_on_drafts_are_counted_as_votes_on_answers_are(tmp_path: Path, name: str) -> None:
    def mumbling(call: ModelCall) -> str:
        unclear = call.settings.model == "acme/judge" and int(call.messages[1].digest, 16) % 5 == 0
        return "hm" if unclear else speak(call)

    run = tmp_path / "run"
    made = apart(name, "judging.orders=both")
    assert await played(made, 8, run, Speaker(mumbling)) is not None
    (judge,) = of(run).judges
    votes, unread, read, flips, half = counted(run)
    assert votes > 7
    assert min(unread, read, flips, half) > 0
    assert (judge.agent, judge.votes, judge.unread, judge.half_unread, judge.scores_alone) == (
        "judge", votes, unread, half, 0,
    )  # fmt: skip
    assert judge.flip_rate is not None
    assert (judge.flip_rate.value, judge.flip_rate.n) == (pytest.approx(flips / read), read)
    if name == "judge":
        assert judge.flip_rate.ci == pytest.approx(proportion_confint(flips, read, method="wilson"), abs=1e-12)


async def test_scores_of_drafts_alone_are_votes_without_an_order(tmp_path: Path) -> None:
    def by_scores(document: dict[str, Any]) -> None:
        document["flow"][-1] = {"pick": "best", "by": "judge"}
        document["agents"]["judge"] = {"role": "judge", "model": "acme/judge"}

    found = await told(tmp_path / "run", changed("feedback-loop", by_scores), of_items=items(2))
    (judge,) = found.judges
    assert (judge.votes, judge.scores_alone, judge.flip_rate) == (6, 6, None)


async def test_a_judge_is_kin_of_those_alone_whose_drafts_it_compared(tmp_path: Path) -> None:
    scenario, source = load("preference-pairs", changes=["own_family=true"])
    models = {"writer": "acme/llama-3-8b", "single": "acme/gemma-2", "reviewer": "acme/qwen-2", "judge": "acme/qwen-3"}
    for judge, kin in (("acme/qwen-3", ()), ("acme/gemma-3", ("acme/gemma-2",))):
        run = tmp_path / judge.replace("/", "-")
        made = plan(scenario, source=source, models={**models, "judge": judge})  # type: ignore[arg-type]
        assert await played(made, 1, run) is not None
        assert of(run).judges[0].kin == kin
