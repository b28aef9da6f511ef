"""Runs looked at on a terminal: lists of conversations, one as it was said, one message whole, and a run as it goes."""

import asyncio
import json
import os
import re
import shlex
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest
from playing import fellowship, items, library, status
from telling import Speaker, apart, played
from typer.testing import Result

from fellowship.protocols.errors import Overloaded, PromptTooLong
from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Item
from fellowship.protocols.models import Attempt, Completion, ModelCall, Usage
from fellowship.runtime.log import LogReader
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Settings, load, open_dataset, plan, play
from fellowship.scenarios.again import fork, retry

HOSTILE = "\x1b[31mred\x9b2J [bold]loud[/bold] \u202eevil"
SAYS = {0: ("a", "a", "a"), 1: ("a", "a", "b"), 3: ("a", "b", "tie"), 4: ("b", "b", "b")}
SCORES = {"a": (8, 3), "b": (2, 6), "tie": (5, 5)}
JURORS = ("first", "second", "third")
WENT_WRONG = Attempt(latency_s=0.5, error="Overloaded: acme/second answered 503: try later", maybe_billed=True)


def about() -> list[Item]:
    """Return five items; one has an id like a conversation's, and hostile text."""
    found = items(5)
    hostile = {"id": ItemId("i4~1"), "prompt": f"Question 4? {HOSTILE}"}
    return [*found[:4], found[4].model_copy(update=hostile)]


def juror(call: ModelCall) -> Completion | Exception:
    """Vote as it is written above, at a price that grows with the number of the question."""
    number = int(re.findall(r"Question (\d)\?", call.messages[-1].content)[-1])
    if number == 2:
        return PromptTooLong("acme answered 400: 9,000 tokens are too many")
    name = call.settings.model.partition("/")[2]
    score_a, score_b = SCORES[SAYS[number][JURORS.index(name)]]
    reason = HOSTILE if number == 4 else f"Because {name} thinks so of {number}."
    return Completion(
        text=json.dumps({"reason": reason, "score_a": score_a, "score_b": score_b}),
        finish_reason="stop",
        served_by=f"{name}-2026",
        usage=Usage(input_tokens=100 * (number + 1), output_tokens=20, reasoning_tokens=5),
        attempts=((WENT_WRONG,) if (number, name) == (3, "second") else ()) + (Attempt(latency_s=0.25, waited_s=1.5),),
        reasoning="Let me think." if number == 0 else None,
        tier="json-schema",
        cost_usd=0.001 * (number + 1),
    )


@pytest.fixture(scope="module")
def client() -> ScriptedModel:
    return ScriptedModel(juror)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, client: ScriptedModel) -> Path:
    """Five items before a jury, one after the other."""
    out = tmp_path_factory.mktemp("jury") / "run"
    settings = Settings(client=client, limits=Limits(concurrency=1))
    asyncio.run(play(apart("jury"), about(), out, settings))
    return out


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FELLOWSHIP_CACHE", str(tmp_path / "cache"))


def traced(run: Path, *arguments: object, columns: int = 100) -> str:
    result = fellowship("trace", run, *arguments, env={"COLUMNS": str(columns)})
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= max(
        columns, 1 + len(f"`fellowship trace {run} ITEM` shows one")
    )
    return result.stdout


