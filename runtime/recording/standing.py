"""What of a conversation still counts: not what was broken off, and not what was set aside to be tried again."""

import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ...protocols.errors import RunStopping, model_error
from ...protocols.events import Event
from ...protocols.lifecycle import AgentFailed, Failure, ItemResumed, ModelCalled

BROKEN_OFF = "CancelledError"
"""The error of a call that was given up before it was answered."""


@dataclass(slots=True)
class Sifted:
    """The events of a conversation, by whether they still count; in order of sequence."""

    events: list[Event] = field(default_factory=list[Event])
    fallen: set[int] = field(default_factory=set[int])
    """Sequences of those that do not count any more."""
    _failed: dict[int, None] = field(default_factory=dict[int, None])
    _opened: set[int] = field(default_factory=set[int])
    _undelivered: set[int] = field(default_factory=set[int])
    """Facts that a letter could not be delivered, since the conversation was begun or gone on with."""

    @property
    def failed(self) -> tuple[int, ...]:
        """Commands that failed for good, and whose failure counts."""
        return tuple(self._failed)

    def standing(self) -> Iterator[Event]:
        """Return those that count."""
        return (event for event in self.events if event.sequence not in self.fallen)

    def set_aside(self, commands: Iterable[int]) -> None:
        """Let all that has come of some commands so far, directly or through others, count no more.

        Where it was a call that failed, the answers before it stand: they need not be paid for again. Letters that
        could not be delivered do not count: all are sent again.
        """
        self.fallen |= self._undelivered
        self._undelivered.clear()
        again = set(commands)
        kept = self._answered(again)
        causes = {event.sequence: event.cause for event in self.events}
        for sequence, first in causes.items():
            cause = first
            while cause is not None and cause not in again:
                cause = causes.get(cause)
            if cause is not None and sequence not in kept:
                self.fallen.add(sequence)
        self._failed = {command: None for command in self._failed if command not in again}

    def _answered(self, commands: set[int]) -> set[int]:
        """Return the calls answered in the last try of each command whose last call was not."""
        answered: dict[int, list[int]] = {command: [] for command in commands}
        failed: set[int] = set()
        for event in self.events:
            command = event.cause
            if command is None or command not in commands:
                continue
            if event.kind == "agent_failed" and _is_tried_again(event):
                answered[command].clear()
            elif event.kind == "model_called" and why_unanswered(event) is not None:
                failed.add(command)
            elif event.kind == "model_called" and event.sequence not in self.fallen:
                answered[command].append(event.sequence)
                failed.discard(command)
        return {sequence for command in failed for sequence in answered[command]}

    def take(self, event: Event) -> None:
        """Take in the next event."""
        if event.kind == "model_called":
            failure = why_unanswered(event)
            if event.cause in self._opened or (failure is not None and stops(failure)):
                self.fallen.add(event.sequence)
        elif event.kind == "item_opened":
            self._opened.add(event.sequence)
        elif event.kind == "agent_failed":
            message = event.message()
            assert isinstance(message, AgentFailed)  # noqa: S101 - of that kind
            if stops(message.cause):
                self.fallen.add(event.sequence)
            elif message.then == "fail" and event.cause is not None:
                self._failed[event.cause] = None
        elif event.kind == "item_resumed":
            message = event.message()
            assert isinstance(message, ItemResumed)  # noqa: S101 - of that kind
            self.set_aside(message.set_aside)
        elif event.kind == "letter_undelivered":
            self._undelivered.add(event.sequence)
        self.events.append(event)


def sift(events: Iterable[Event]) -> Sifted:
    """Tell the events of one conversation that count from those that do not.

    A call that was broken off, or met what stops a whole run, was nobody's failure: it does not count, and neither does
    what came of it. Neither does what had come of a command until it was set aside, nor a call out of a recording that
    no command led to: it is there to be counted.
    """
    sifted = Sifted()
    for event in events:
        sifted.take(event)
    return sifted


def calls_of(events: Iterable[Event]) -> Iterator[tuple[Event, ModelCalled]]:
    """Return the model calls among some events."""
    for event in events:
        if event.kind == "model_called":
            called = event.message()
            assert isinstance(called, ModelCalled)  # noqa: S101 - of that kind
            yield event, called


def _is_tried_again(event: Event) -> bool:
    message = event.message()
    return isinstance(message, AgentFailed) and message.then == "retry"


def why_unanswered(event: Event) -> Failure | None:
    """Return why a `model_called` has no reply; None where it has one."""
    called = event.message()
    assert isinstance(called, ModelCalled)  # noqa: S101 - of that kind
    return failure_of(called)


def failure_of(called: ModelCalled) -> Failure | None:
    """Return why a call has no reply; None where it has one. Logs of before tell it in their last attempt alone."""
    if called.text is not None:
        return None
    if called.error is not None:
        return called.error
    told = called.attempts[-1].error if called.attempts else None
    name, _, reason = (told or BROKEN_OFF).partition(": ")
    return Failure(error=name, reason=reason)


def stops(failure: Failure) -> bool:
    """Whether a failure is of the kind that is no item's own: the call was broken off, or the whole run stops."""
    return failure.error == BROKEN_OFF or isinstance(model_error(failure.error, failure.reason), RunStopping)


def error_of(failure: Failure) -> Exception:
    """Return the error that the agent was told of then; a bug, known by a name of Python's own, is no model's error."""
    if hasattr(builtins, failure.error):
        bug: type[Exception] = type(failure.error, (Exception,), {})
        return bug(failure.reason)
    return model_error(failure.error, failure.reason)
