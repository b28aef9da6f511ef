"""A conversation as the events of an Inspect sample: a span a round or step, in it one for each who is asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...protocols.events import Event
from ...protocols.lifecycle import HearingChanged, ItemFailed, ItemOpened, ModelCalled
from ...protocols.messages import Command, Message
from ...runtime.log import LogReader
from ..remarks import remark
from ..traces.talk import IN_A_REPEAT, Talk, Turn
from ..traces.transcript import did
from .inspect_scores import vote
from .inspect_terms import Json, config, failure, iso, output
from .members import Cast, member

TALK, SCORING = "solvers", "scorers"
"""The two outermost spans; Inspect knows them by these names."""


class Pool:
    """The messages of all prompts of a sample, each once; events name them by their places."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._places: dict[tuple[str, str], int] = {}
        self.messages: list[Json] = []

    def ranges(self, messages: Sequence[tuple[str, str]]) -> list[list[int]]:
        """Return where the messages of a prompt lie: starts and ends of what lies together."""
        found: list[list[int]] = []
        for role, digest in messages:
            place = self._places.get((role, digest))
            if place is None:
                place = self._places[role, digest] = len(self.messages)
                self.messages.append({"id": f"{role}-{digest}", "role": role, "content": self._text(digest)})
            if found and found[-1][1] == place:
                found[-1][1] += 1
            else:
                found.append([place, place + 1])
        return found

    def _text(self, digest: str) -> str:
        try:
            return self._log.text(digest)
        except KeyError:
            return f"(the log has not kept the text {digest})"


def spoken(turn: Turn) -> str:
    """Return who said something, what it was, and who heard it."""
    return f"{turn.speaker} {did(turn.message)}, heard by {', '.join(turn.heard_by) or 'nobody'}"


@dataclass(slots=True)
class Spans:
    """Which spans there are, and where each begins and ends."""

    name: dict[int, str] = field(default_factory=dict[int, str])
    """By sequence of a command: the span of the one who is asked."""
    group: dict[int, str] = field(default_factory=dict[int, str])
    """By sequence of a command: the round, or the step, that it is part of."""
    titles: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """Of a round or a step: its type and its name."""
    last: dict[str, int] = field(default_factory=dict[str, int])
    """Sequence of the last event in it."""


def spans(events: Sequence[Event], messages: Sequence[Message]) -> Spans:
    """Return the spans of a conversation."""
    found = Spans()
    for event, message in zip(events, messages, strict=True):
        if isinstance(message, Command):
            top = message.step.partition(".")[0] or "?"
            number = message.round if IN_A_REPEAT.search(message.step) else None
            group = f"step-{top}" if number is None else f"step-{top}-round-{number}"
            found.titles.setdefault(group, ("step", f"Step {top}") if number is None else ("round", f"Round {number}"))
            found.name[event.sequence], found.group[event.sequence] = f"asked-{event.sequence}", group
        for command in (event.sequence, event.cause):
            if command in found.name:
                found.last[found.name[command]] = found.last[found.group[command]] = event.sequence
    return found


