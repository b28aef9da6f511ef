"""Two runs side by side on a terminal. As everywhere, text of models and data is shown as text."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..protocols.judging import Verdict
from ..runtime.printable import plain
from .comparison import Agreement, Comparison, Divergence, ItemComparison, OnlyIn, Place, Side, Totals

LONGEST_OUTCOME = 60
"""Characters of an outcome on one line."""
ABSENT = "(nothing)"


def comparison(found: Comparison) -> RenderableType:
    """Return two runs side by side: sums, agreement, then the items that differ."""
    if found.same and not found.played:
        return Text(_all_the_same(found))
    parts: list[RenderableType] = [_sums(found.first, found.second)]
    if found.played:
        parts.append(Text("\nPlayed differently", style="bold"))
        parts += [_indented(line) for line in found.played]
    parts.append(Text("\nOf the items in both", style="bold"))
    parts.append(_facts(found))
    parts += [_item(item) for item in found.items]
    if found.not_shown:
        parts.append(Text(f"\n… and {found.not_shown:,} more items that differ: --all shows them"))
    if found.same:
        parts.append(Text(f"\n{_all_the_same(found)}"))
    return Group(*parts)


def one_item(found: ItemComparison, names: tuple[str, str]) -> RenderableType:
    """Return one item of two runs; where texts differ, they are shown in full."""
    missing = [name for name, side in zip(names, (found.first, found.second), strict=True) if side is None]
    parts: list[RenderableType] = [_item(found, whole=True)]
    parts += [Text(plain(f"{name} has not begun it")) for name in missing]
    if not missing and found.divergence is None:
        parts.append(Text("Not a message differs."))
    return Group(*parts)


def _all_the_same(found: Comparison) -> str:
    items = f"{found.both:,} items" if found.both != 1 else "1 item"
    return f"{plain(found.first.run)} and {plain(found.second.run)} are the same: {items}, and not a message differs."


def _sums(first: Totals, second: Totals) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", style="bold")
    table.add_column(Text(plain(first.run)), overflow="fold")
    table.add_column(Text(plain(second.run)), overflow="fold")
    for name, left, right in zip(ROWS, cells(first), cells(second), strict=True):
        if left or right:
            table.add_row(name, Text(plain(left)), Text(plain(right)))
    return table


ROWS = (
    "scenario",
    "state",
    "items",
    "verdicts",
    "unread votes",
    "votes spared",
    "failed",
    "calls",
    "tokens",
    "cost",
    "votes that agree",
)


def cells(run: Totals) -> Iterator[str]:
    """Return what a run came to, in words, one for each of ROWS; empty where there is nothing to say."""
    yield run.scenario
    yield run.state
    yield f"{run.items:,}: {run.done:,} done, {run.failed:,} failed" + (f", {run.open:,} open" if run.open else "")
    yield _counts(run.verdicts)
    yield f"{run.unread_votes:,}" if run.unread_votes else ""
    yield f"{run.votes_spared:,}" if run.votes_spared else ""
    yield _counts(run.failures)
    yield f"{run.calls:,}" + (f", {run.calls_failed:,} of them failed" if run.calls_failed else "")
    yield f"{run.input_tokens:,} in, {run.output_tokens:,} out"
    yield _money(run.cost_usd)
    yield (
        "" if run.agreement is None else f"{run.agreement:.1%} (mean of {run.agreement_n:,} items with several voters)"
    )


def _counts(counts: dict[str, int] | dict[Verdict, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _money(usd: float | None) -> str:
    return "not known" if usd is None else f"{usd:.4f} usd"


def _facts(found: Comparison) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("items", f"{found.both:,}")
    for only, run in ((found.only_first, found.first), (found.only_second, found.second)):
        if only.count:
            table.add_row("left out", Text(plain(f"{only.count:,} only in {run.run}: {_names(only)}")))
    if found.data_changed:
        table.add_row("data differ", f"{found.data_changed:,}")
    table.add_row("diverge", f"{found.diverged:,}")
    if found.status_changed:
        table.add_row("done in one", f"{found.status_changed:,} done, failed or open in one run and not in the other")
    table.add_row("other verdict", f"{found.verdict_changed:,}")
    for name, words in _agreement(found.agreement):
        table.add_row(name, words)
    return table


def _names(only: OnlyIn) -> str:
    more = ", …" if only.count > len(only.items) else ""
    return ", ".join(only.items) + more


def _agreement(found: Agreement) -> Iterator[tuple[str, str]]:
    if found.moved:
        yield "moved", ", ".join(f"{way} {count:,}" for way, count in found.moved.items())
    if found.share is not None and found.share_ci is not None:
        low, high = found.share_ci
        yield "same verdict", f"{found.same:,} of {found.n:,}, {found.share:.1%} (95 %: {low:.1%} to {high:.1%})"
        yield "kappa", _kappa(found)
    if found.unread:
        yield "unread", f"{found.unread:,} in one or both, not counted above"
    if found.failed:
        yield "failed", f"{found.failed:,} in one or both, not counted above"


def _kappa(found: Agreement) -> str:
    if found.kappa is None:
        return "undefined: there is one verdict only"
    if found.kappa_ci is None:
        return f"{found.kappa:.3f}"
    return f"{found.kappa:.3f} (95 %: {found.kappa_ci[0]:.3f} to {found.kappa_ci[1]:.3f})"


def _item(found: ItemComparison, *, whole: bool = False) -> RenderableType:
    parts: list[RenderableType] = [Text(f"\nItem {plain(found.item)}", style="bold")]
    if found.data:
        parts.append(_indented(f"its data differ: {', '.join(found.data)}"))
    for mark, side in (("<", found.first), (">", found.second)):
        if side is not None:
            parts.append(_indented(f"{mark} {_side(side, whole=whole)}"))
    if found.divergence is not None:
        parts += _divergence(found.divergence)
    return Group(*parts)


def _side(side: Side, *, whole: bool) -> str:
    result = side.verdict or side.error or side.text or ""
    if side.scores:
        result += f" ({side.scores['a']:g} : {side.scores['b']:g})"
    result = _line(result)
    result = result if whole or len(result) <= LONGEST_OUTCOME else f"{result[: LONGEST_OUTCOME - 1]}…"
    outcome = f"{side.status}: {result}" if result else side.status
    return f"{outcome}   {side.calls:,} calls, {side.tokens:,} tokens, {_money(side.cost_usd)}"


def _divergence(found: Divergence) -> Iterator[RenderableType]:
    after = f"after {found.shared:,} messages that are the same"
    places = [f"{mark} {_place(place)}" for mark, place in (("<", found.first), (">", found.second)) if place]
    yield _indented(f"first divergence, {after}: {_what(found)}")
    for place in places:
        yield _indented(place, 4)
    for mark, words in (("<", found.differs.first), (">", found.differs.second)):
        yield _indented(f"{mark} {ABSENT if words is None else _line(words)}", 4)


def _what(found: Divergence) -> str:
    differs = found.differs
    field, _, rest = differs.field.partition(".")
    called = found.first is not None and found.first.kind == "model_called"
    words = f"its {differs.field}"
    if field == "messages":
        words = f"message {rest} of the prompt ({differs.role})"
    elif field == "message":
        words = "what comes next"
    elif called and field == "text":
        words = "the model's reply"
    return words + (f", character {differs.character:,}" if differs.character is not None else "")


def _place(place: Place) -> str:
    to = f" to {place.to}" if place.to else ""
    where = [f"round {place.round}"] if place.round is not None else []
    where += [f"step {place.step}"] if place.step else []
    return ", ".join([f"event {place.sequence}: {place.speaker}, {place.kind}{to}", *where])


def _line(text: str) -> str:
    """Return a text on one line, its line breaks to be seen."""
    return text.replace("\n", "⏎")


def _indented(text: str, columns: int = 2) -> RenderableType:
    return Padding(Text(plain(text)), (0, 0, 0, columns), expand=False)
