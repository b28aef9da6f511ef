"""Two runs compared: what was planted between them is found, and nothing else is."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from logs import written
from playing import fellowship, items, library
from telling import CHOSEN, apart, speak

from fellowship.protocols.debate import ArgumentMade
from fellowship.protocols.errors import ContentFiltered, ModelError, Overloaded, QuotaExhausted
from fellowship.protocols.events import Event
from fellowship.protocols.identity import CONDUCTOR, ConversationId
from fellowship.protocols.items import Item
from fellowship.protocols.jury import VoteCast
from fellowship.protocols.lifecycle import (
    AgentFailed,
    Failure,
    ItemFailed,
    ItemResumed,
    LetterUndelivered,
    ModelCalled,
    OutcomeSetAside,
)
from fellowship.protocols.messages import Message
from fellowship.protocols.models import Completion, ModelCall, Usage
from fellowship.runtime.log import LogReader, SqliteLog, open_log
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Plan, Progress, Settings, load, plan, play

Script = Callable[[ModelCall], Any]
EXPERT = "acme/expert"


async def played(
    out: Path, made: Plan, script: Script = as_reply, about: list[Item] | None = None, **more: Any
) -> Path:
    about = items(3) if about is None else about
    await play(made, about, out, Settings(client=ScriptedModel(script), **more))
    return out


def compared(one: Path, other: Path, *arguments: object) -> dict[str, Any]:
    result = fellowship("diff", one, other, *arguments, "--json")
    assert result.stderr == ""
    document: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if document["same"] else 1)
    return document


def is_about(call: ModelCall, number: int) -> bool:
    return any(f"Question {number}?" in message.content for message in call.messages)


def scores(a: float, b: float) -> str:
    return json.dumps({"reason": "so", "score_a": a, "score_b": b})


def by_question(verdicts: Mapping[int, tuple[float, float]]) -> Script:
    """Return a judge that scores each item's question as given."""
    return lambda call: scores(*next(pair for number, pair in verdicts.items() if is_about(call, number)))


async def test_two_runs_of_the_same_are_the_same_in_one_line(tmp_path: Path) -> None:
    one, other = [await played(tmp_path / name, library("debate")) for name in ("one", "other")]
    result = fellowship("diff", one, other)
    assert result.exit_code == 0
    assert result.stdout == f"{one} and {other} are the same: 3 items, and not a message differs.\n"
    assert fellowship("diff", one, other, "i1").exit_code == 0
    assert "Not a message differs." in fellowship("diff", one, other, "i1").stdout


async def test_what_stands_in_a_log_after_the_end_of_a_conversation_makes_no_difference(tmp_path: Path) -> None:
    one, other = [await played(tmp_path / name, library("judge")) for name in ("one", "other")]
    lost = LetterUndelivered(to="judge", letter="cast_vote", reason="it had stopped")
    failed = AgentFailed(cause=Failure(error="Late", reason="after all was over"), attempt=1, then="recuse")
    await written(other / "run.db", [("i1~1", "judge", lost), ("i1~1", "judge", failed)])
    assert compared(one, other)["same"]


@pytest.mark.parametrize("name", ["jury", "feedback-panel"])
async def test_agents_that_are_asked_together_may_answer_in_any_order(name: str, tmp_path: Path) -> None:
    def shuffled(seed: int) -> Script:
        chance = random.Random(seed)

        async def script(call: ModelCall) -> str:
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)
            return as_reply(call)

        return script

    runs = [await played(tmp_path / str(seed), library(name), shuffled(seed), items(6)) for seed in range(4)]
    assert len({tuple(speakers(run)) for run in runs}) > 1
    for run in runs[1:]:
        found = compared(runs[0], run)
        assert (found["same"], found["diverged"], found["items"]) == (True, 0, [])


def speakers(run: Path) -> list[str]:
    """Return who spoke in the first conversation, in the order of the log."""
    return [event.sender for event in events_of(run) if event.kind == "model_called" and event.conversation == "i0~1"]


