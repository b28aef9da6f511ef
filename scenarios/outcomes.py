"""Folds over a run's log: one outcome an item, and the state of the whole run."""

import heapq
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal, Self, cast

import orjson
from pydantic import BaseModel, ConfigDict

from ..protocols.errors import LogError
from ..protocols.judging import Verdict
from ..protocols.lifecycle import Failure, RunEnded, RunStarted
from ..protocols.pairing import Data
from ..runtime.log import LogReader, being_written
from ..runtime.log.faults import damaged
from .answered import Answer, Answered, answered
from .declared import roles_of
from .live import Live
from .spared import KINDS as SPARING
from .spared import Spared, kinds_of
from .spend import Spend, sum_of, unpriced_call

FOLDED = ("model_called", "decision_made", "match_decided", "item_finished", "item_failed")
State = Literal["running", "broken off", "done", "stopped", "failed"]
RIGHT: Mapping[bool | None, Answer] = {True: "right", False: "wrong", None: "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One line of results.jsonl."""

    item: str
    status: Literal["done", "failed"]
    verdict: Verdict | None = None
    scores: dict[Literal["a", "b"], float] | None = None
    """Where the decision has scores."""
    answer: str | None = None
    """Of a question; none where the answers are split, or none could be read."""
    correct: bool | None = None
    """Whether it is the known one; none where none is known."""
    text: str | None = None
    pairs: dict[Data, int] | None = None
    """Preference pairs, and texts labelled alone, that were made and are kept."""
    error: str | None = None
    """Why there is no outcome."""
    calls: int
    """Model calls, those of earlier starts included; tries within a call count once."""
    tokens: int
    """Input and output."""
    cost_usd: float | None = None
    """None where prices are not known."""


class Status(BaseModel):
    """A run at one moment."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str
    """Its directory."""
    run_id: str = ""
    """The same in the logs, in traces and in spans."""
    scenario: str
    state: State
    """`done`, `stopped` and `failed` are what the last process said when it left; one that says nothing any more has
    died."""
    why: str | None = None
    """What stopped it, where it was neither a signal nor the end of the data."""
    items: int
    done: int
    failed: int
    verdicts: dict[Verdict, int]
    answers: Answered | None = None
    """Of a run that gives answers."""
    unread_votes: int
    """Votes that no verdict counts, because no answer could be read; those on drafts included."""
    pairs: dict[Data, int] = {}
    """Preference pairs, and texts labelled alone, that were made and are kept; of items that have an outcome."""
    votes_spared: int = 0
    """Votes that were not asked for, because it was enough without them; of items that have an outcome."""
    votes_wanted: int = 0
    """Votes there would be if everybody had been asked; counted where a scenario can spare some, and otherwise 0."""
    calls_spared: int = 0
    """Calls that the spared votes would have taken, at the least."""
    calls: int
    calls_failed: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """None where the price of a call is not known; `spend` has what is."""
    dead_letters: int
    failures: dict[str, int]
    """Failed items by class of error."""
    models: tuple[str, ...]
    tiers: dict[str, int]
    """Answers of a form by the way in which the endpoint was held to it."""
    spend: dict[Literal["model", "agent", "role", "round"], dict[str, Spend]]
    """What calls took, by each of these."""
    live: Live | None = None
    """How a running run stands: rates, limits, stalls."""


@dataclass(slots=True)
class _Tally:
    """What an item has cost so far."""

    calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    priced: bool = True
    unread: int = 0
    """Of its newest decision."""
    split: bool = False
    """Whether the newest decision was a tie."""
    matches: Counter[str] = field(default_factory=Counter[str])
    """Unread votes on drafts, by conversation."""


class Fold:
    """One pass over a log: the outcomes, and with them what the whole run took."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self.verdicts: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.unread = 0
        self.pairs: Counter[Data] = Counter()
        self.spared = Spared()
        self.answers: Counter[Answer] = Counter()
        """Answers by right, wrong and unknown, and by split and unread beside it; of verdicts, nothing is said here."""
        self.tiers: Counter[str] = Counter()
        self.spend: dict[tuple[str, str, int | None], Spend] = {}
        """By model, agent and round."""

    def outcomes(self) -> Iterator[tuple[int, Outcome]]:
        """Return each finished or failed item's number in the data set and its outcome, as they came about.

        An item that was broken off and begun anew is charged for both, and so is one whose outcome was set aside and
        that has another now; one that has none since is left out. Only items in the making are held.
        """
        tallies: dict[str, _Tally] = {}
        last = self._log.last()  # what is set aside from here on has its successor, if any, from here on, too
        set_aside = self._log.set_aside(last)
        found = self._log.bodies((*FOLDED, *kinds_of(self._log)), with_text=("item_finished",), until=last)
        for sequence, conversation, sender, kind, body, text_apart in found:
            item = conversation.rpartition("~")[0]
            try:
                if kind in SPARING:
                    self.spared.take(item, conversation, kind, body)
                    continue
                content: dict[str, Any] = orjson.loads(body)
                if kind == "model_called":
                    answered = "error" not in content and ("text" in content or text_apart is not None)
                    tally = tallies.get(item)
                    if tally is None:
                        tally = tallies[item] = _Tally()
                    self._add_call(tally, sender, content, answered=answered)
                elif kind == "decision_made":
                    tally = tallies.setdefault(item, _Tally())
                    tally.unread, tally.split = content["unread"], content["verdict"] == "tie"
                elif kind == "match_decided":
                    tallies.setdefault(item, _Tally()).matches[conversation] += content["unread"]
                elif sequence not in set_aside:
                    tally = tallies.pop(item, _Tally())
                    tally.unread += tally.matches[conversation]
                    self._count(content, tally)
                    self.spared.end(item)
                    yield content["number"], _outcome(item, tally, content)
            except (ValueError, KeyError, TypeError) as error:
                raise damaged(self._log.path, f"event {sequence} is not what it was") from error

    def whole(self) -> Self:
        """Go through the whole log for its sums."""
        for _ in self.outcomes():
            pass
        return self

    def total(self) -> Spend:
        """Return what all calls took."""
        return sum_of(self.spend.values())

    def by(self, roles: Mapping[str, str]) -> dict[Literal["model", "agent", "role", "round"], dict[str, Spend]]:
        """Return what calls took, by model, agent, role and round."""
        keys: dict[Literal["model", "agent", "role", "round"], dict[str, list[Spend]]]
        keys = {"model": {}, "agent": {}, "role": {}, "round": {}}
        for (model, agent, number), spend in self.spend.items():
            keys["model"].setdefault(model, []).append(spend)
            keys["agent"].setdefault(agent, []).append(spend)
            keys["role"].setdefault(roles.get(agent, "?"), []).append(spend)
            keys["round"].setdefault(str(number or 1), []).append(spend)
        return {key: {name: sum_of(spends) for name, spends in sorted(parts.items())} for key, parts in keys.items()}

    def _add_call(self, tally: _Tally, agent: str, called: dict[str, Any], *, answered: bool) -> None:
        if called["source"] == "earlier":
            return  # it was counted where it was made
        usage = called["usage"]
        tally.calls += 1
        tally.tokens += usage["input_tokens"] + usage["output_tokens"]
        tally.cost_usd += called.get("cost_usd", 0.0)
        unpriced = unpriced_call(called)
        tally.priced = tally.priced and not unpriced
        if "tier" in called:
            self.tiers[called["tier"]] += 1
        key = (called["model"], agent, called.get("round"))
        spend = self.spend.get(key)
        if spend is None:
            spend = self.spend[key] = Spend()
        spend.add(called, answered=answered, unpriced=unpriced)

    def _count(self, end: dict[str, Any], tally: _Tally) -> None:
        self.unread += tally.unread
        if end["kind"] == "item_failed":
            self.failures[end["cause"]["error"]] += 1
        else:
            self.verdicts[end.get("verdict", "")] += 1
            self.answers[RIGHT[end.get("correct")]] += 1
            if "answer" not in end:
                self.answers["split" if tally.split else "unread"] += 1
            self.pairs.update(end.get("pairs", {}))


def _outcome(item: str, tally: _Tally, end: dict[str, Any]) -> Outcome:
    failed = end["kind"] == "item_failed"
    scores: dict[Literal["a", "b"], float] | None = None
    if "score_a" in end and "score_b" in end:
        scores = {"a": end["score_a"], "b": end["score_b"]}
    return Outcome(
        item=item,
        status="failed" if failed else "done",
        verdict=end.get("verdict"),
        scores=scores,
        answer=end.get("answer"),
        correct=end.get("correct"),
        text=end.get("text"),
        pairs=end.get("pairs"),
        error=f"{end['cause']['error']}: {end['cause']['reason']}" if failed else None,
        calls=tally.calls,
        tokens=tally.tokens,
        cost_usd=tally.cost_usd if tally.priced else None,
    )


FIELDS = tuple(Outcome.__dataclass_fields__)


@dataclass(frozen=True, slots=True, order=True)
class _Placed:
    number: int
    outcome: Outcome = field(compare=False)


def in_order(found: Iterator[tuple[int, Outcome]]) -> Iterator[Outcome]:
    """Return outcomes in the order of the data set, to be looked at; holds those that are ahead of one to come."""
    ahead: list[_Placed] = []
    due = 0
    for number, outcome in found:
        heapq.heappush(ahead, _Placed(number, outcome))
        while ahead and ahead[0].number <= due:
            placed = heapq.heappop(ahead)
            due = placed.number + 1
            yield placed.outcome
    while ahead:
        yield heapq.heappop(ahead).outcome


def _line(outcome: Outcome) -> bytes:
    facts = {name: value for name in FIELDS if (value := getattr(outcome, name)) is not None}
    return orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE)


