"""What people see on a terminal. Text of models, data and files is shown as text: no markup, no control characters."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ..protocols.errors import FellowshipError
from ..protocols.models import EMBEDDED
from ..runtime.printable import obeyed_by_none, plain
from .answered import Answered
from .live import Live, Stall, Workers
from .outcomes import Outcome, Status

if TYPE_CHECKING:
    from .again import Replayed
    from .bench import Measured
    from .parameter import Parameter

PIPED_WIDTH = 160
"""Columns where nobody is looking: paths are not broken."""
LONGEST_WORDS = 60
"""Characters shown of an answer on its way."""
JUDGING = ("judge", "juror")
"""Roles that say which text is better, also where nothing but a draft comes of it."""
TOO_SMALL = (
    f"{EMBEDDED}/smollm2-135m writes sentences and valid JSON but cannot judge: its verdicts show that things work, "
    "and nothing else."
)
POINT_ELSEWHERE = (
    "`fellowship run` judges in earnest with --model ollama/llama3.1 (or vllm/…, openai/gpt-4o-mini with "
    "OPENAI_API_KEY set; --base-url for any other endpoint)."
)


class PlainConsole(Console):
    """A console that lets through no control character but its own, whoever has forgotten to make a text plain."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Return the segments of what is shown."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else obeyed_by_none(segment.text)
            yield segment if text == segment.text else segment._replace(text=text)


def out() -> Console:
    """Return the console for results."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console for everything else."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    # Nothing that is shown is markup: not an item's id, not a path, not a word of a model.
    console = PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    return console


def say(error: FellowshipError) -> None:
    """Print an error: its sentences, no traceback."""
    for line in str(error).splitlines():
        print(f"fellowship: {plain(line)}" if not line.startswith(" ") else plain(line), file=sys.stderr)  # noqa: T201 - an error's plain lines


def scenarios(rows: Iterable[tuple[str, str, str]]) -> RenderableType:
    """Return a table of scenarios: name, what it takes and gives, what it does."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("scenario", "takes", "about"):
        table.add_column(title, style="bold" if title == "scenario" else "")
    for name, takes, about in rows:
        table.add_row(plain(name), takes, plain(about))
    return table


def parameters(declared: "Mapping[str, Parameter]") -> RenderableType:
    """Return a table of what --set NAME=VALUE may choose: name, default, what it may be, what it says."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("--set", "default", "may be", "about"):
        table.add_column(title, style="bold" if title == "--set" else "", no_wrap=title in {"--set", "default"})
    for name, parameter in declared.items():
        default = str(parameter.default)
        default = default.lower() if isinstance(parameter.default, bool) else default
        table.add_row(*map(plain, (name, default, parameter.range, parameter.about)))
    return table


def summary(status: Status, paths: Sequence[Path]) -> RenderableType:
    """Return the end of a run: outcomes, what it took, where things lie."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    open_items = status.items - status.done - status.failed
    counts = f"{status.done} done, {status.failed} failed" + (f", {open_items} not ended" if open_items else "")
    table.add_row("items", f"{status.items}: {counts}")
    for name, words in _votes(status):
        table.add_row(name, words)
    for error, count in status.failures.items():
        table.add_row("failed", f"{count} by {error}")
    for name, words in _accounts(status):
        table.add_row(name, words)
    if status.dead_letters:
        table.add_row("dead letters", str(status.dead_letters))
    table.add_row("state", status.state + (f": {plain(status.why)}" if status.why else ""))
    if status.live is not None:
        for name, words in _live(status.live):
            table.add_row(name, plain(words))
    for name, words in _places(status, paths):
        table.add_row(name, plain(words))
    name = plain(status.scenario) or "nothing is in this log"
    parts: list[RenderableType] = [Text(f"\n{name}", style="bold"), table]
    judged = status.verdicts or status.pairs or not status.spend["role"].keys().isdisjoint(JUDGING)
    if judged and any(model.startswith(f"{EMBEDDED}/smollm2") for model in status.models):
        parts.append(Text(f"\n{TOO_SMALL}\n{POINT_ELSEWHERE}", style="yellow"))
    return Group(*parts)