async def test_a_model_that_speaks_otherwise_in_round_two_is_found_there(tmp_path: Path) -> None:
    def script(call: ModelCall) -> str:
        second_round = len(call.messages) == 4 and not call.answer
        if second_round and "critic" in call.messages[0].content and is_about(call, 1):
            return "Because it is no so."
        return as_reply(call)

    one = await played(tmp_path / "one", library("debate"))
    other = await played(tmp_path / "other", library("debate"), script)
    found = compared(one, other)
    assert (found["diverged"], found["verdict_changed"], [item["item"] for item in found["items"]]) == (1, 0, ["i1"])
    parted = found["items"][0]["divergence"]
    for side, run in (("first", one), ("second", other)):
        place = parted[side]
        assert (place["speaker"], place["kind"], place["round"], place["step"]) == ("critic", "model_called", 2, "0.0")
        with LogReader(run / "run.db") as log:
            event = next(event for event in log.events() if event.sequence == place["sequence"])
        assert (event.kind, event.sender, event.conversation) == ("model_called", "critic", "i1~1")
    assert parted["differs"] == {
        "field": "text",
        "role": None,
        "character": 15,
        "first": "Because it is so.",
        "second": "Because it is no so.",
    }
    # One item opened, three hearings, five turns of three messages each, and the command of the sixth.
    assert parted["shared"] == 1 + 3 + 5 * 3 + 1


async def test_another_model_is_named_as_the_first_field_that_differs(tmp_path: Path) -> None:
    scenario, source = load("jury")
    one = await played(tmp_path / "one", plan(scenario, source=source, models={"*": "acme/m"}))
    other = await played(tmp_path / "other", plan(scenario, source=source, models={"*": "acme/m", "second": EXPERT}))
    found = compared(one, other)
    assert found["diverged"] == 3
    parted = found["items"][0]["divergence"]
    assert (parted["first"]["speaker"], parted["differs"]["field"]) == ("second", "model")
    assert (parted["differs"]["first"], parted["differs"]["second"]) == ("acme/m", EXPERT)
    assert 'models.second.model: "acme/m" then, "acme/expert" now' in found["played"]


async def test_another_setting_of_a_model_is_named(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("judge"))
    warm = library("judge", "models.judge={model: acme/m, temperature: 0.7}")
    found = compared(one, await played(tmp_path / "other", warm))
    differs = found["items"][0]["divergence"]["differs"]
    assert (differs["field"], differs["first"], differs["second"]) == ("settings.temperature", "0.0", "0.7")


async def test_another_persona_is_found_in_the_system_message_with_the_words_around_it(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("debate"))
    other = await played(tmp_path / "other", library("debate", "agents.psychologist.persona=scientist"))
    found = compared(one, other, "i2")
    parted = found["divergence"]
    assert (parted["first"]["speaker"], parted["first"]["round"]) == ("psychologist", 1)
    differs = parted["differs"]
    assert (differs["field"], differs["role"]) == ("messages.1", "system")
    at = differs["character"] - 1
    assert differs["first"][:at] == differs["second"][:at]
    assert differs["first"][at] != differs["second"][at]
    assert "psychologist" in differs["first"]
    assert "scientist" in differs["second"]
    shown = compared(one, other)["items"][2]["divergence"]["differs"]
    assert len(shown["first"]) < len(differs["first"])
    assert shown["character"] == differs["character"]
    assert shown["first"].strip("…") in differs["first"]


async def test_another_rule_decides_otherwise_over_the_same_votes(tmp_path: Path) -> None:
    def script(call: ModelCall) -> str:
        return scores(*{"acme/a": (9, 1), "acme/b": (4, 5), "acme/c": (4, 5)}[call.settings.model])

    models = {"first": "acme/a", "second": "acme/b", "third": "acme/c"}
    runs: list[Path] = []
    for rule in ("unique-mode", "mean-score"):
        scenario, source = load("jury", changes=[f"flow.1.decide={rule}"])
        runs.append(await played(tmp_path / rule, plan(scenario, source=source, models=models), script))
    found = compared(*runs)
    assert (found["verdict_changed"], found["diverged"]) == (3, 3)
    assert found["agreement"]["moved"] == {"b->a": 3}
    assert found["items"][0]["first"]["verdict"] == "b"
    assert found["items"][0]["second"]["verdict"] == "a"
    parted = found["items"][0]["divergence"]
    assert (parted["first"]["kind"], parted["first"]["speaker"]) == ("decision_made", CONDUCTOR)
    assert (parted["differs"]["field"], parted["differs"]["first"]) == ("rule", "unique-mode")
    assert found["first"]["agreement"] == pytest.approx(2 / 3)
    assert found["first"]["agreement_n"] == 3
    shown = fellowship("diff", *runs).stdout
    assert "b->a 3" in shown
    assert "0 of 3, 0.0% (95 %: 0.0% to 56.1%)" in shown
    assert 'scenario.flow.1.decide: "unique-mode" then' in shown or "scenario.flow:" in shown


