"""A fold over a run's log: the debates that were held in it, as far as opinions go.

Held are the conversations that have no outcome yet, with their arguments; of a debate that was taken in, a few numbers.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any, cast

import orjson

from ..protocols import answering
from ..protocols.events import Event
from ..runtime.log import LogReader
from ..runtime.log.faults import damaged
from .heard import Played, Talk
from .measures.debating import Debated, Debates
from .measures.opinions import Debate

Key = Callable[[str, answering.Answers, Sequence[str]], str | None]
"""What tells an answer from others; see `answering.key`."""

COMMANDS = ("cast_vote", "give_answer", "write_draft", "make_argument")
SAID = (
    *("vote_cast", "draft_written", "argument_made", "feedback_given", "summary_written", "approval_given"),
    *("criteria_proposed", "question_asked", "drafts_compared", "draft_scored"),
)
"""What agents say, and others may hear."""
KINDS = (
    *("item_opened", "item_resumed", "item_finished", "item_failed", "hearing_changed", "branches_opened"),
    *COMMANDS,
    *SAID,
)


def debates_of(log: LogReader, key: Key = answering.key) -> Debates | None:
    """Return what a run's debates come to; None where nobody hears anybody before giving an opinion.

    Args:
        log: The run's.
        key: What tells answers from one another.

    Raises:
        LogError: the log is damaged.
    """
    debated = Debated(tuple(_records(log)))
    for found in debates_in(log, key):
        if isinstance(found, Debate):
            debated.add(found)
        else:
            debated.failed(found)
    return debated.found()


def debates_in(log: LogReader, key: Key = answering.key) -> Iterator[Debate | str]:
    """Return the debates about items that have an outcome, as they ended, and of items that failed the variant.

    A run in which nobody can hear anybody is not looked at.

    Raises:
        LogError: the log is damaged.
    """
    records = _records(log)
    played = {name: Played.of(each["scenario"]) for name, each in records.items() if _may_hear(each.get("scenario"))}
    if not played:
        return
    last = log.last()
    talks = _Talks(played, log.set_aside(last))
    for event in log.events(kinds=KINDS):
        if event.sequence > last:
            return
        try:
            content: dict[str, Any] = orjson.loads(event.body)
            talk = talks.take(event, content)
            if talk is not None and event.kind == "item_failed":
                yield talk.variant
            elif talk is not None:
                yield from talk.debates(key)
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(log.path, f"event {event.sequence} is not what it was") from error


def _records(log: LogReader) -> dict[str, dict[str, Any]]:
    """Return what was noted of each way in which items were played."""
    record: dict[str, Any] = orjson.loads(log.meta("played") or "{}")
    variants: dict[str, dict[str, Any]] = record.get("variants", {"": record})
    return variants


class _Talks:
    """The conversations that have no outcome yet."""

    def __init__(self, played: Mapping[str, Played], set_aside: Container[int]) -> None:
        self._played = played
        self._set_aside = set_aside
        self._talks: dict[str, Talk] = {}

    def take(self, event: Event, content: dict[str, Any]) -> Talk | None:
        """Take in what happened; return the conversation that has come to its outcome by it, if one has."""
        name = event.conversation
        if event.kind == "item_opened":
            variant = content["item"].get("variant") or ""
            self._talks.pop(content.get("over") or "", None)
            if variant in self._played:
                self._talks[name] = Talk(self._played[variant], content, variant)
        elif name not in self._talks:
            return None  # of a way without hearing; or a damaged log has lost its beginning
        elif event.kind not in ("item_finished", "item_failed"):
            self._talks[name].take(event, content)
        elif event.sequence not in self._set_aside:
            return self._talks.pop(name)
        return None


def _may_hear(scenario: Mapping[str, Any] | None) -> bool:
    """Whether somebody listens to somebody in a scenario, or in one that it uses, and gives an opinion."""
    if scenario is None:
        return False
    found: dict[str, bool] = {}
    _look(scenario.get("flow", ()), found)
    for used in scenario.get("used", {}).values():
        _look(used.get("flow", ()), found)
    return found.get("hears", False) and found.get("opinion", False)


def _look(part: object, found: dict[str, bool]) -> None:
    if isinstance(part, dict):
        step = cast("dict[str, Any]", part)
        if "hears" in step:
            found["hears"] = True
        if step.get("for") in ("ballot", "answer"):
            found["opinion"] = True
        for inner in step.values():
            _look(inner, found)
    elif isinstance(part, (list, tuple)):
        for inner in cast("Sequence[object]", part):
            _look(inner, found)