def _votes(status: Status) -> Iterator[tuple[str, str]]:
    """Return verdicts, answers and pairs, how many votes could not be read, and how many were not asked for."""
    if status.answers is not None:
        yield "accuracy", _accuracy(status.answers)
    for name, counts in (("verdicts", status.verdicts), ("pairs", status.pairs)):
        if counts:
            yield name, ", ".join(f"{value} {count:,}" for value, count in counts.items())
    if status.unread_votes:
        yield "unread votes", f"{status.unread_votes} (counted, not guessed)"
    if status.votes_wanted:
        percent = 100 * status.votes_spared / status.votes_wanted
        calls = f"{status.calls_spared:,} {'call' if status.calls_spared == 1 else 'calls'}"
        yield "votes spared", f"{status.votes_spared:,} of {status.votes_wanted:,} ({percent:.0f} %), {calls}"


def _accuracy(found: Answered) -> str:
    """Return how many answers are right, and which are in no share."""
    apart = {"split": found.split, "unread": found.unread, "whose answer is not known": found.unknown}
    more = "".join(f"; {count:,} {what}" for what, count in apart.items() if count)
    if found.accuracy is None or found.accuracy_ci is None:
        return f"no question has a known answer yet{more}"
    low, high = found.accuracy_ci
    interval = f"95 % [{100 * low:.1f}, {100 * high:.1f}], Wilson"
    return f"{found.correct:,} of {found.known:,} correct: {100 * found.accuracy:.1f} %, {interval}{more}"


def replayed(found: "Replayed") -> RenderableType:
    """Return what a replay came to."""
    if not found.outcomes:
        return Text("the run has no outcome yet: there is nothing to compare")
    if not found.differing:
        return Text(f"{found.outcomes} outcomes, {found.status.calls} recorded calls, none made: all as recorded")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("item", "recorded", "replayed"):
        table.add_column(title, overflow="fold")
    for before, after in found.differing:
        one = before or after
        table.add_row(plain(one.item if one else ""), _in_short(before), _in_short(after))
    return Group(Text(f"{found.outcomes} outcomes; these, and perhaps more, are not as recorded:"), table)


def _in_short(outcome: Outcome | None) -> str:
    if outcome is None:
        return "-"
    scores = f" {outcome.scores['a']:g}:{outcome.scores['b']:g}" if outcome.scores else ""
    what = _result(outcome)
    return plain(f"{what[:LONGEST_WORDS]}{scores} ({outcome.calls} calls, {outcome.tokens} tokens)")


def _result(outcome: Outcome) -> str:
    """Return what an item came to, in as few words as there are."""
    if outcome.answer is None and outcome.correct is None:
        return outcome.verdict or outcome.error or outcome.text or ""
    right = {True: " (right)", False: " (wrong)", None: ""}[outcome.correct]
    return f"{outcome.answer if outcome.answer is not None else outcome.verdict or 'no answer'}{right}"