async def test_one_judge_agrees_with_nobody_so_that_a_run_of_one_has_no_agreement(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("judge"))
    found = compared(one, one)
    assert (found["first"]["agreement"], found["first"]["agreement_n"]) == (None, 0)


async def test_a_failing_item_a_further_item_and_unread_verdicts_are_all_counted(tmp_path: Path) -> None:
    def script(call: ModelCall) -> Any:
        if is_about(call, 1):
            return Overloaded("the endpoint is on fire")
        return "A, of course" if is_about(call, 2) else as_reply(call)

    one = await played(tmp_path / "one", library("judge"))
    other = await played(tmp_path / "other", library("judge"), script, items(4))
    found = compared(one, other)
    assert (found["both"], found["only_first"], found["only_second"]) == (
        3,
        {"count": 0, "items": []},
        {"count": 1, "items": ["i3"]},
    )
    assert (found["diverged"], found["verdict_changed"], found["status_changed"]) == (2, 1, 1)
    agreement = found["agreement"]
    assert (agreement["n"], agreement["same"], agreement["unread"], agreement["failed"]) == (1, 1, 1, 1)
    assert (agreement["kappa"], agreement["kappa_ci"], agreement["moved"]) == (None, None, {"tie->unread": 1})
    assert (found["second"]["failed"], found["second"]["failures"]) == (1, {"Overloaded": 1})
    failed = found["items"][0]
    assert failed["second"]["error"] == "Overloaded: the endpoint is on fire"
    assert (failed["second"]["calls"], failed["second"]["verdict"], failed["verdict_changed"]) == (1, None, False)
    assert (failed["divergence"]["differs"]["field"], failed["divergence"]["differs"]["second"]) == ("text", None)
    shown = fellowship("diff", one, other).stdout
    assert f"1 only in {other}: i3" in " ".join(shown.split())
    assert "kappa          undefined" in shown
    assert "has not begun it" in fellowship("diff", one, other, "i3").stdout
    assert fellowship("diff", one, other, "i3").exit_code == 1


async def test_items_in_one_run_alone_make_the_runs_differ(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("judge"))
    other = await played(tmp_path / "other", library("judge"), about=items(30))
    found = compared(one, other)
    assert (found["diverged"], found["same"], found["only_second"]["count"]) == (0, False, 27)
    assert found["only_second"]["items"] == [f"i{number}" for number in range(3, 23)]
    assert len(compared(one, other, "--all")["only_second"]["items"]) == 27


@pytest.mark.parametrize(("part", "named"), [("prompt", "prompt"), ("candidates", "b")])
async def test_an_item_that_is_not_the_same_is_said_to_differ_in_its_data(
    tmp_path: Path, part: str, named: str
) -> None:
    changed = items(2)
    if part == "prompt":
        changed[1] = changed[1].model_copy(update={"prompt": "Question 1, in other words?"})
    else:
        b = changed[1].candidates[1].model_copy(update={"text": "Another answer"})
        changed[1] = changed[1].model_copy(update={"candidates": (changed[1].candidates[0], b)})
    changed[0] = changed[0].model_copy(update={"metadata": {"row": 7}})
    one = await played(tmp_path / "one", library("judge"), about=items(2))
    other = await played(tmp_path / "other", library("judge"), about=changed)
    found = compared(one, other)
    assert (found["data_changed"], found["diverged"]) == (1, 1)
    assert found["items"][0]["data"] == [named]
    parted = found["items"][0]["divergence"]
    assert (parted["first"]["kind"], parted["shared"]) == ("item_opened", 0)
    assert parted["differs"]["field"] == ("item.prompt" if part == "prompt" else "item.b.text")
    assert f"its data differ: {named}" in fellowship("diff", one, other).stdout


async def test_data_in_another_order_are_the_same_items(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("judge"))
    other = await played(tmp_path / "other", library("judge"), about=items(3)[::-1])
    assert compared(one, other)["same"] is True