def document(run: Path, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(traced(run, *arguments, "--json", columns=1_000_000))
    return found


def refused(*arguments: object) -> str:
    result: Result = fellowship("trace", *arguments)
    assert result.exit_code == 2, result.stdout
    assert result.stdout == ""
    return result.stderr


def event_of(run: Path, item: str, kind: str, speaker: str) -> int:
    turns = document(run, item)["turns"]
    return next(turn["sequence"] for turn in turns if (turn["kind"], turn["speaker"]) == (kind, speaker))


def test_a_list_is_a_line_a_conversation_in_as_many_columns_as_there_is_room_for(run: Path) -> None:
    def lines(columns: int) -> list[str]:
        return [re.sub(r" +[\d.]+ s$", "", line) for line in traced(run, columns=columns).splitlines()[:5]]

    assert lines(80) == [
        "item  state   outcome                     disagree  said  tokens     usd    time",
        "i0    done    a (8 : 3)                       0.00     3     360  0.0030",
        "i1    done    a (6 : 4)                       0.33     3     660  0.0060",
        "i2    failed  PromptTooLong: acme answe…               0       0",
        "i3    done    tie (5 : 4.67)                  0.67     3   1,260  0.0120",
    ]
    assert lines(120) == [
        "item  state   outcome                                    disagree  rounds  said  calls  attempts  tokens     usd    time",
        "i0    done    a (8 : 3)                                      0.00       1     3      3               360  0.0030",
        "i1    done    a (6 : 4)                                      0.33       1     3      3               660  0.0060",
        "i2    failed  PromptTooLong: acme answered 400: 9,000 …                       0      3                 0",
        "i3    done    tie (5 : 4.67)                                 0.67       1     3      3         4   1,260  0.0120",
    ]
    assert traced(run).splitlines()[-3:] == ["", "5 conversations", f"`fellowship trace {run} ITEM` shows one"]


def test_conversations_are_found_by_what_became_of_them_what_they_took_and_what_was_said(run: Path) -> None:
    def found(*options: object) -> list[str]:
        return [row["item"] for row in document(run, *options)["conversations"]]

    assert found() == ["i0", "i1", "i2", "i3", "i4~1"]
    assert found("--state", "failed") == found("--failed") == found("--failure", "PromptTooLong") == ["i2"]
    assert found("--failure", "RateLimited") == []
    assert found("--state", "done", "--verdict", "a", "--verdict", "tie") == ["i0", "i1", "i3"]
    assert found("--disagreement", 0.3, "--sort", "-disagreement") == ["i3", "i1"]
    assert found("--cost", 0.011, "--sort", "-cost") == ["i4~1", "i3"]
    assert found("--agent", "second", "--limit", 2) == ["i0", "i1"]
    assert found("--model", "acme/second", "--offset", 3, "--state", "done") == ["i4~1"]
    assert found("--text", '"third thinks so of 3"') == ["i3"]
    assert found("--text", "thinks -3") == ["i0", "i1"]
    cut = traced(run, "--state", "done", "--sort", "-tokens", "--limit", 2).splitlines()
    assert [line.split()[0] for line in cut[1:3]] == ["i4~1", "i3"]
    assert cut[4:6] == ["4 of 5 conversations: done, sorted by tokens, the greatest first", "shown: 1 to 2; --offset 2 shows those after it"]  # fmt: skip
    assert traced(run, "--verdict", "unread").splitlines() == ["0 of 5 conversations: verdict unread"]
    whole = document(run, "--limit", 2)
    assert (whole["total"], whole["offset"], len(whole["conversations"])) == (5, 0, 2)
    assert document(run, "--limit", 10**25)["total"] == 5
    assert document(run, "--offset", 10**25)["conversations"] == []
    assert re.fullmatch(r"[0-9a-f]{16}", whole["run"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--state", "faild"), "unknown state 'faild'; did you mean 'failed'?"),
        (("--verdict", "ties"), "unknown verdict 'ties'; did you mean 'tie'?"),
        (("--sort", "-costs"), "unknown column to sort by 'costs'; did you mean 'cost'?"),
        (("--agent", "secnd"), "unknown agent 'secnd'; did you mean 'second'?"),
        (("--model", "acme/secnd"), "did you mean 'acme/second'?"),
        (("--variant", "x"), "unknown variant 'x'; there is none"),
        (("--failure", "PromptToLong"), "did you mean 'PromptTooLong'?"),
        (("--message", 3), "--message wants an item"),
        (("i0", "--cost", 1), "--cost is for the list"),
        (("i0", "--follow", "--prompts"), "--prompts does not go with it"),
        (("--follow", "--sort", "cost"), "--sort does not go with it"),
        (("i0", "--limit", 3), "--limit is for the list"),
        (("i0", "--conversation", 2), "there is no conversation 2 about 'i0'; there is 1"),
        (("i5",), "the run has no item 'i5'; did you mean 'i"),
        (("i0", "--message", 10_000), "the run has no event 10000"),
        (("i0", "--message", "9" * 25), "--message takes a message's number"),
        (("i0", "--message", "9" * 5_000), "--message takes a message's number"),
        (("i0", "--message", "17.x"), "--message takes a message's number or a call's id, as in 17 or 17.2, not '17.x'"),
        (("i0", "--message", 1), "event 1 (run_started) is of the whole run"),
    ],
)  # fmt: skip
def test_what_a_run_cannot_have_is_told_with_what_is_nearest(
    run: Path, options: tuple[object, ...], words: str
) -> None:
    assert words in refused(run, *options)


def test_a_conversation_shows_what_each_turn_took_why_attempts_failed_and_what_all_took(run: Path) -> None:
    lines = traced(run, "i3").splitlines()
    assert lines[0].startswith("Item i3 ")
    assert lines[0].endswith(" done: tie, a 5 : b 4.66667")
    assert re.fullmatch(r"conversation i3~1, begun \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", lines[1])
    shown = "\n".join(lines)
    assert re.search(r"\d+ third votes tie, a 5 : b 5 \(combined of 10, shown ab\)\s+400\+20 tokens, 0\.2 s, 0\.0040 usd, \+", shown)  # fmt: skip
    assert re.search(r"2 attempts, 400\+20 tokens, 0\.8 s, 0\.0040 usd, \+\d", shown)
    assert "      went wrong: Overloaded: acme/second answered 503: try later\n" in shown
    assert "      Because second thinks so of 3.\n" in shown
    assert "3 calls, 1 attempt went wrong, 1,200+60 tokens, 0.0120 usd, 1.2 s at models, " in shown
    assert not any(line.endswith(" ") for line in lines)
    failed = traced(run, "i2")
    assert "failed: PromptTooLong" in failed.splitlines()[0]
    assert "Failed: PromptTooLong: acme answered 400: 9,000 tokens are too many" in failed


def test_a_conversation_says_who_heard_whom_in_which_round(tmp_path: Path) -> None:
    asyncio.run(play(library("debate"), items(1), tmp_path, Settings(client=ScriptedModel())))
    shown = traced(tmp_path, "i0")
    assert shown.count("Round 1") == shown.count("Round 2") == 1
    assert re.search(r"\d+ critic argues → public, psychologist  ", shown)
    assert shown.index("Round 1") < shown.index("critic argues") < shown.index("Round 2") < shown.index("critic votes")


def test_a_message_is_shown_whole_with_the_exact_prompt_and_every_attempt(run: Path, client: ScriptedModel) -> None:
    number = event_of(run, "i3", "vote_cast", "second")
    found = document(run, "i3", "--message", number)
    (asked,) = [it for it in client.calls if (it.settings.model, "Question 3?" in it.messages[-1].content) == ("acme/second", True)]  # fmt: skip
    (call,) = found["calls"]
    assert [(part["role"], part["text"]) for part in call["prompt"]] == [(it.role, it.content) for it in asked.messages]
    assert found["command"]["kind"] == "cast_vote"
    (turn,) = [turn for turn in document(run, "i3")["turns"] if turn["sequence"] == number]
    assert (call["id"], [call["sequence"]]) == (f"{turn['command']}.1", turn["effort"]["called"])
    assert [attempt["error"] for attempt in call["attempts"]] == [WENT_WRONG.error, None]
    assert (call["model"], call["served_by"], call["tier"], call["cost_usd"]) == ("acme/second", "second-2026", "json-schema", 0.004)  # fmt: skip
    assert json.loads(call["text"])["score_b"] == found["message"]["score_b"] == 6
    assert (found["item"], found["conversation"], found["speaker"]) == ("i3", "i3~1", "second")
    shown = traced(run, "i3", "--message", number)
    for line in (
        f"Event {number}: vote_cast by second",
        "served by       second-2026",
        "form            scores_of_10, by json-schema",
        "settings        temperature 0.0",
        "usage           400 tokens in, 20 out (5 reasoning)",
        "cost            0.0040 usd",
        "  1  0.500 s, perhaps billed, nobody says how much: Overloaded: acme/second answered 503: try later",
        "  2  0.250 s, after 1.500 s of waiting",
        "prompt 1, system",
        '    "verdict": "b",',
    ):
        assert line in shown.splitlines()
    assert "reasoning\n  Let me think.\n" in traced(run, "i0", "--message", event_of(run, "i0", "vote_cast", "first"))
    assert document(run, "i3", "--message", call["id"]) == found
    other = refused(run, "i0", "--message", number)
    assert f"event {number} is not of 'i0' but of 'i3': `fellowship trace RUN i3 --message {number}`" in other


def test_prompts_are_shown_on_request_in_front_of_what_came_of_them(run: Path) -> None:
    bare, full = traced(run, "i1"), traced(run, "i1", "--prompts")
    assert "prompt 1, system" not in bare
    assert full.count("      prompt 1, system\n") == full.count("      prompt 2, user\n") == 3
    turns = document(run, "i1", "--prompts")["turns"]
    prompts = [turn["calls"][0]["prompt"][-1]["text"] for turn in turns if turn["said"]]
    assert len(prompts) == 3
    assert all("Question 1?" in text for text in prompts)
    assert all(turn["calls"] is None for turn in document(run, "i1")["turns"])


def test_the_number_in_front_of_a_message_is_where_a_fork_goes_on(run: Path, tmp_path: Path) -> None:
    number = event_of(run, "i1", "vote_cast", "third")
    assert re.search(rf"^ +{number} third votes b", traced(run, "i1"), re.MULTILINE)
    again = ScriptedModel(juror)
    asyncio.run(fork(run, number, tmp_path / "fork", Settings(client=again)))
    assert [call.settings.model for call in again.calls] == ["acme/third"]


@pytest.mark.parametrize("arguments", [(), ("i4~1",), ("i4~1", "--prompts"), ("i4~1", "--follow"), ("--follow",)])
def test_nothing_that_is_said_or_asked_is_obeyed_by_the_terminal(run: Path, arguments: tuple[str, ...]) -> None:
    shown = traced(run, *arguments, columns=10_000)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    assert "[bold]loud[/bold]" in shown or arguments in ((), ("--follow",))
    vote = event_of(run, "i4~1", "vote_cast", "first")
    assert "\x1b" not in traced(run, "i4~1", "--message", vote, columns=10_000)


async def test_who_is_awaited_is_told_with_what_went_wrong_until_now_and_that_nobody_goes_on(tmp_path: Path) -> None:
    async def never(call: ModelCall) -> str:
        if call.settings.model == "acme/first":
            return as_reply(call)
        task.cancel()
        await asyncio.Event().wait()
        return ""

    made = apart("jury", "flow.0.order=in-turn")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(play(made, items(1), tmp_path / "run", Settings(client=ScriptedModel(never))))
    shown = traced(tmp_path / "run", "i0")
    assert shown.splitlines()[0].endswith(" open")
    assert "nobody goes on with it now: the command that began the run does" in shown
    assert re.search(r"\n +\d+ second was asked \(cast vote\): no answer yet", shown)
    found = document(tmp_path / "run", "i0")
    assert [(each["agent"], each["kind"]) for each in found["awaited"]] == [("second", "cast_vote")]
    assert (found["state"], found["outcome"]) == ("open", None)
    number = found["awaited"][0]["sequence"]
    assert f"Event {number}: cast_vote by conductor" in traced(tmp_path / "run", "i0", "--message", number)


async def test_of_several_conversations_about_an_item_each_can_be_seen(tmp_path: Path) -> None:
    scenario, source = load("judge")
    made = plan(scenario, source=source, models={"*": "acme/m"})
    data = tmp_path / "d.jsonl"
    for prompt in ("Why?", "Why, then?"):
        data.write_text(json.dumps({"id": "7", "prompt": prompt, "a": "x", "b": "y"}) + "\n")
        settings = Settings(client=ScriptedModel(), accept_changes=True)
        await play(made, open_dataset(data, takes="comparison"), tmp_path / "run", settings)
    shown = traced(tmp_path / "run", "7")
    assert "this is the newest of 2 conversations about it: --conversation 1, 2 shows each" in " ".join(shown.split())
    assert "  Why, then?\n" in shown
    assert "  Why?\n" in traced(tmp_path / "run", "7", "--conversation", 1)
    assert document(tmp_path / "run", "7", "--conversation", 1)["conversations"] == ["7~1", "7~2"]


async def test_an_answer_of_the_conversation_before_is_counted_there_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    await played(apart("debate"), 1, run, Speaker(last=5))
    await played(apart("debate", "judging.scale=5"), 1, run, Speaker(), accept_changes=True)
    (row,) = document(run)["conversations"]
    before, now = (document(run, "i0", "--conversation", number)["effort"] for number in (1, 2))
    assert (len(now["called"]), now["earlier"], now["attempts"], now["cached"]) == (9, 4, 5, 0)
    assert sum(now["usage"][name] for name in ("input_tokens", "output_tokens")) == row["tokens"]
    whole = status(run)
    for name in ("input_tokens", "output_tokens"):
        assert before["usage"][name] + now["usage"][name] == whole[name]
    shown = " ".join(traced(run, "i0").split())
    assert f"{row['calls']} calls, 4 answers of the conversation before," in shown
    assert "answered before, +" in shown


async def test_a_failure_that_was_retried_is_in_the_conversation_and_its_outcome_is_the_last(tmp_path: Path) -> None:
    asked = [0]

    def at_first(call: ModelCall) -> str | Exception:
        asked[0] += 1
        return PromptTooLong("too long, today") if asked[0] == 1 else as_reply(call)

    await play(library("judge"), items(1), tmp_path, Settings(client=ScriptedModel(at_first)))
    await retry(tmp_path, Settings(client=ScriptedModel(at_first)))
    shown = traced(tmp_path, "i0")
    assert shown.splitlines()[0].endswith(" done: tie, a 5 : b 5")
    assert shown.index("too long, today") < shown.index("Another start goes on") < shown.index("judge votes tie")


async def test_a_try_that_failed_and_the_one_after_it_each_have_calls_of_their_own(tmp_path: Path) -> None:
    broken = [True]

    def once(call: ModelCall) -> str | Exception:
        was, broken[0] = broken[0], False
        return Overloaded("acme is busy") if was else as_reply(call)

    await play(
        library("judge", "agents.judge.failing.retry=1"), items(1), tmp_path, Settings(client=ScriptedModel(once))
    )
    failed, voted, *_ = document(tmp_path, "i0", "--prompts")["turns"]
    assert (failed["kind"], voted["kind"]) == ("agent_failed", "vote_cast")
    assert [call["id"] for call in (*failed["calls"], *voted["calls"])] == [f"{voted['command']}.{k}" for k in (1, 2)]
    shown = document(tmp_path, "i0", "--message", failed["sequence"])
    assert (shown["kind"], [call["error"]["error"] for call in shown["calls"]]) == ("agent_failed", ["Overloaded"])
    for number in (voted["sequence"], voted["command"], f"{voted['command']}.2", voted["effort"]["called"][0]):
        found = document(tmp_path, "i0", "--message", number)
        assert (found["sequence"], len(found["calls"])) == (voted["sequence"], 2)


class Gates:
    """A model that answers about an item when the test lets it."""

    def __init__(self, count: int) -> None:
        self.asked = [asyncio.Event() for _ in range(count)]
        self.open = [asyncio.Event() for _ in range(count)]

    async def answer(self, call: ModelCall) -> str:
        number = int(re.findall(r"Question (\d)\?", call.messages[-1].content)[-1])
        self.asked[number].set()
        await self.open[number].wait()
        return as_reply(call)


async def follower(run: Path, *arguments: str) -> Process:
    line = (sys.executable, "-m", "fellowship", "trace", str(run), *arguments, "--follow")
    return await asyncio.create_subprocess_exec(*line, stdout=PIPE, stderr=PIPE, env={**os.environ})


async def read(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 30)).decode().rstrip("\n")