def _places(status: Status, paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Return where things lie, as far as they are there, and what to do where they are not."""
    for path in paths:
        if path.exists():
            yield path.name, str(path)
    if status.state == "broken off":
        yield "", "the command that began it, with the same --out, goes on and writes the results"


def _accounts(status: Status) -> Iterator[tuple[str, str]]:
    """Return what a run took: calls, tokens, money."""
    spends = status.spend["model"].values()
    cached = sum(spend.cached for spend in spends)
    recorded = sum(spend.recorded for spend in spends)
    more = sum(spend.attempts for spend in spends) + cached - status.calls
    facts = [f"{status.calls_failed:,} of them failed"] if status.calls_failed else []
    facts += [f"{cached:,} from the cache"] if cached else []
    facts += [f"{recorded:,} recorded before"] if recorded else []
    facts += [f"{more:,} further requests"] if more > 0 else []
    yield "calls", ", ".join([f"{status.calls:,}", *facts])
    inside = sum(spend.cached_tokens for spend in spends)
    thought = sum(spend.reasoning_tokens for spend in spends)
    taken = f"{status.input_tokens:,} in" + (f" ({inside:,} cached)" if inside else "")
    yield "tokens", f"{taken}, {status.output_tokens:,} out" + (f" ({thought:,} reasoning)" if thought else "")
    known = sum(spend.cost_usd for spend in spends)
    unpriced = sum(spend.unpriced for spend in spends)
    before = sum(spend.recorded_usd for spend in spends)
    if known or not unpriced:
        paid = f", {before:.4f} of it paid by the run that was recorded" if before else ""
        more_calls = f", and {unpriced:,} calls whose cost is not known" if unpriced else ""
        yield "cost", f"{known:.4f} usd{paid}{more_calls}"
    else:
        yield "cost", "not known: no price for these models (--prices FILE)"
    unmetered = sum(spend.unmetered for spend in spends)
    if unmetered:
        yield "not metered", f"{unmetered:,} calls whose usage the endpoint did not report"
    broken_off = sum(spend.maybe_billed for spend in spends)
    if broken_off:
        yield "perhaps billed", f"{broken_off:,} requests that broke off; nobody says what they cost"
    if status.tiers:
        yield "answers by", ", ".join(f"{tier} {count:,}" for tier, count in status.tiers.items())


def _live(live: Live) -> Iterator[tuple[str, str]]:
    """Return how a running run stands: rates, limits, stalls."""
    yield "now", f"{live.in_flight} items in flight" + (", draining" if live.draining else "")
    if live.workers is not None:
        yield "workers", _workers(live.workers)
    if live.budget is not None:
        yield "budget", live.budget
    for state in live.endpoints:
        facts = [f"{state.in_flight} of {state.most_in_flight} in flight", f"{state.waiting} waiting"]
        for limit, origin, unit in (
            (state.requests_per_minute, state.requests_origin, "requests"),
            (state.tokens_per_minute, state.tokens_origin, "tokens"),
        ):
            facts += [f"{limit:,.0f} {unit} a minute ({origin})"] if limit is not None else []
        facts += [f"{state.refused:,} refused"] if state.refused else []
        facts += [f"held for {state.held_s:.1f} s"] if state.held_s else []
        facts += [f"failing: {state.why}"] if state.broken else []
        yield state.endpoint, ", ".join(facts)
    for stall in live.stalls:
        whom = f"{stall.agent} of {stall.conversation.rpartition('~')[0]}"
        way = f"{stall.stage}, {stall.attempts} request{'s' if stall.attempts != 1 else ''}"
        yield "oldest call", f"{stall.seconds:.1f} s for {whom} at {stall.model}: {way}{_heard(stall)}"


def _workers(workers: Workers) -> str:
    """Return how many play, on which machines, and how many were lost."""
    hosts = Counter(worker.host for worker in workers.there)
    where = ", ".join(f"{count} on {host}" for host, count in sorted(hosts.items()))
    lost = f"; {workers.lost} lost" if workers.lost else ""
    return f"{len(workers.there)} of {workers.wanted}{f': {where}' if where else ''}{lost}"


def _heard(stall: Stall) -> str:
    """Return the end of what has come of an answer, on one line."""
    if stall.quiet_s is None:
        return ""
    words = " ".join(stall.words.split())
    words = words if len(words) <= LONGEST_WORDS else f"…{words[-LONGEST_WORDS:]}"
    return f", last words {stall.quiet_s:.1f} s ago: {words}"


def measured(found: "Mapping[str, Measured]") -> RenderableType:
    """Return what load tests found: a row each, and below what went wrong in them."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    against = any(test.ratio is not None for test in found.values())
    last = ("CPU a call", "bare loop", "ratio") if against else ("tokens, ours = billed", "usd, ours = billed")
    for title in ("load", "done", "failed", "unread", "requests", "seconds", "calls/s", *last):
        table.add_column(title, justify="left" if title == "load" else "right")
    remarks: list[str] = []
    for name, test in found.items():
        counts = (f"{test.done:,}", f"{test.failed:,}", f"{test.unread:,}", f"{test.requests:,}")
        row = [name, *counts, f"{test.seconds:.1f}", f"{test.calls_per_second:,.0f}"]
        if test.ratio is not None:
            row += [f"{test.cpu_us_per_call:.0f} us", f"{test.bare_us_per_call:.0f} us", f"{test.ratio:.2f}"]
        else:
            row += [
                f"{test.tokens:,} {'=' if test.same_tokens else 'not'} {test.tokens_billed:,}",
                f"{test.cost_usd:.5f} {'=' if test.same_money else 'not'} {test.cost_billed_usd:.5f}",
            ]
        table.add_row(*row)
        remarks += [f"{name}: {count:,} failed by {error}" for error, count in test.failures.items()]
        if test.done + test.failed != test.items:
            remarks.append(f"{name}: {test.items - test.done - test.failed:,} items have no outcome")
        if not test.equal:
            remarks.append(f"{name}: our accounts are not the endpoint's")
    return Group(table, *[Text(remark) for remark in remarks])