async def test_a_try_that_failed_and_was_made_again_is_no_divergence(tmp_path: Path) -> None:
    failures = Counter[int]()

    def script(call: ModelCall) -> Any:
        number = next(number for number in range(3) if is_about(call, number))
        failures[number] += 1
        return ModelError("hiccup") if failures[number] == 2 else as_reply(call)

    made = library("judge", "judging.orders=both", "agents.judge.failing={retry: 2, then: fail}")
    one = await played(tmp_path / "one", made)
    other = await played(tmp_path / "other", made, script)
    assert failures.total() == 12  # of each item: the first ballot, a failed one, then both again
    found = compared(one, other)
    assert found["same"] is True
    assert (found["first"]["calls"], found["second"]["calls"], found["second"]["calls_failed"]) == (6, 12, 3)


async def test_how_often_a_failure_was_tried_is_no_divergence(tmp_path: Path) -> None:
    one, other = [
        await played(
            tmp_path / f"{retries}",
            library("judge", f"agents.judge.failing={{retry: {retries}, then: fail}}"),
            lambda _: ModelError("gone"),
        )
        for retries in (1, 3)
    ]
    found = compared(one, other)
    assert (found["same"], found["first"]["calls"], found["second"]["calls"]) == (True, 6, 12)
    shown = fellowship("diff", one, other)
    assert shown.exit_code == 0
    assert "scenario.agents.judge.failing.retry: 1 then, 3 now" in shown.stdout
    assert "not a message differs" in " ".join(shown.stdout.split())


async def test_the_words_of_an_error_are_no_divergence_its_class_is(tmp_path: Path) -> None:
    one, again, other = [
        await played(tmp_path / f"{number}", library("judge"), lambda _, error=error: error)
        for number, error in enumerate([ModelError("after 3.1 s"), ModelError("after 2.7 s"), Overloaded("busy")])
    ]
    assert compared(one, again)["same"] is True
    found = compared(one, other)
    assert (found["diverged"], found["agreement"]["failed"], found["agreement"]["n"]) == (3, 3, 0)
    parted = found["items"][0]["divergence"]
    assert (parted["first"]["kind"], parted["differs"]["field"]) == ("agent_failed", "cause.error")
    assert (parted["differs"]["first"], parted["differs"]["second"]) == ("ModelError", "Overloaded")


async def test_jurors_asked_in_another_order_by_the_scenario_are_a_divergence(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("jury"))
    other = await played(tmp_path / "other", library("jury", "flow.0.ask=[second, first, third]"))
    parted = compared(one, other)["items"][0]["divergence"]
    assert (parted["first"]["to"], parted["second"]["to"]) == ("first", "second")
    assert (parted["first"]["kind"], parted["differs"]["field"]) == ("cast_vote", "to")


async def test_a_recused_juror_and_a_withheld_answer_are_divergences(tmp_path: Path) -> None:
    scenario, source = load("jury", changes=["agents.second.failing={retry: 1, then: recuse}"])
    made = plan(scenario, source=source, models={"*": "acme/m", "second": EXPERT})

    def recused(call: ModelCall) -> Any:
        return ModelError("gone") if call.settings.model == EXPERT else as_reply(call)

    def withheld(call: ModelCall) -> Any:
        return ContentFiltered("no") if call.settings.model == EXPERT else as_reply(call)

    one = await played(tmp_path / "one", made)
    for name, script in (("recused", recused), ("withheld", withheld)):
        found = compared(one, await played(tmp_path / name, made, script))
        assert found["diverged"] == 3
        parted = found["items"][0]["divergence"]
        assert (parted["second"]["speaker"], parted["second"]["kind"]) == ("second", "model_called")
        assert parted["differs"]["first"] is not None
        assert parted["differs"]["second"] is None


async def test_what_calls_cost_and_how_they_were_answered_is_no_divergence(tmp_path: Path) -> None:
    def dear(call: ModelCall) -> Completion:
        return Completion(
            text=as_reply(call),
            finish_reason="stop",
            served_by="elsewhere",
            source="recording",
            usage=Usage(input_tokens=1000, output_tokens=1),
            cost_usd=0.5,
            attempts=(),
        )

    one = await played(tmp_path / "one", library("judge"))
    other = await played(tmp_path / "other", library("judge"), dear)
    found = compared(one, other)
    assert found["same"] is True
    assert (found["first"]["cost_usd"], found["second"]["cost_usd"]) == (None, 1.5)


