"""The command trace: which conversations a run has, what was said in one, and one message whole."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import AsJson, Run, app, log_of, plainly, plugged, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from ...protocols.identity import ConversationId
    from ...runtime.log import LogReader
    from ..traces.calls import Call
    from ..traces.listing import Wanted
    from ..traces.talk import Talk
    from ..traces.transcript import Around

READING_WIDTH = 100
"""Columns of a conversation where nobody is looking."""
FITS = 50
"""Conversations that are listed where nobody says how many."""
COMPLETED = 200
"""Ids that a shell is offered."""


def _ids(context: typer.Context, incomplete: str) -> list[str]:
    """Return items of the run for a shell that completes."""
    from ...protocols.errors import FellowshipError
    from ...runtime.log import LogReader

    found: dict[str, None] = {}
    try:
        with LogReader(log_of(Path(str(context.params.get("run"))))) as log:
            for _, conversation, _ in log.landmarks(("item_opened",)):
                item = conversation.rpartition("~")[0]
                if item.startswith(incomplete):
                    found[item] = None
                if len(found) == COMPLETED:
                    break
    except FellowshipError:
        return []
    return list(found)


Item = Annotated[str | None, typer.Argument(help="An item's id, to see what was said about it.", autocompletion=_ids)]


@app.command()
@plainly
@plugged
def trace(
    run: Run,
    item: Item = None,
    state: Annotated[list[str] | None, typer.Option(help="done, failed or open.", show_default=False)] = None,
    verdict: Annotated[list[str] | None, typer.Option(help="a, b, tie or unread.", show_default=False)] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Those that failed.")] = False,  # noqa: FBT002 - typer's way
    failure: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Those that failed by such an error, as in PromptTooLong.")
    ] = None,
    right: Annotated[
        bool | None, typer.Option("--right/--wrong", help="Questions answered right, or wrong.", show_default=False)
    ] = None,
    disagreement: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="At least this share of the voters is not of the most frequent verdict."),
    ] = None,
    cost: Annotated[float | None, typer.Option(min=0, help="At least, in US dollars.")] = None,
    text: Annotated[
        str | None, typer.Option(help='Words that stand in it; "in quotes" together, -word not, begin* for beginnings.')
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Who spoke in it.")] = None,
    model: Annotated[str | None, typer.Option(help="Which was called in it.")] = None,
    variant: Annotated[str | None, typer.Option(help="Of a sweep.")] = None,
    sort: Annotated[
        str, typer.Option(metavar="COLUMN", help="As in disagreement; -disagreement has the greatest first.")
    ] = "number",
    limit: Annotated[int, typer.Option(min=1, help="The most conversations that are listed.")] = FITS,
    offset: Annotated[int, typer.Option(min=0, help="Conversations that are passed over first.")] = 0,
    conversation: Annotated[
        int | None, typer.Option(min=1, help="Which of several about the item: its number behind ~. [the newest]")
    ] = None,
    message: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="One message whole, by the number in front of it.")
    ] = None,
    prompts: Annotated[bool, typer.Option("--prompts", help="With the exact prompt of each.")] = False,  # noqa: FBT002 - typer's way
    follow: Annotated[  # noqa: FBT002 - typer's way
        bool, typer.Option("--follow", "-f", help="Go on showing what comes, a line each, until the run ends.")
    ] = False,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """List a run's conversations, or show what was said about an item; also while the run is going."""
    from ..traces import choosing
    from ..traces.listing import Wanted

    given = {
        "--state": state, "--verdict": verdict, "--failed": failed or None, "--failure": failure,
        "--right/--wrong": right, "--disagreement": disagreement, "--cost": cost, "--text": text, "--agent": agent,
        "--model": model, "--variant": variant,
    }  # fmt: skip
    of_one = {"--conversation": conversation, "--message": message, "--prompts": prompts or None}
    _prove(item, given, of_one, follow=follow)
    if item is not None:
        _one(run, item, conversation, message, prompts=prompts, follow=follow, as_json=as_json)
        return
    column, descending = choosing.sorting(sort)
    states = choosing.states([*(state or ()), *(["failed"] if failed or failure is not None else [])])
    wanted = Wanted(
        states=tuple(dict.fromkeys(states)),
        verdicts=choosing.verdicts(verdict or ()),
        failure=failure,
        correct=right,
        variant=variant,
        model=model,
        agent=agent,
        disagreement=disagreement,
        cost=cost,
        text=text,
        sort=column,
        descending=descending,
    )
    if follow:
        _follow(run, wanted, as_json=as_json)
    else:
        _list(run, wanted, offset, limit, as_json=as_json)


