"""Two runs side by side, from their logs alone: outcomes, agreement, and where conversations part.

Both logs are gone through once, event by event; of a conversation that has ended, a digest is kept. Two conversations
are read again, message by message, only where these differ and somebody wants to see it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, cast

from ..protocols.errors import DeclarationError, nearest
from ..protocols.events import Event
from ..protocols.identity import ConversationId
from ..protocols.judging import Verdict
from ..protocols.opinions import agreeing
from ..runtime.log import LogReader
from .comparison import Agreement, Comparison, ItemComparison, ItemLine, OnlyIn, Survey, Totals
from .course import Course, Said, digest, read, walked
from .differing import differences
from .divergence import Talk, divergence
from .measures.exact import kappa, wilson
from .outcomes import Fold, Outcome, Status, status

SHOWN = 20
"""Items that are shown where not all are asked for."""
LISTED = 10_000
"""Items of which a survey has a line, at most."""
BOUNDS = ("item_opened", "item_resumed", "item_finished", "item_failed", "outcome_set_aside")


@dataclass(frozen=True, slots=True)
class _Line:
    """An item of one run, in short."""

    number: int
    conversation: ConversationId
    ended: bool
    data: bytes
    """Digest of what the item asks."""
    course: bytes
    """Digest of all that was said."""
    agreement: float | None
    """Of those who voted, where they are several."""


class _Index:
    """Which conversation of each item counts, and where it ends."""

    def __init__(self, log: LogReader) -> None:
        self.set_aside: set[int] = set()
        self.chosen: dict[str, ConversationId] = {}
        self.last: dict[ConversationId, int] = {}
        """The event that ends a conversation for good; those that are open have none."""
        newest: dict[str, ConversationId] = {}
        gone: set[int] = set()
        for event in log.events(kinds=BOUNDS):
            if event.kind == "outcome_set_aside":
                told = read(event)
                self.set_aside.add(told["outcome"])
                if told["reason"] == "not in the data":
                    gone.add(told["outcome"])
            elif event.kind == "item_opened":
                newest[read(event)["item"]["id"]] = event.conversation
            elif event.kind == "item_resumed":
                self.last.pop(event.conversation, None)
            else:
                self.last[event.conversation] = event.sequence
        left = {name for name, sequence in self.last.items() if sequence in gone}
        self.last = {name: sequence for name, sequence in self.last.items() if sequence not in self.set_aside}
        ended: dict[str, ConversationId] = {}
        for name in self.last:  # in the order in which they ended
            ended[name.rpartition("~")[0]] = name
        self.chosen = {
            item: ended.get(item, name) for item, name in newest.items() if item in ended or name not in left
        }


class _Run:
    """One of the two runs: a line and an outcome an item, and the sums."""

    def __init__(self, log: LogReader, name: str) -> None:
        self.log = log
        self.index = _Index(log)
        fold = Fold(log)
        self.outcomes: dict[str, Outcome] = {}
        """Without texts and scores, which are looked up where they are shown."""
        for _, outcome in fold.outcomes():
            if self.index.chosen.get(outcome.item) in self.index.last:
                self.outcomes[outcome.item] = replace(outcome, text=None, scores=None)
        self.status = status(log, name, fold)
        self.lines = dict(self._lines())
        self.index.chosen.clear()
        self.index.last.clear()

    def _lines(self) -> Iterator[tuple[str, _Line]]:
        items = {conversation: item for item, conversation in self.index.chosen.items()}
        courses: dict[ConversationId, Course] = {}
        opened: dict[ConversationId, Event] = {}
        for event in self.log.events():
            conversation = event.conversation
            if conversation not in items or event.sequence > self.index.last.get(conversation, event.sequence):
                continue  # what comes after an end that counts changes nothing
            if event.kind == "item_opened":
                opened[conversation] = event
            courses.setdefault(conversation, Course()).take(event)
            if self.index.last.get(conversation) == event.sequence:
                yield items[conversation], self._line(courses.pop(conversation), opened.pop(conversation))
        for conversation, course in courses.items():
            yield items[conversation], self._line(course, opened[conversation])

    def _line(self, course: Course, opened: Event) -> _Line:
        ended = opened.conversation in self.index.last
        messages = course.messages(self.index.set_aside, ended=ended)
        return _Line(
            number=read(opened)["number"],
            conversation=opened.conversation,
            ended=ended,
            data=messages[0].content,
            course=digest(messages),
            agreement=_agreement(messages),
        )

    def state(self, item: str) -> Literal["done", "failed", "open"]:
        outcome = self.outcomes.get(item)
        return outcome.status if outcome is not None else "open"

    def verdict(self, item: str) -> Verdict | None:
        outcome = self.outcomes.get(item)
        return outcome.verdict if outcome is not None else None

    def totals(self) -> Totals:
        done = [outcome for outcome in self.outcomes.values() if outcome.status == "done"]
        verdicts: Counter[Verdict] = Counter(outcome.verdict for outcome in done if outcome.verdict is not None)
        failures = Counter((outcome.error or "").partition(":")[0] for outcome in self.outcomes.values())
        found = [line.agreement for item, line in self.lines.items() if self.state(item) == "done"]
        agreed = [share for share in found if share is not None]
        known: Status = self.status
        return Totals(
            run=known.run,
            scenario=known.scenario,
            state=known.state,
            items=known.items,
            done=len(done),
            failed=len(self.outcomes) - len(done),
            open=len(self.lines) - len(self.outcomes),
            verdicts=dict(sorted(verdicts.items())),
            unread_votes=known.unread_votes,
            votes_spared=known.votes_spared,
            calls=known.calls,
            calls_failed=known.calls_failed,
            input_tokens=known.input_tokens,
            output_tokens=known.output_tokens,
            cost_usd=known.cost_usd,
            failures={error: count for error, count in sorted(failures.items()) if error},
            agreement=sum(agreed) / len(agreed) if agreed else None,
            agreement_n=len(agreed),
        )

    def talk(self, item: str) -> Talk | None:
        line = self.lines.get(item)
        if line is None:
            return None
        return Talk(self.log, line.conversation, self.index.set_aside, self.outcomes.get(item))


def compare(first: LogReader, second: LogReader, *, names: tuple[str, str], everything: bool = False) -> Comparison:
    """Return what two runs have in common and where they differ.

    Args:
        first: Log of the one run.
        second: Log of the other.
        names: What they are called.
        everything: Whether to show all items that differ rather than the first 20, which are read message by message.
    """
    one, other = _Run(first, names[0]), _Run(second, names[1])
    most = None if everything else SHOWN
    found, differing = _compared(one, other, most)
    items = tuple(_item(one, other, item) for item in list(differing)[:most])
    return found.model_copy(update={"items": items, "not_shown": len(differing) - len(items)})


def survey(first: LogReader, second: LogReader, *, names: tuple[str, str], most: int = LISTED) -> Survey:
    """Return two runs compared as a whole, and every item that differs in a line; see `compare`."""
    last = first.last(), second.last()
    one, other = _Run(first, names[0]), _Run(second, names[1])
    found, differing = _compared(one, other, SHOWN)
    verdicts: Counter[tuple[Verdict, Verdict]] = Counter()
    for item in (item for item in one.lines if item in other.lines):
        left, right = one.verdict(item), other.verdict(item)
        if left is not None and right is not None:
            verdicts[left, right] += 1
    lines = (
        ItemLine(
            item=item,
            conversations=(one.lines[item].conversation, other.lines[item].conversation),
            states=(one.state(item), other.state(item)),
            verdicts=(one.verdict(item), other.verdict(item)),
            diverged=parted,
        )
        for item, parted in islice(differing.items(), most)
    )
    return Survey(
        comparison=found,
        last=last,
        verdicts=tuple((left, right, n) for (left, right), n in verdicts.items()),
        lines=tuple(lines),
        not_listed=max(0, len(differing) - most),
    )


def _compared(one: _Run, other: _Run, most: int | None) -> tuple[Comparison, dict[str, bool]]:
    """Return two runs as a whole, without items, and those that differ, each with whether its conversations do."""
    both = sorted((item for item in one.lines if item in other.lines), key=lambda item: one.lines[item].number)
    only = [_only(left, right, most) for left, right in ((one, other), (other, one))]
    differing: dict[str, bool] = {}
    diverged = changed = 0
    for item in both:
        parted, moved = _parted(one, other, item), _moved(one, other, item)
        diverged += parted
        changed += moved
        if parted or moved:
            differing[item] = parted
    restated = sum(one.state(item) != other.state(item) for item in both)
    found = Comparison(
        first=one.totals(),
        second=other.totals(),
        same=not (differing or restated or only[0].count or only[1].count),
        played=_played(one.log, other.log),
        both=len(both),
        only_first=only[0],
        only_second=only[1],
        data_changed=sum(one.lines[item].data != other.lines[item].data for item in both),
        verdict_changed=changed,
        diverged=diverged,
        status_changed=restated,
        agreement=_between(one, other, both),
        items=(),
        not_shown=len(differing),
    )
    return found, differing


def compare_item(first: LogReader, second: LogReader, item: str, *, names: tuple[str, str]) -> ItemComparison:
    """Return one item of two runs; where texts differ, they are there in full.

    Raises:
        DeclarationError: neither run has begun such an item.
    """
    one, other = _Run(first, names[0]), _Run(second, names[1])
    known = {*one.lines, *other.lines}
    if item not in known:
        hint = nearest(item, known) if len(known) < 10_000 else ""
        raise DeclarationError(f"neither run has an item {item!r}{hint if 'did you mean' in hint else ''}")
    return _item(one, other, item, whole=True)


def counted(log: LogReader, item: str) -> ConversationId | None:
    """Return the conversation about an item that is compared; none where the run has none that counts."""
    return _Index(log).chosen.get(item)


def _played(first: LogReader, second: LogReader) -> tuple[str, ...]:
    noted = [first.meta("played"), second.meta("played")]
    one, other = (json.loads(text) if text is not None else None for text in noted)
    return tuple(differences(one, other))


def _only(run: _Run, other: _Run, most: int | None) -> OnlyIn:
    found = sorted((line.number, item) for item, line in run.lines.items() if item not in other.lines)
    return OnlyIn(count=len(found), items=tuple(item for _, item in found[:most]))


def _moved(one: _Run, other: _Run, item: str) -> bool:
    verdicts = one.verdict(item), other.verdict(item)
    return None not in verdicts and verdicts[0] != verdicts[1]


def _parted(one: _Run, other: _Run, item: str) -> bool:
    lines = one.lines[item], other.lines[item]
    if all(line.ended for line in lines):
        return lines[0].course != lines[1].course
    talks = one.talk(item), other.talk(item)
    return talks[0] is not None and talks[1] is not None and divergence(talks[0], talks[1]) is not None


def _between(one: _Run, other: _Run, both: Sequence[str]) -> Agreement:
    counts: Counter[tuple[str, str]] = Counter()
    moved: Counter[str] = Counter()
    failed = unread = 0
    for item in both:
        verdicts = one.verdict(item), other.verdict(item)
        failed += "failed" in (one.state(item), other.state(item))
        if verdicts[0] is None or verdicts[1] is None:
            continue
        if "unread" in verdicts:
            unread += 1
        else:
            counts[verdicts[0], verdicts[1]] += 1
        if verdicts[0] != verdicts[1]:
            moved[f"{verdicts[0]}->{verdicts[1]}"] += 1
    n = counts.total()
    same = sum(count for (left, right), count in counts.items() if left == right)
    found = kappa(counts)
    return Agreement(
        n=n,
        same=same,
        share=same / n if n else None,
        share_ci=wilson(same, n),
        kappa=found.value if found else None,
        kappa_ci=found.interval if found else None,
        unread=unread,
        failed=failed,
        moved=dict(sorted(moved.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


def _agreement(messages: Sequence[Said]) -> float | None:
    """Return the share of the last votes that agree, where there are several voters."""
    votes = sorted((said.sequence, said) for said in walked(messages) if said.verdict is not None)
    last: dict[str, Verdict] = {said.sender: cast("Verdict", said.verdict) for _, said in votes}
    return agreeing(list(last.values())) if len(last) > 1 else None


def _item(one: _Run, other: _Run, item: str, *, whole: bool = False) -> ItemComparison:
    talks = one.talk(item), other.talk(item)
    sides = [talk.side() if talk is not None else None for talk in talks]
    if talks[0] is None or talks[1] is None:
        return ItemComparison(item=item, first=sides[0], second=sides[1], same=False, verdict_changed=False)
    asked = [talk.item for talk in talks if talk is not None]
    parted = divergence(talks[0], talks[1], whole=whole)
    return ItemComparison(
        item=item,
        first=sides[0],
        second=sides[1],
        same=parted is None and one.state(item) == other.state(item),
        verdict_changed=_moved(one, other, item),
        data=tuple(name for name in {**asked[0], **asked[1]} if asked[0].get(name) != asked[1].get(name)),
        divergence=parted,
    )