class Copy:
    """A log written anew from that of a run, event by event, as the test says."""

    def __init__(self, run: Path, log: SqliteLog) -> None:
        with LogReader(run / "run.db") as reader:
            self.events = list(reader.events())
            self._texts = {
                digest: reader.text(digest)
                for event in self.events
                if event.kind == "model_called"
                for _, digest in json.loads(event.body)["messages"]
            }
            log.note(name="copy", played=str(reader.meta("played")))
        self._log = log
        self._numbers: dict[int, int] = {}
        for digest, text in self._texts.items():
            log.keep(digest, text)

    def put(self, event: Event, conversation: str | None = None, message: Message | None = None) -> int:
        """Write an event, with its cause in the new log; in place of its message another one."""
        number = self._log.append(
            message or event.message(),
            sender=event.sender,
            conversation=ConversationId(conversation) if conversation else event.conversation,
            cause=self._numbers.get(event.cause or 0),
            recipients=event.recipients,
        )
        self._numbers[event.sequence] = number
        return number

    def add(self, message: Message, conversation: str, sender: str = CONDUCTOR, cause: int | None = None) -> int:
        """Write an event of the test's own."""
        return self._log.append(message, sender=sender, conversation=ConversationId(conversation), cause=cause)

    def kind(self, kind: str, sender: str | None = None) -> Event:
        return next(each for each in self.events if each.kind == kind and sender in (None, each.sender))


@asynccontextmanager
async def copying(run: Path, out: Path) -> AsyncGenerator[Copy, None]:
    out.mkdir()
    async with open_log(out / "run.db") as log:
        yield Copy(run, log)


async def test_an_item_that_was_broken_off_and_resumed_says_the_same_as_one_that_was_not(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("debate"), about=items(1))
    for cut in range(5, 41, 4):
        async with copying(one, tmp_path / f"resumed{cut}") as copy:
            for number, event in enumerate(copy.events):
                if number == cut:
                    message = event.message()
                    if isinstance(message, ModelCalled):  # its reply was lost, and it is made once more
                        copy.put(event, message=message.model_copy(update={"text": None}))
                    copy.add(ItemResumed(), "i0~1")
                copy.put(event)
        found = compared(one, tmp_path / f"resumed{cut}")
        assert (found["same"], found["second"]["done"]) == (True, 1)


@pytest.mark.parametrize("name", ["debate", "jury", "feedback-panel", "feedback-gated", "preference-pairs"])
async def test_a_run_that_stopped_and_went_on_says_the_same_as_one_that_did_not(name: str, tmp_path: Path) -> None:
    made = library(name, *CHOSEN.get(name, ()))
    one = await played(tmp_path / "one", made)
    calls = 0

    def stopping(call: ModelCall) -> Any:
        nonlocal calls
        calls += 1
        return QuotaExhausted("nothing is left") if calls % 4 == 0 else as_reply(call)

    other = tmp_path / "other"
    await played(other, made, stopping)
    stopped = compared(one, other)
    assert (stopped["second"]["state"], stopped["diverged"]) == ("stopped", 0)
    while stopped["second"]["state"] != "done":
        await played(other, made, stopping)
        stopped = compared(one, other)
        assert stopped["diverged"] == 0
    assert stopped["same"] is True


async def test_a_judge_of_drafts_that_says_otherwise_and_another_margin_are_found(tmp_path: Path) -> None:
    def other(call: ModelCall) -> Any:
        of_judge = call.settings.model == "acme/judge" and is_about(call, 1)
        return scores(5, 1) if of_judge else speak(call)

    made, wider = (apart("preference-pairs", "rounds=1", f"margin={margin}") for margin in (0, 5))
    one = await played(tmp_path / "one", made, speak)
    found = compared(one, await played(tmp_path / "two", made, other))
    assert (found["diverged"], [item["item"] for item in found["items"]]) == (1, ["i1"])
    place = found["items"][0]["divergence"]["first"]
    assert (place["speaker"], place["kind"]) == ("judge", "model_called")
    found = compared(one, await played(tmp_path / "three", wider, speak))
    assert {item["divergence"]["first"]["kind"] for item in found["items"]} == {"pairs_made"}


