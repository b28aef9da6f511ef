"""The recorded calls of one conversation, in lanes: one for each agent and round, first in, first out."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from typing import Literal, cast

from ...protocols.errors import CassetteMiss, RecordingEnded
from ...protocols.lifecycle import Failure, ModelCalled
from ...protocols.messages import Message
from ...protocols.models import ModelCall
from .. import secrecy

Fit = Literal["exact", "while exact", "as said"]
"""How a recorded call has to fit the one that is made.

exact: it is the same, or there is no answer. while exact: as soon as one of a lane is not the same, the model is asked.
as said: its answer is taken whatever was asked, as long as there is one.
"""
BESIDE = 60
"""Characters shown on either side of the first that differs."""
TAG_MARK = re.compile(r"(?<=-)[0-9a-f]{6}(?=[ >])")
"""Letters in the tags around an item's texts, made from all of them: they differ wherever anything does."""
LONGEST_COMPARED = 2_000
"""Characters by which texts are compared when the nearest recording is looked for."""
MOST_COMPARED = 200
"""Recordings looked at for the nearest."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call of one agent, as it was recorded."""

    agent: str
    called: ModelCalled
    stands: bool = True
    """Whether it was acted upon; else it is passed over, and only counted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing in which a call differs from a recorded one."""

    what: str
    """The field, or the message, in a few words."""
    message: int | None = None
    """Place of the message, from 0, where it is one."""


def difference(called: ModelCalled, call: ModelCall, text: Callable[[str], str] | None = None) -> Difference | None:
    """Return the first thing in which a call differs from a recorded one; None where it is the same.

    A recorded message that a secret was taken out of is known by its digest, or where it is said without it now.

    Args:
        called: The recorded call.
        call: The one that is made.
        text: Returns a recorded message by its digest.
    """
    if called.model != call.settings.model:
        return Difference(f"the model is {call.settings.model}, and was {called.model}")
    before, now = _plain(called.settings), _plain(call.settings.sampling)
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            return Difference(f"{name} is {_set(now.get(name))}, and was {_set(before.get(name))}")
    asked = call.answer.name if call.answer else None
    if called.answer != asked:
        return Difference(f"the answer is to be {asked or 'free text'}, and was {called.answer or 'free text'}")
    for place, (message, (role, digest)) in enumerate(zip(call.messages, called.messages, strict=False)):
        if (message.role, message.digest) != (role, digest) and not (
            message.role == role and text is not None and _is_without_its_secret(text(digest), message.content)
        ):
            return Difference(f"message {place + 1} ({message.role}) differs", place)
    if len(call.messages) != len(called.messages):
        longer = "more" if len(call.messages) > len(called.messages) else "fewer"
        return Difference(f"there are {longer} messages: {len(call.messages)}, and were {len(called.messages)}")
    return None


def _is_without_its_secret(kept: str, said: str) -> bool:
    return secrecy.MARK[:-1] in kept and kept == secrecy.hide_json(said)


def _plain(settings: Mapping[str, object]) -> dict[str, object]:
    return {
        name: list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value
        for name, value in settings.items()
    }


def _set(value: object) -> str:
    return "not set" if value is None else str(value)


