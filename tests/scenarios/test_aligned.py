"""Two conversations side by side: rows by their place in the flow, and texts word by word."""

import asyncio
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from playing import items, library

from fellowship.protocols.errors import PromptTooLong
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Settings, play
from fellowship.scenarios.traces.aligned import MOST_WORDS, Row, aligned, worded
from fellowship.scenarios.traces.talk import find, fold

texts = st.text(alphabet="ab \n.", max_size=60)


async def talk_of(out: Path, scenario: str, last: str = "general-public", *changes: str, text: str = "So.") -> Path:
    """Play a scenario in which one of those asked together answers after the others."""
    others = asyncio.Event()

    async def answer(call: ModelCall) -> str:
        if call.answer is not None and last in str(call.messages[0].content):
            await others.wait()
        elif call.answer is not None:
            asyncio.get_running_loop().call_soon(others.set)
        return as_reply(call, text)

    await play(library(scenario, *changes), items(1), out, Settings(client=ScriptedModel(answer)))
    return out


def rows(one: Path, other: Path) -> tuple[Row, ...]:
    with LogReader(one / "run.db") as first, LogReader(other / "run.db") as second:
        return aligned(fold(first, find(first, "i0")), fold(second, find(second, "i0")))


def last_voter(run: Path) -> str:
    with LogReader(run / "run.db") as log:
        return [event.sender for event in log.events(kinds=("vote_cast",))][-1]


async def test_messages_asked_for_together_stand_beside_each_other_in_whatever_order_they_came(tmp_path: Path) -> None:
    one = await talk_of(tmp_path / "one", "debate", "psychologist")
    other = await talk_of(tmp_path / "other", "debate", "critic")
    assert last_voter(one) == "psychologist"
    assert last_voter(other) == "critic"
    found = rows(one, other)
    assert all(row.same for row in found)
    spoken = [row.first.speaker for row in found if row.first is not None]
    assert spoken[-5:-2] == ["public", "psychologist", "critic"]


async def test_a_failure_stands_beside_what_the_other_run_has_there(tmp_path: Path) -> None:
    def fail(call: ModelCall) -> str | Exception:
        return PromptTooLong("it is too long") if call.answer is not None else as_reply(call)

    await play(library("debate"), items(1), tmp_path / "failed", Settings(client=ScriptedModel(fail)))
    whole = await talk_of(tmp_path / "whole", "debate", "critic", text="Because it is so.")
    found = rows(whole, tmp_path / "failed")
    kinds = [tuple(side and side.message.kind for side in (row.first, row.second)) for row in found]
    assert kinds[6] == ("vote_cast", "agent_failed")
    assert kinds[-1] == ("item_finished", "item_failed")
    assert [row.same for row in found[:6]] == [True] * 6


async def test_what_one_run_says_more_stands_alone_where_it_was_said(tmp_path: Path) -> None:
    longer = await talk_of(tmp_path / "one", "debate", "critic")
    shorter = await talk_of(tmp_path / "other", "debate", "critic", "flow.0.repeat=1", text="Not so.")
    for left, right, side in ((longer, shorter, "second"), (shorter, longer, "first")):
        found = rows(left, right)
        alone = [at for at, row in enumerate(found) if getattr(row, side) is None]
        assert alone == [3, 4, 5]
        assert [row.same for row in found] == [False] * 9 + [True, True]


@given(texts, texts)
def test_each_of_two_texts_is_whole_in_what_they_share_and_what_is_its_own(first: str, second: str) -> None:
    parts = worded(first, second)
    assert "".join(part.text for part in parts if part.kept != "new") == first
    assert "".join(part.text for part in parts if part.kept != "gone") == second
    assert all(part.text for part in parts)


def test_of_two_texts_the_words_that_differ_are_marked_and_of_very_long_ones_all_between() -> None:
    assert [(part.kept, part.text) for part in worded("It is blue now.", "It is red now.")] == [
        ("same", "It is"),
        ("gone", " blue"),
        ("new", " red"),
        ("same", " now."),
    ]
    scattered = worded("so one two word six end", "so three four word nine end")
    assert [(part.kept, part.text) for part in scattered[1:-1]] == [
        ("gone", " one two word six"),
        ("new", " three four word nine"),
    ]
    words = ["x", *map(str, range(MOST_WORDS + 1)), "z"]
    parts = worded(" ".join(words), " ".join([words[0], *reversed(words[1:-1]), words[-1]]))
    assert [part.kept for part in parts] == ["same", "gone", "new", "same"]