async def test_what_an_open_item_has_not_said_yet_is_no_divergence_but_its_being_open_is_told(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("jury"), about=items(1))
    async with copying(one, tmp_path / "open") as copy:
        for event in copy.events:
            # The first juror's vote is missing, those of the others are there; the third's call was broken off.
            if event.kind in ("vote_cast", "model_called") and event.sender == "first":
                continue
            if event.kind in ("decision_made", "item_finished", "run_ended"):
                continue
            if event.kind == "vote_cast" and event.sender == "third":
                continue
            message = event.message()
            if isinstance(message, ModelCalled) and event.sender == "third":
                message = message.model_copy(update={"text": None})
            copy.put(event, message=message)
    found = compared(one, tmp_path / "open")
    assert (found["diverged"], found["status_changed"], found["same"]) == (0, 1, False)
    assert (found["second"]["state"], found["second"]["open"], found["second"]["done"]) == ("broken off", 1, 0)
    item = compared(one, tmp_path / "open", "i0")
    assert (item["second"]["status"], item["second"]["calls"], item["divergence"]) == ("open", 2, None)
    assert "> open   2 calls" in fellowship("diff", one, tmp_path / "open", "i0").stdout


async def test_an_open_item_that_has_said_something_else_diverges(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("jury"), about=items(1))
    async with copying(one, tmp_path / "open") as copy:
        for event in copy.events:
            if event.kind in ("decision_made", "item_finished", "run_ended"):
                continue
            message = event.message()
            if isinstance(message, VoteCast) and event.sender == "third":
                message = message.model_copy(update={"verdict": "b"})
            copy.put(event, message=message)
    found = compared(one, tmp_path / "open")
    assert (found["diverged"], found["verdict_changed"]) == (1, 0)
    parted = found["items"][0]["divergence"]
    assert (parted["second"]["speaker"], parted["differs"]["field"]) == ("third", "verdict")


async def retried(run: Path, out: Path, *, set_aside: bool) -> None:
    """Copy a run whose second juror fails first, and the item with it, and is asked once more."""
    async with copying(run, out) as copy:
        asked = copy.kind("cast_vote", "conductor")
        asked = next(each for each in copy.events if each.kind == "cast_vote" and each.recipients == ("second",))
        since = {"model_called", "vote_cast"}
        commands: dict[int, int] = {}
        for event in copy.events:
            if event.kind in since and event.cause == asked.sequence:
                continue
            if event.kind == "decision_made":
                break
            commands[event.sequence] = copy.put(event)
        cause = Failure(error="ModelError", reason="gone", agent="second")
        called = copy.kind("model_called", "second").message()
        assert isinstance(called, ModelCalled)
        command = commands[asked.sequence]
        lost = called.model_copy(update={"text": None, "model": "acme/before"})
        copy.add(lost, "i0~1", "second", command)
        copy.add(AgentFailed(cause=cause, attempt=1, then="fail"), "i0~1", "second", command)
        end = copy.add(ItemFailed(number=0, cause=cause), "i0~1", cause=1)
        copy.add(OutcomeSetAside(outcome=end, reason="retried"), "i0~1")
        copy.add(ItemResumed(set_aside=(command,) if set_aside else ()), "i0~1")
        for event in copy.events:
            if (event.kind in since and event.cause == asked.sequence) or event.kind in (
                "decision_made",
                "item_finished",
            ):
                copy.put(event)


async def test_what_was_set_aside_when_an_item_was_retried_does_not_count(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("jury"), about=items(1))
    await retried(one, tmp_path / "retried", set_aside=True)
    found = compared(one, tmp_path / "retried")
    assert (found["diverged"], found["status_changed"], found["second"]["failed"]) == (0, 0, 0)
    await retried(one, tmp_path / "other", set_aside=False)
    assert compared(one, tmp_path / "other")["diverged"] == 1