class Tape:
    """A Recall from another log, or from an earlier conversation: what it answers is appended anew."""

    def __init__(
        self,
        name: str,
        calls: Iterable[Recorded],
        text: Callable[[str], str],
        *,
        fit: Fit,
        keep: Callable[[str, str], None],
        failed: Failure | None = None,
        paid_here: bool = False,
        with_earlier: bool = False,
        then: "Tape | None" = None,
        whole: bool = False,
        forked: bool = False,
    ) -> None:
        """Make a tape.

        Args:
            name: The conversation it is a recording of.
            calls: The recorded calls, in order.
            text: Returns a recorded message by its digest.
            fit: How a recorded call has to fit.
            keep: Keeps a message in the log that is written now.
            failed: Why the conversation ended without an outcome, where it did.
            paid_here: Whether the log that is written now has the calls already: they are not counted again.
            with_earlier: Whether it gets those of earlier conversations about the item, too.
            then: What answers where a call does not fit, `while exact`: the recording this one was begun with.
            whole: Whether it gets all of these, asked for again or not.
            forked: Whether it is of a fork: what that stands on, out of a recording itself, is taken as said.
        """
        self.name = name
        self.failed = failed
        self._text = text
        self._fit = fit
        self._keep = keep
        self._paid_here = paid_here
        self._with_earlier = with_earlier
        self._then = then
        self._whole = whole
        self._forked = forked
        self._lanes: dict[tuple[str, int | None], deque[Recorded]] = {}
        self._all = tuple(calls)
        for recorded in self._all:
            self._lanes.setdefault((recorded.agent, recorded.called.round), deque()).append(recorded)
        self._passed: list[Recorded] = []
        self._asked: dict[tuple[str, int | None], int] = {}

    @property
    def exact(self) -> bool:
        """Whether nothing but the recorded calls is answered."""
        return self._fit == "exact"

    def event(self, message: Message, sender: str, cause: int | None, recipients: tuple[str, ...]) -> None:
        """Return None: all is appended anew."""
        del message, sender, cause, recipients

    def calls(self, cause: int) -> int:
        """Return 0: all is appended anew, under causes of its own."""
        del cause
        return 0

    def answer(
        self, agent: str, letter: int | None, round_: int | None, call: ModelCall, log: Callable[[ModelCalled], object]
    ) -> ModelCalled | None:
        """Return how a call was answered."""
        where = (agent, round_)
        number = self._asked[where] = self._asked.get(where, 0) + 1
        lane = self._lanes.get(where) or deque[Recorded]()
        self._pass_over(lane)
        if not lane:
            if self._fit != "exact":
                return None if self._then is None else self._then.answer(agent, letter, round_, call, log)
            if self.failed is not None:
                raise RecordingEnded(f"{self.name} ended here: {self.failed.error}: {self.failed.reason}")
            raise CassetteMiss(self._missed(where, number, call, None))
        as_said = self._fit == "as said" or (self._forked and lane[0].called.source == "recording")
        if not as_said and difference(lane[0].called, call, self._text) is not None:
            if self._fit == "exact":
                raise CassetteMiss(self._missed(where, number, call, lane[0]))
            lane.clear()
            return None if self._then is None else self._then.answer(agent, letter, round_, call, log)
        called = lane.popleft().called
        if self._then is not None:
            self._then.skip(agent, round_, call)
        self._log(called, log)
        return called

    def skip(self, agent: str, round_: int | None, call: ModelCall) -> None:
        """Pass over a call that a newer recording has answered."""
        lane = self._lanes.get((agent, round_)) or deque[Recorded]()
        self._pass_over(lane)
        if lane and difference(lane[0].called, call, self._text) is None:
            lane.popleft()
        if self._then is not None:
            self._then.skip(agent, round_, call)

    def wind(self, calls: Sequence[tuple[str, int | None]]) -> None:
        """Pass over what was asked for already: agent and round of each call."""
        for where in calls:
            lane = self._lanes.get(where)
            if lane:
                self._pass_over(lane)
            if lane:
                lane.popleft()
        if self._then is not None:
            self._then.wind(calls)

    def rest(self, log: Callable[[str, ModelCalled], object], *, whole: bool) -> None:
        """Append what was recorded and has not been asked for: all, or only what was not acted upon then."""
        for recorded in self._passed:
            self._log(recorded.called, partial(log, recorded.agent))
        self._passed.clear()
        for (agent, _), lane in self._lanes.items():
            for recorded in lane:
                if whole or self._whole or not recorded.stands:
                    self._log(recorded.called, partial(log, agent))
            lane.clear()

    def _pass_over(self, lane: deque[Recorded]) -> None:
        """Keep what was not acted upon for the end: where it is only counted, nobody will act upon it."""
        while lane and not lane[0].stands:
            self._passed.append(lane.popleft())

    def _log(self, called: ModelCalled, log: Callable[[ModelCalled], object]) -> None:
        for _, digest in called.messages:
            self._keep(digest, self._text(digest))
        earlier = self._paid_here or (self._with_earlier and called.source == "earlier")
        log(called.model_copy(update={"source": "earlier" if earlier else "recording"}))

    def _missed(self, where: tuple[str, int | None], number: int, call: ModelCall, expected: Recorded | None) -> str:
        agent, round_ = where
        asked = f"no recording of {self.name} answers {agent!r}, call {number} of round {round_ or 1}"
        nearest = expected or self._nearest(call)
        if nearest is None:
            return f"{asked}: it has no calls"
        called = nearest.called
        if expected is None:
            place = f"the nearest, of {nearest.agent!r} in round {called.round or 1}"
        else:
            place = "the one recorded there"
        differs = difference(called, call, self._text)
        if differs is None:
            return f"{asked}; {place}, is the same call, and was asked for already or by another agent"
        return f"{asked}; {place}: {differs.what}{self._excerpts(called, call, differs.message)}"

    def _nearest(self, call: ModelCall) -> Recorded | None:
        """Return the recorded call whose last message is most like this one's."""
        last = call.messages[-1].content[-LONGEST_COMPARED:]
        best, most = None, -1.0
        for recorded in self._all[:MOST_COMPARED]:
            text = self._text(recorded.called.messages[-1][1])[-LONGEST_COMPARED:] if recorded.called.messages else ""
            likeness = SequenceMatcher(None, last, text, autojunk=False).quick_ratio()
            if likeness > most:
                best, most = recorded, likeness
        return best

    def _excerpts(self, called: ModelCalled, call: ModelCall, place: int | None) -> str:
        if place is None:
            return ""
        before, now = self._text(called.messages[place][1]), call.messages[place].content
        return f"\n  recorded: {excerpt(before, now)}\n  now:      {excerpt(now, before)}"


def excerpt(text: str, other: str) -> str:
    """Return the part of a text around the first character in which it differs from another, on one line."""
    marks_apart = TAG_MARK.sub("0" * 6, text), TAG_MARK.sub("0" * 6, other)
    pairs = zip(*(marks_apart if len(set(marks_apart)) > 1 else (text, other)), strict=False)
    at = next((place for place, (one, two) in enumerate(pairs) if one != two), min(len(text), len(other)))
    first, last = max(0, at - BESIDE), at + BESIDE
    words = repr(text[first:last])[1:-1]
    return f"{'…' if first else ''}{words}{'…' if last < len(text) else ''}"