class Transcript:
    """The events of one sample."""

    def __init__(self, talk: Talk, cast: Cast, pool: Pool, run: str) -> None:
        self._cast, self._pool, self._run, self._began_s = cast, pool, run, talk.began_s
        self._turns = {turn.sequence: turn for turn in talk.turns}
        self._spans = Spans()

    def events(self, logged: Sequence[Event], scores: dict[str, Json], target: str) -> Iterator[Json]:
        """Return all events, as they came about; the scores of the whole at the end.

        Args:
            logged: The conversation.
            scores: Of the sample.
            target: What the sample should come to.
        """
        messages = [event.message() for event in logged]
        self._spans = found = spans(logged, messages)
        first, last = logged[0], logged[-1]
        yield self._begin(first, TALK, None, TALK, TALK)
        begun: set[str] = set()
        ends: dict[int, list[str]] = {}
        for name, sequence in found.last.items():
            ends.setdefault(sequence, []).append(name)
        for event, message in zip(logged, messages, strict=True):
            if event.sequence in found.name:
                group = found.group[event.sequence]
                if group not in begun:
                    begun.add(group)
                    yield self._begin(event, group, TALK, *found.titles[group])
                yield self._begin(event, found.name[event.sequence], group, "agent", next(iter(event.recipients), "?"))
            yield from self._of(event, message)
            for name in sorted(ends.get(event.sequence, ()), key=lambda name: name in found.titles):  # groups last
                yield self._end(event, name)
        yield self._end(last, TALK)
        if scores:
            yield self._begin(last, SCORING, None, SCORING, SCORING)
            for name, score in scores.items():
                yield self._event(last, "score", SCORING, name, score=score, scorer=name, target=target)
            yield self._end(last, SCORING)

    def _of(self, event: Event, message: Message) -> Iterator[Json]:
        span = self._spans.name.get(event.cause or 0, TALK)
        if isinstance(message, ModelCalled):
            yield self._call(event, message, span)
        elif isinstance(message, ItemFailed):
            words = f"{message.cause.error}: {message.cause.reason}"
            yield self._event(event, "error", span, error=failure(words))
        elif isinstance(message, HearingChanged):
            yield self._info(event, span, f"{message.agent} hears {', '.join(message.hears) or 'nobody'} from now on")
        elif event.sequence in self._turns:
            yield from self._turn(event, self._turns[event.sequence], span)
        elif not isinstance(message, (Command, ItemOpened)):
            yield self._info(event, span, remark(event.sender, message))

    def _turn(self, event: Event, turn: Turn, span: str) -> Iterator[Json]:
        if not turn.said:
            yield self._info(event, span, remark(turn.speaker, turn.message))
            return
        own = vote(turn)
        if own is not None:
            yield self._event(event, "score", span, score=own[1], scorer=own[0], intermediate=True)
        yield self._info(event, span, spoken(turn))

    def _call(self, event: Event, called: ModelCalled, span: str) -> Json:
        metadata: dict[str, Any] = {"agent": event.sender, "event": event.sequence, "source": called.source}
        if called.tier is not None:
            metadata["tier"] = called.tier
        if len(called.attempts) > 1 or called.error is not None:
            metadata["attempts"] = [attempt.model_dump(mode="json", exclude_none=True) for attempt in called.attempts]
        began_s = event.time_s - sum(attempt.latency_s + attempt.waited_s for attempt in called.attempts)
        found = self._event(event, "model", span, model=called.model, role=member(self._cast, event.sender).role)
        found |= {
            "timestamp": iso(began_s),
            "working_start": max(0.0, began_s - self._began_s),
            "input": [],
            "input_refs": self._pool.ranges(called.messages),
            "tools": [],
            "tool_choice": "none",
            "config": config(called.settings),
            "output": output(called, f"{self._run}.{event.sequence}"),
            "completed": iso(event.time_s),
            "metadata": metadata,
        }
        if called.attempts:
            found["working_time"] = called.attempts[-1].latency_s
        if len(called.attempts) > 1:
            found["retries"] = len(called.attempts) - 1
        if called.error is not None:
            found["error"] = f"{called.error.error}: {called.error.reason}"
        if called.source == "cache":
            found["cache"] = "read"
        return found

    def _begin(self, event: Event, name: str, parent: str | None, sort: str, title: str) -> Json:
        found = self._event(event, "span_begin", name, name, id=name, type=sort, name=title)
        return found if parent is None else {**found, "parent_id": parent}

    def _end(self, event: Event, name: str) -> Json:
        return self._event(event, "span_end", name, name, id=name)

    def _info(self, event: Event, span: str, told: str) -> Json:
        return self._event(event, "info", span, source=event.sender, data=told, metadata={"event": event.sequence})

    def _event(self, event: Event, sort: str, span: str, more: str = "", **facts: Any) -> Json:  # noqa: ANN401 - of any sort
        identity = ".".join(filter(None, (self._run, str(event.sequence), sort, more)))
        started = max(0.0, event.time_s - self._began_s)
        return {
            "uuid": identity,
            "span_id": span,
            "timestamp": iso(event.time_s),
            "working_start": started,
            "event": sort,
            **facts,
        }