async def test_of_several_conversations_about_an_item_the_newest_with_an_outcome_is_compared(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("judge"), about=items(1))
    other = await played(tmp_path / "other", library("judge"), lambda _: scores(9, 1), items(1))
    talk = [event for event in events_of(one) if event.conversation]
    wrong = [event for event in events_of(other) if event.conversation]
    for name, parts, diverges in (
        ("begun-anew", [(wrong[:-2], "i0~1", None), (talk, "i0~2", None)], 0),
        ("left-open", [(talk, "i0~1", None), (wrong[:-1], "i0~2", None)], 0),
        ("played-twice", [(talk, "i0~1", None), (wrong, "i0~2", None)], 1),
        ("set-aside", [(talk, "i0~1", None), (wrong, "i0~2", "aside")], 0),
    ):
        async with copying(one, tmp_path / name) as copy:
            for events, conversation, aside in parts:
                last = 0
                for event in events:
                    last = copy.put(event, conversation)
                if aside:
                    copy.add(OutcomeSetAside(outcome=last, reason="retried"), conversation)
        found = compared(one, tmp_path / name)
        assert (name, found["diverged"], found["second"]["done"]) == (name, diverges, 1)


async def test_listeners_that_are_moved_to_speak_may_do_so_in_any_order_and_lost_letters_are_no_words(
    tmp_path: Path,
) -> None:
    one = await played(tmp_path / "one", library("debate"), about=items(1))
    runs: list[Path] = []
    for order in ([("critic", "No."), ("public", "Yes.")], [("public", "Yes."), ("critic", "No.")]):
        runs.append(tmp_path / order[0][0])
        async with copying(one, runs[-1]) as copy:
            for event in copy.events:
                number = copy.put(event)
                if event.kind == "argument_made" and event.sender == "psychologist":
                    for speaker, text in order:
                        copy.add(ArgumentMade(round=1, text=text), "i0~1", speaker, number)
                    if len(runs) == 1:
                        lost = LetterUndelivered(to="critic", letter="argument_made", reason="critic was stopped")
                        copy.add(lost, "i0~1", "psychologist", number)
    assert compared(*runs)["same"] is True
    found = compared(one, runs[0])["items"][0]["divergence"]
    assert (found["first"], found["second"]["speaker"]) == (None, "critic")
    assert found["differs"]["second"] == "argument_made by critic"
    assert found["second"]["step"] == "0.0"


async def test_an_item_that_is_not_in_the_data_any_more_is_none_of_the_run(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("judge"), about=items(2))
    async with copying(one, tmp_path / "less") as copy:
        for event in copy.events:
            number = copy.put(event)
            if event.kind == "item_finished" and event.conversation == "i1~1":
                copy.add(OutcomeSetAside(outcome=number, reason="not in the data"), "i1~1")
    found = compared(one, tmp_path / "less")
    assert (found["both"], found["only_first"], found["second"]["open"]) == (1, {"count": 1, "items": ["i1"]}, 0)


def events_of(run: Path) -> list[Event]:
    with LogReader(run / "run.db") as log:
        return list(log.events())


async def test_drafts_are_compared_by_their_texts(tmp_path: Path) -> None:
    def wordy(call: ModelCall) -> str:
        first = len(call.messages) == 2 and not call.answer
        return as_reply(call, text="One line.\nAnother one." if first else "Because it is so.")

    one = await played(tmp_path / "one", library("feedback-loop"), about=items(1))
    other = await played(tmp_path / "other", library("feedback-loop"), wordy, items(1))
    found = compared(one, other)
    assert (found["agreement"]["n"], found["agreement"]["share"], found["agreement"]["share_ci"]) == (0, None, None)
    assert found["items"][0]["first"]["text"] == "Because it is so."
    shown = fellowship("diff", one, other).stdout
    assert "> One line.⏎Another one." in shown
    assert "kappa" not in shown


async def test_a_long_prompt_is_shown_around_the_first_character_that_differs(tmp_path: Path) -> None:
    long = "word " * 2000
    texts = [f"{long}here{long}", f"{long}there{long}"]
    runs = [
        await played(tmp_path / f"{number}", library("judge", f"agents.judge.instructions={text}"), about=items(1))
        for number, text in enumerate(texts)
    ]
    differs = compared(*runs)["items"][0]["divergence"]["differs"]
    assert differs["field"] == "messages.1"
    assert differs["character"] > 10_000
    assert (len(differs["first"]), differs["first"][41:45], differs["second"][41:46]) == (122, "here", "there")
    assert len(fellowship("diff", *runs).stdout) < 4_000
    assert texts[1].strip() in compared(*runs, "i0")["divergence"]["differs"]["second"]


