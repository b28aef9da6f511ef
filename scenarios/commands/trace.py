"""The command trace: which conversations a run has, what was said in one, and one message whole."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import AsJson, Run, app, log_of, plainly, plugged, print_json
from .conversation import enough, print_line, show

if TYPE_CHECKING:
    from ..traces.listing import Wanted

FITS = 50
"""Conversations that are listed where nobody says how many."""
WHOLE = {"message": "--message", "prompts": "--prompts"}
OF_ONE = {"conversation": "--conversation", **WHOLE}
OF_PAGE = {"sort": "--sort", "limit": "--limit", "offset": "--offset"}
FILTERS = ("state", "verdict", "failed", "failure", "disagreement", "cost", "text", "agent", "model", "variant")
OF_LIST = {"right": "--right/--wrong", **{name: f"--{name}" for name in FILTERS}}
"""Options of one conversation, of a list that has an end, and of any list."""
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
    context: typer.Context,
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
        str | None,
        typer.Option(help='Words that stand in one message; "in quotes" together, -word not, begin* for beginnings.'),
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
        str | None,
        typer.Option(metavar="N", help="One message whole, by the number in front of it, or by the id of a call."),
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

    _prove(context, item, follow=follow)
    if item is not None:
        show(run, item, conversation, message, prompts=prompts, follow=follow, as_json=as_json)
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


def _prove(context: typer.Context, item: str | None, *, follow: bool) -> None:
    """Raise DeclarationError where options do not go together."""
    from ...protocols.errors import DeclarationError

    def given(names: Mapping[str, str]) -> str | None:
        """Return the first of these options that stands in the command."""
        sources = {name: context.get_parameter_source(name) for name in names}
        found = (names[name] for name, source in sources.items() if source is not None and source.name == "COMMANDLINE")
        return next(found, None)

    if item is None and (wrong := given(OF_ONE)):
        raise DeclarationError(f"{wrong} wants an item: `fellowship trace RUN ITEM {wrong} …`")
    if item is not None and (wrong := given({**OF_LIST, **OF_PAGE})):
        raise DeclarationError(f"{wrong} is for the list of conversations, not for one of them ({item!r})")
    if follow and (wrong := given({**WHOLE, **OF_PAGE})):
        raise DeclarationError(f"--follow shows a line for what comes, as it comes: {wrong} does not go with it")


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
            terminal.out().print()
        every = index.page(type(wanted)(), limit=0).total
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
    with Index(run) as index, enough():
        for row in ended(index, wanted):
            if as_json:
                print_line(asdict(row))
            else:
                terminal.out().print(one(row))
