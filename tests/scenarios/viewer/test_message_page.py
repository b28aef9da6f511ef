"""One message looked into: its prompt word for word, what is new in it, the raw answer, every attempt."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from playing import items, library
from viewing import gallery

from fellowship.protocols.identity import ConversationId
from fellowship.protocols.models import Attempt, Completion, ModelCall, TokenLogprob, Usage
from fellowship.runtime.log import LogReader
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Settings, play
from fellowship.scenarios.traces.talk import Turn, fold
from fellowship.scenarios.viewer.inspection import inspection, whole
from fellowship.scenarios.viewer.serving import serving


def turns(run: Path, conversation: str) -> list[Turn]:
    with LogReader(run / "run.db") as log:
        return [turn for turn in fold(log, ConversationId(conversation)).turns if turn.said]


@asynccontextmanager
async def visiting(run: Path, folder: Path) -> AsyncGenerator[tuple[str, aiohttp.ClientSession], None]:
    async with serving([run], port=0, folder=folder) as url, aiohttp.ClientSession(f"{url}r/{run.name}/") as session:
        yield url, session


async def played(folder: Path) -> Path:
    """Play a debate by a model that thinks, errs once, and says how sure it was of each token."""

    def say(call: ModelCall) -> Completion:
        sure = TokenLogprob(token="So <b>", logprob=-0.01, alternatives=(("Not", -4.6),))  # noqa: S106 - of an answer
        return Completion(
            text=as_reply(call, "So <b>it</b> is.", 4),
            reasoning="Let me think.",
            finish_reason="stop",
            served_by="m-2026",
            usage=Usage(input_tokens=1200, output_tokens=34, cached_tokens=1000, reasoning_tokens=4),
            attempts=(
                Attempt(latency_s=0.25, waited_s=1.5, error="503: too <busy>", maybe_billed=True),
                Attempt(latency_s=2.0, first_token_s=0.5),
            ),
            logprobs=(sure, TokenLogprob(token="rare", logprob=-3.0)),  # noqa: S106 - of an answer
            cost_usd=0.0125,
        )

    await play(library("debate"), items(1), folder / "debate", Settings(client=ScriptedModel(say)))
    return folder / "debate"


async def test_a_message_has_all_that_it_came_from(tmp_path: Path) -> None:
    run = await played(tmp_path)
    spoken = turns(run, "i0~1")
    second = spoken[3]  # of the one who began
    with LogReader(run / "run.db") as log:
        found = inspection(log, second.sequence)
        run_id = log.run_id()
    async with visiting(run, tmp_path / "index") as (_, session), session.get(f"m/{second.sequence}") as answer:
        text = await answer.text()
    assert answer.status == 200
    [call] = found.calls
    assert call.known == 2  # the system message and the first request, as before
    assert len(call.call.prompt) > 2
    for told in (
        "503: too &lt;busy&gt;", "may have been billed", "1.5 s", "0.2 s", "2.0 s", "0.5 s", "m-2026", "Let me think.",
        "1,200 in (1,000 cached), 34 out (4 reasoning)", "$0.0125", "So &lt;b&gt;it&lt;/b&gt; is.", "2 messages as before",
        f"<code>{call.name}</code>", f"<code>{run_id}</code>", "<code>i0~1</code>", f"#m{second.sequence}",
        "99.0 %; &#39;Not&#39; 1.0 %", "&#34;kind&#34;: &#34;argument_made&#34;", "temperature 0.0",
    ):  # fmt: skip
        assert told in text, told
    assert call.name == f"{second.command}.1"
    assert text.count('<span class="mark">new</span>') == len(call.call.prompt) - 2
    assert (found.before, found.after) == (spoken[2].sequence, spoken[4].sequence)
    assert f'href="/r/debate/m/{spoken[4].sequence}" rel="next"' in text


async def test_the_first_prompt_of_an_agent_has_nothing_new_and_all_calls_of_a_conversation_are_found_at_once(
    tmp_path: Path,
) -> None:
    run = gallery()["again"]
    with LogReader(run / "run.db") as log:
        talk = fold(log, ConversationId("i0~1"))
        at_once = whole(log, talk)
        one_by_one = {turn.sequence: inspection(log, turn.sequence).calls for turn in talk.turns if turn.said}
    assert at_once == one_by_one
    assert [calls[0].known for calls in list(at_once.values())[:3]] == [None, None, None]
    asked_again = [calls for calls in at_once.values() if len(calls) > 1]
    assert asked_again
    assert all(calls[1].known == len(calls[0].call.prompt) for calls in asked_again)


async def test_a_call_and_a_command_lead_to_the_message_that_came_of_them(tmp_path: Path) -> None:
    run = gallery()["debate"]
    turn = turns(run, "i0~1")[0]
    async with visiting(run, tmp_path) as (_, session):
        for sequence in (turn.sequence, turn.command, turn.effort.called[0]):
            async with session.get(f"m/{sequence}") as answer:
                text = await answer.text()
            assert answer.status == 200
            assert f"<small>message {turn.sequence}</small>" in text


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("m/999999", "no event 999999"),
        ("m/1", "of the whole run, not of a conversation"),
        ("m/0", "no event 0"),
        ("m/abc", "no number of an event"),
        ("m/-1", "no number of an event"),
        ("m/99999999999999999999", "no number of an event"),
        ("m/²", "no number of an event"),
    ],
)
async def test_an_event_that_is_none_of_a_conversation_is_told_in_a_sentence(
    place: str, told: str, tmp_path: Path
) -> None:
    async with visiting(gallery()["debate"], tmp_path) as (_, session), session.get(place) as answer:
        assert answer.status == 404
        assert told in await answer.text()