async def test_nothing_of_a_model_or_of_data_is_obeyed_by_the_terminal(tmp_path: Path) -> None:
    odd = [items(1)[0].model_copy(update={"id": "[red]x[/red]\x1b[31m"})]
    one = await played(tmp_path / "one", library("feedback-loop"), about=odd)
    other = await played(
        tmp_path / "other", library("feedback-loop"), lambda call: as_reply(call, "[bold]no[/bold]\x1b[2J"), odd
    )
    shown = fellowship("diff", one, other).stdout
    assert "Item [red]x[/red]" in shown
    assert "[bold]no[/bold]" in shown
    assert "\x1b" not in shown


async def test_the_first_twenty_items_that_differ_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("judge"), about=items(25))
    other = await played(tmp_path / "other", library("judge"), lambda _: scores(1, 2), items(25))
    found = compared(one, other)
    assert (found["diverged"], len(found["items"]), found["not_shown"]) == (25, 20, 5)
    assert [item["item"] for item in found["items"]] == [f"i{number}" for number in range(20)]
    assert "… and 5 more items that differ: --all shows them" in fellowship("diff", one, other).stdout
    whole = compared(one, other, "--all")
    assert (len(whole["items"]), whole["not_shown"]) == (25, 0)
    assert fellowship("diff", one, other, "--all").stdout.count("Item i") == 25


async def test_verdicts_are_set_against_one_another_with_share_kappa_and_intervals(tmp_path: Path) -> None:
    # The example of the SAS/STAT manual's FREQ procedure, with a, b and tie for its three labels.
    table = {("a", "b"): 4, ("a", "tie"): 1, ("b", "b"): 8, ("tie", "b"): 1, ("tie", "tie"): 5}
    pairs = [pair for pair, count in table.items() for _ in range(count)]
    to_scores = {"a": (8.0, 2.0), "b": (2.0, 8.0), "tie": (5.0, 5.0)}
    runs = [
        await played(
            tmp_path / f"{side}",
            library("judge"),
            by_question({number: to_scores[pair[side]] for number, pair in enumerate(pairs)}),
            items(len(pairs)),
        )
        for side in (0, 1)
    ]
    agreement = compared(*runs)["agreement"]
    assert (agreement["n"], agreement["same"]) == (19, 13)
    assert agreement["kappa"] == pytest.approx(0.4842, abs=5e-5)
    assert agreement["kappa_ci"] == pytest.approx([0.2137, 0.7547], abs=5e-5)
    assert agreement["moved"] == {"a->b": 4, "a->tie": 1, "tie->b": 1}
    shown = fellowship("diff", *runs).stdout
    assert "0.484 (95 %: 0.214 to 0.755)" in shown
    assert "a->b 4, a->tie 1, tie->b 1" in shown


async def test_a_run_that_is_still_going_can_be_compared(tmp_path: Path) -> None:
    one = await played(tmp_path / "one", library("judge"), about=items(6))
    seen: list[Progress] = []

    def stopping(call: ModelCall) -> str:
        seen[0].draining = True
        return as_reply(call)

    other = await played(
        tmp_path / "other", library("judge"), stopping, items(6), watch=seen.append, limits=Limits(concurrency=2)
    )
    found = compared(one, other)
    assert (found["diverged"], found["second"]["state"]) == (0, "stopped")
    assert 0 < found["both"] < 6
    assert found["both"] + found["only_first"]["count"] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("diff {run} {folder}/none", "there is no directory"),
        ("diff {folder}/none {run}", "there is no directory"),
        ("diff {run} {folder}", "is not a run: it has no run.db"),
        ("diff {run} {run} i11", "neither run has an item 'i11'; did you mean 'i"),
        ("diff {run} {foreign}", "is not a run's log"),
    ],
)
async def test_wrong_use_gives_one_sentence_and_exit_code_2(arguments: str, message: str, tmp_path: Path) -> None:
    run = await played(tmp_path / "run", library("judge"))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "run.db").write_text("something else entirely, and long enough to be looked at as a file\n" * 20)
    result = fellowship(*arguments.format(run=run, folder=tmp_path, foreign=foreign).split())
    assert result.exit_code == 2
    assert message in result.stderr
    assert (len(result.stderr.splitlines()), result.stdout) == (1, "")