def write_results(log: LogReader, path: Path) -> Fold:
    """Write results.jsonl, whole or not at all: one line an item, in the order of the data set.

    No line is held: they are written as outcomes came about, and then put in order.

    Raises:
        LogError: it cannot be written.
    """
    part = path.with_suffix(".part")
    fold = Fold(log)
    try:
        with part.open("wb") as file, TemporaryFile(dir=path.parent) as loose:
            numbers, sizes = array("q"), array("q")
            for number, outcome in fold.outcomes():
                numbers.append(number)
                sizes.append(loose.write(_line(outcome)))
            starts = array("q", accumulate(sizes, initial=0))
            for place in sorted(range(len(numbers)), key=numbers.__getitem__):
                loose.seek(starts[place])
                file.write(loose.read(sizes[place]))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written, nothing can be removed either
            part.unlink(missing_ok=True)
        raise LogError(f"{path} cannot be written: {error.strerror or error}; the log has it all") from error
    return fold


def status(log: LogReader, run: str, fold: Fold | None = None) -> Status:
    """Return the state of a run, from a fold over its whole log, made anew where there is none."""
    fold = fold or Fold(log).whole()
    started = log.newest("run_started")
    start = started.message() if started is not None else None
    state, cause = state_of(log)
    total, with_outcome = fold.total(), fold.verdicts.total() + fold.failures.total()
    return Status(
        run=run,
        run_id=log.run_id(),
        scenario=log.meta("name") or "",
        state=state,
        why=f"{cause.error}: {cause.reason}" if cause else None,
        items=max(start.items if isinstance(start, RunStarted) else 0, with_outcome),
        done=fold.verdicts.total(),
        failed=fold.failures.total(),
        verdicts={cast("Verdict", name): count for name, count in sorted(fold.verdicts.items()) if name},
        answers=answered(log, fold.answers),
        unread_votes=fold.unread,
        pairs=dict(sorted(fold.pairs.items())),
        votes_spared=fold.spared.spared,
        votes_wanted=fold.spared.wanted,
        calls_spared=fold.spared.calls,
        calls=total.calls,
        calls_failed=total.failed,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cost_usd=None if total.unpriced else total.cost_usd,
        dead_letters=_dead_letters(log),
        failures=dict(sorted(fold.failures.items())),
        models=tuple(sorted({model for model, _, _ in fold.spend})),
        tiers=dict(sorted(fold.tiers.items())),
        spend=fold.by(roles_of(log)),
        live=_live(log) if state == "running" else None,
    )


def state_of(log: LogReader) -> tuple[State, Failure | None]:
    """Return whether a run goes on, and how it ended where it does not; and what stopped it, where that was noted."""
    ended, started = log.newest("run_ended"), log.newest("run_started")
    end = ended.message() if ended is not None and started is not None and ended.sequence > started.sequence else None
    if isinstance(end, RunEnded):
        return end.reason, end.cause
    return "running" if being_written(log.path) else "broken off", None


def _dead_letters(log: LogReader) -> int:
    """Return how many letters could not be delivered; in a conversation that was gone on with, all are sent again."""
    lost: Counter[str] = Counter()
    for _, conversation, _, kind, _, _ in log.bodies(("letter_undelivered", "item_resumed")):
        if kind == "item_resumed":
            del lost[conversation]
        else:
            lost[conversation] += 1
    return lost.total()


def _live(log: LogReader) -> Live | None:
    """Return how the run stands, as it said last."""
    noted = log.meta("live")
    return Live.model_validate_json(noted) if noted is not None else None
