"""What of a conversation still counts: not what was broken off, and not what was set aside to be tried again."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...protocols.errors import ModelError, RunStopping, model_error
from ...protocols.events import Event
from ...protocols.lifecycle import AgentFailed, Failure, ItemResumed, ModelCalled

BROKEN_OFF = "CancelledError"
"""The error of a call that was given up before it was answered."""


@dataclass(slots=True)
class Sifted:
    """The events of a conversation, by whether they still count; in order of sequence."""

    events: list[Event] = field(default_factory=list[Event])
    fallen: frozenset[int] = frozenset()
    """Sequences of those that do not count any more."""
    failed: tuple[int, ...] = ()
    """Commands that failed for good, and whose failure counts."""

    def standing(self) -> Iterable[Event]:
        """Return those that count."""
        return (event for event in self.events if event.sequence not in self.fallen)


def sift(events: Iterable[Event]) -> Sifted:
    """Tell the events of one conversation that count from those that do not.

    A call that was broken off, or met what stops a whole run, was nobody's failure: it does not count, and neither does
    what came of it. Neither does what had come of a command until it was set aside.
    """
    sifted = Sifted()
    causes: dict[int, int | None] = {}
    fallen: set[int] = set()
    failed: dict[int, None] = {}
    for event in events:
        sifted.events.append(event)
        causes[event.sequence] = event.cause
        if event.kind == "model_called" and (failure := why_unanswered(event)) is not None:
            if stops(failure):
                fallen.add(event.sequence)
        elif event.kind == "agent_failed":
            message = event.message()
            assert isinstance(message, AgentFailed)  # noqa: S101 - of that kind
            if stops(message.cause):
                fallen.add(event.sequence)
            elif message.then == "fail" and event.cause is not None:
                failed[event.cause] = None
        elif event.kind == "item_resumed":
            message = event.message()
            assert isinstance(message, ItemResumed)  # noqa: S101 - of that kind
            again = set(message.set_aside)
            fallen.update(sequence for sequence in causes if _comes_of(sequence, causes, again))
            failed = {letter: None for letter in failed if letter not in again}
    sifted.fallen = frozenset(fallen)
    sifted.failed = tuple(failed)
    return sifted


def _comes_of(sequence: int, causes: dict[int, int | None], commands: set[int]) -> bool:
    """Whether an event was caused by one of some commands, directly or through others."""
    cause = causes[sequence]
    while cause is not None:
        if cause in commands:
            return True
        cause = causes.get(cause)
    return False


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


def error_of(failure: Failure) -> ModelError:
    """Return the error that the agent was told of then."""
    return model_error(failure.error, failure.reason)