def _prove(item: str | None, given: Mapping[str, object], of_one: Mapping[str, object], *, follow: bool) -> None:
    """Raise DeclarationError where options do not go together."""
    from ...protocols.errors import DeclarationError

    wrong = [name for name, value in (of_one if item is None else given).items() if value is not None]
    if wrong and item is None:
        raise DeclarationError(f"{wrong[0]} wants an item: `fellowship trace RUN ITEM {wrong[0]} …`")
    if wrong:
        raise DeclarationError(f"{wrong[0]} is for the list of conversations, not for one of them ({item!r})")
    if follow and (clash := [name for name in ("--message", "--prompts") if of_one[name] is not None]):
        raise DeclarationError(f"--follow shows a line a message: {clash[0]} does not go with it")


def _list(run: Path, wanted: "Wanted", offset: int, limit: int, *, as_json: bool) -> None:
    """Print the conversations that are wanted."""
    from dataclasses import asdict

    from rich.text import Text

    from .. import terminal
    from ..traces.choosing import prove
    from ..traces.index import Index
    from ..traces.listed import Conversations, summary
    from .plugins import tell_missing

    log_of(run)
    with Index(run) as index:
        while index.refresh():
            pass
        tell_missing(index.log)
        prove(wanted, index)
        page = index.page(wanted, offset, limit)
        if as_json:
            rows = [asdict(row) for row in page.rows]
            print_json({"run": index.log.run_id(), "total": page.total, "offset": offset, "conversations": rows})
            return
        if page.rows:
            terminal.out().print(Conversations(page.rows, wanted.sort))
        every = index.page(type(wanted)(), limit=0).total
    terminal.out().print()
    for line in summary(page, wanted, every, str(run)):
        terminal.out().print(Text(line, style="dim"), soft_wrap=True)


def _follow(run: Path, wanted: "Wanted", *, as_json: bool) -> None:
    """Print conversations as they end, until the run does or somebody has seen enough."""
    from dataclasses import asdict

    from .. import terminal
    from ..traces.following import ended
    from ..traces.index import Index
    from ..traces.listed import one

    log_of(run)
    with Index(run) as index, _enough():
        for row in ended(index, wanted):
            if as_json:
                _print_line(asdict(row))
            else:
                terminal.out().print(one(row))


def _one(
    run: Path, item: str, number: int | None, message: int | None, *, prompts: bool, follow: bool, as_json: bool
) -> None:
    """Print one conversation, or a message of it."""
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
            _message(log, item, names, message, as_json=as_json)
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
    _reading().print(_hint(run, item))


def _chosen(item: str, names: "tuple[ConversationId, ...]", number: int | None) -> "ConversationId":
    """Return a conversation about an item; raises DeclarationError where there is none of that number."""
    from ...protocols.errors import DeclarationError

    if number is None:
        return names[-1]
    known = {name.rpartition("~")[2]: name for name in names}
    if str(number) not in known:
        raise DeclarationError(f"there is no conversation {number} about {item!r}; there is {', '.join(known)}")
    return known[str(number)]


def _message(log: "LogReader", item: str, names: "tuple[ConversationId, ...]", sequence: int, *, as_json: bool) -> None:
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
    if as_json:
        print_json(MessageDocument.of(asked, log.run_id()).written())
    else:
        _reading().print(told(asked, log.run_id()))


def _listen(log: "LogReader", conversation: "ConversationId", *, as_json: bool) -> None:
    """Print what is said in a conversation, as it is said."""
    from ..traces.document import TurnDocument
    from ..traces.following import said
    from ..traces.transcript import line

    with _enough():
        for turn in said(log, conversation):
            if as_json:
                _print_line(TurnDocument.of(turn).written())
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


def _hint(run: Path, item: str) -> Any:  # noqa: ANN401 - rich is loaded late
    import shlex

    from rich.text import Text

    from ...runtime.tracing import plain

    command = f"fellowship trace {shlex.join([str(run), item])} --message N"
    return Text(plain(f"\nThe number of a message is that of its event: `{command}` shows it whole."), style="dim")


def _reading() -> "Console":
    """Return the console for what is read rather than looked up: not as wide where nobody is looking."""
    import os

    from .. import terminal

    console = terminal.out()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = READING_WIDTH
    return console


def _print_line(document: dict[str, Any]) -> None:
    """Print one JSON document on one line."""
    import json

    from ...runtime.secrecy import hidden

    print(json.dumps(hidden(document), ensure_ascii=False), flush=True)  # noqa: T201 - what was asked for


@contextmanager
def _enough() -> Iterator[None]:
    """End in good order where somebody who follows has seen enough."""
    try:
        yield
    except KeyboardInterrupt:
        return