async def ended(process: Process) -> tuple[int | None, list[str], str]:
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode().splitlines(), err.decode()


async def test_a_run_is_followed_as_its_conversations_end_until_it_does_or_somebody_has_seen_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enough(seconds: float) -> None:
        raise KeyboardInterrupt

    gates, run = Gates(3), tmp_path / "run"
    settings = Settings(client=ScriptedModel(gates.answer), limits=Limits(concurrency=1))
    async with asyncio.TaskGroup() as group:
        playing = group.create_task(play(library("judge"), items(3), run, settings))
        gates.open[0].set()
        await asyncio.wait_for(gates.asked[1].wait(), 30)
        listed = await follower(run)
        talk = await follower(run, "i1", "--json")
        assert re.fullmatch(r"done +i0  tie \(5 : 5\)  1 said, .* tokens, [\d.]+ s", await read(listed))
        shown = traced(run, "i1")
        assert shown.splitlines()[0].endswith(" open")
        assert re.search(r"judge was asked \(cast vote\): no answer yet, for [\d.]+ s now", shown)
        assert "nobody goes on" not in shown
        with monkeypatch.context() as context:
            context.setattr("fellowship.runtime.log.watching.time.sleep", enough)
            assert len(traced(run, "--follow").splitlines()) == 1
        gates.open[1].set()
        spoken = [json.loads(await read(talk)) for _ in range(3)]
        assert [turn["kind"] for turn in spoken] == ["vote_cast", "decision_made", "item_finished"]
        assert await ended(talk) == (0, [], "")
        assert (await read(listed)).startswith("done    i1 ")
        assert not playing.done()
        gates.open[2].set()
    code, rest, errors = await ended(listed)
    assert (code, len(rest), errors) == (0, 1, "")
    assert rest[0].startswith("done    i2 ")


