"""What the command trace shows of one conversation: all of it, a message whole, or what is said as it is said."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..console import log_of, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from ...protocols.identity import ConversationId
    from ...runtime.log import LogReader
    from ..traces.calls import Call
    from ..traces.talk import Talk
    from ..traces.transcript import Around

HINT = "--message N shows a message whole, by its number; --prompts shows what all were sent"
DIGITS = 18
"""Of any number that an event may have."""
READING_WIDTH = 100
"""Columns of a conversation where nobody is looking."""


def show(
    run: Path, item: str, number: int | None, message: str | None, *, prompts: bool, follow: bool, as_json: bool
) -> None:
    """Print one conversation, or a message of it."""
    from rich.text import Text

    from ...runtime.log import LogReader
    from ..traces.document import TalkDocument
    from ..traces.talk import about, fold
    from ..traces.transcript import transcript
    from .plugins import tell_missing

    with LogReader(log_of(run)) as log:
        tell_missing(log)
        names = about(log, item)
        chosen = _chosen(item, names, number)
        if message is not None:
            _message(log, item, names, *_sequence(message), as_json=as_json)
            return
        if follow:
            _listen(log, chosen, as_json=as_json)
            return
        talk = fold(log, chosen)
        calls = _calls(log, talk) if prompts else None
        if as_json:
            print_json(TalkDocument.of(talk, log.run_id(), names, calls).written())
            return
        models = tuple(log.count("model_called", "$.model"))
        shown = transcript(talk, models=models, around=_around(log, talk, names, calls or {}))
    _reading().print(shown)
    _reading().print(Text(f"\n{HINT}", style="dim"))


def _chosen(item: str, names: "tuple[ConversationId, ...]", number: int | None) -> "ConversationId":
    """Return a conversation about an item; raises DeclarationError where there is none of that number."""
    from ...protocols.errors import DeclarationError

    if number is None:
        return names[-1]
    known = {name.rpartition("~")[2]: name for name in names}
    if str(number) not in known:
        raise DeclarationError(f"there is no conversation {number} about {item!r}; there is {', '.join(known)}")
    return known[str(number)]


def _sequence(words: str) -> tuple[int, int]:
    """Read the number of an event, or the id of a call: an event's number, and which call; raises DeclarationError."""
    from ...protocols.errors import DeclarationError

    number, dot, call = words.partition(".")
    if not number.isdecimal() or len(number) > DIGITS or (dot and not call.isdecimal()):
        raise DeclarationError(f"--message takes a message's number or a call's id, as in 17 or 17.2, not {words!r}")
    return int(number), int(call[:DIGITS] or 0)


def _message(
    log: "LogReader", item: str, names: "tuple[ConversationId, ...]", sequence: int, call: int, *, as_json: bool
) -> None:
    from ...protocols.errors import DeclarationError
    from ..traces.calls import asked_at
    from ..traces.document import MessageDocument
    from ..traces.told import told

    asked = asked_at(log, sequence)
    if asked.conversation not in names:
        other = asked.conversation.rpartition("~")[0]
        raise DeclarationError(
            f"event {sequence} is not of {item!r} but of {other!r}: `fellowship trace RUN {other} --message {sequence}`"
        )
    if call > len(asked.calls):
        made = len(asked.calls)
        raise DeclarationError(f"event {sequence} led to {made} {'call' if made == 1 else 'calls'}")
    if as_json:
        print_json(MessageDocument.of(asked, log.run_id()).written())
    else:
        _reading().print(told(asked, log.run_id()))


def _listen(log: "LogReader", conversation: "ConversationId", *, as_json: bool) -> None:
    """Print what is said in a conversation, as it is said."""
    from ..traces.document import TurnDocument
    from ..traces.following import said
    from ..traces.transcript import line

    with enough():
        for turn in said(log, conversation):
            if as_json:
                print_line(TurnDocument.of(turn).written())
            else:
                _reading().print(line(turn), overflow="ellipsis", no_wrap=True)


def _calls(log: "LogReader", talk: "Talk") -> "dict[int, list[Call]]":
    from ..traces.calls import call_at

    found = [(turn.sequence, turn.effort) for turn in talk.turns]
    found += [(awaited.sequence, awaited.effort) for awaited in talk.awaited]
    return {sequence: [call_at(log, call) for call in effort.called] for sequence, effort in found}


def _around(
    log: "LogReader", talk: "Talk", names: "tuple[ConversationId, ...]", calls: "dict[int, list[Call]]"
) -> "Around":
    """Return what is to be told of a conversation that is not said in it."""
    from ...runtime.clock import SystemClock
    from ...runtime.log import being_written
    from ..live import Live
    from ..traces.transcript import Around

    going = talk.state == "open" and being_written(log.path)
    notes: list[str] = []
    if len(names) > 1:
        which = "the newest" if talk.conversation == names[-1] else "not the newest"
        numbers = ", ".join(name.rpartition("~")[2] for name in names)
        notes.append(f"this is {which} of {len(names)} conversations about it: --conversation {numbers} shows each")
    if talk.state == "open" and not going:
        notes.append("nobody goes on with it now: the command that began the run does")
    heard: dict[str, str] = {}
    noted = log.meta("live") if going else None
    for stall in Live.model_validate_json(noted).stalls if noted is not None else ():
        if stall.conversation == talk.conversation and stall.words:
            heard[stall.agent] = f"…{stall.words}"
    now_s = SystemClock().now_s() if going else None
    return Around(note="; ".join(notes), now_s=now_s, calls=calls, heard=heard)


def _reading() -> "Console":
    """Return the console for what is read rather than looked up: not as wide where nobody is looking."""
    import os

    from .. import terminal

    console = terminal.out()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = READING_WIDTH
    return console


def print_line(document: dict[str, Any]) -> None:
    """Print one JSON document on one line."""
    import json

    from ...runtime.printable import escaped
    from ...runtime.secrecy import hidden

    print(escaped(json.dumps(hidden(document), ensure_ascii=False)), flush=True)  # noqa: T201 - what was asked for


@contextmanager
def enough() -> Generator[None]:
    """End in good order where somebody who follows has seen enough."""
    try:
        yield
    except KeyboardInterrupt:
        return