def test_a_run_that_has_ended_is_told_from_its_beginning_and_filters_hold(run: Path) -> None:
    lines = traced(run, "--follow", columns=200).splitlines()
    assert [line.split()[:2] for line in lines] == [["done", "i0"], ["done", "i1"], ["failed", "i2"], ["done", "i3"], ["done", "i4~1"]]  # fmt: skip
    rows = [json.loads(line) for line in traced(run, "--follow", "--json", "--failed", columns=10_000).splitlines()]
    assert [(row["item"], row["state"]) for row in rows] == [("i2", "failed")]
    said = traced(run, "i1", "--follow", columns=80).splitlines()
    assert re.fullmatch(r" +\d+ first votes a, a 8 : b 3 \(combined of 10, shown ab\): Because first thinks…", said[0])
    with LogReader(run / "run.db") as log:
        assert said[-1].split()[0] == str(max(log.positions(["i1~1"])["i1~1"]))  # type: ignore[list-item,index]


def test_the_page_shows_what_the_commands_print(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/jury").symlink_to(run)
    monkeypatch.chdir(tmp_path)
    page = (
        (Path(__file__).parents[2] / "docs/tracing.md")
        .read_text()
        .partition("## In a terminal\n")[2]
        .partition("\n## ")[0]
    )
    seen = 0
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for command, printed in re.findall(r"^\$ fellowship (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            rest = " ".join(fellowship(*shlex.split(command), env={"COLUMNS": "100"}).stdout.split())
            for part in filter(None, (" ".join(part.split()) for part in re.split("…|\n", printed))):
                _, found, rest = rest.partition(part)
                assert found, f"{command}: {part}"
                seen += 1
    assert seen > 20
    rows = re.findall(r"^\| .* \| (`.*) \|$", page, re.MULTILINE)
    keys = [set(re.findall(r"`(\w+)`", row)) for row in rows]
    talk = document(run, "i3", "--prompts")
    of_one = document(run, "i3", "--message", talk["turns"][0]["sequence"])
    conversations = document(run)
    for document_ in (talk, talk["turns"][0], talk["effort"], of_one, of_one["calls"][0]):
        assert set(document_) in keys
    assert {*conversations, *conversations["conversations"][0]} in keys


def test_votes_after_the_rounds_stand_under_none_of_them(tmp_path: Path) -> None:
    out = tmp_path / "run"
    asyncio.run(play(library("debate"), items(1), out, Settings(client=ScriptedModel())))
    shown = fellowship("trace", out, "i0").stdout
    assert shown.index("Round 2") < shown.rindex("argues") < shown.index("After round 2") < shown.index("votes")


def test_an_item_whose_turn_has_not_come_is_told_as_such_and_a_call_that_was_not_made(tmp_path: Path) -> None:
    out = tmp_path / "run"
    asyncio.run(play(library("judge"), items(2), out, Settings(client=ScriptedModel())))
    missing = fellowship("trace", out, "i7")
    assert "the run has no item 'i7'" in missing.stderr
    with sqlite3.connect(out / "run.db") as log:
        log.execute("UPDATE events SET body = json_set(body, '$.items', 9) WHERE kind = 'run_started'")
    log.close()
    waiting = fellowship("trace", out, "i7")
    assert (
        waiting.exit_code,
        "the run has begun no item 'i7': it has begun 2 of 9 items so far" in waiting.stderr,
    ) == (2, True)
    with LogReader(out / "run.db") as reader:
        cause = next(event.cause for event in reader.events(kinds=("model_called",)) if event.conversation == "i0~1")
    none = fellowship("trace", out, "i0", "--message", f"{cause}.9")
    assert (none.exit_code, f"event {cause} led to 1 call" in none.stderr) == (2, True)
