"""One call of a model, whole: the exact prompt, the answer as it came, every attempt, and what was made of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from ...protocols.errors import DeclarationError
from ...protocols.events import Event
from ...protocols.identity import ConversationId
from ...protocols.lifecycle import ModelCalled
from ...protocols.messages import Command, Fact, Message
from ...runtime.log import LogReader
from .talk import SPOKEN


@dataclass(frozen=True, slots=True)
class Prompted:
    """One message of a prompt."""

    role: str
    text: str
    kept: bool = True
    """Whether the log has kept the text; else these are words that say so."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the log has it."""

    sequence: int
    conversation: ConversationId
    agent: str
    time_s: float
    """When it ended, in seconds since the epoch."""
    called: ModelCalled
    prompt: tuple[Prompted, ...]
    """What the model was sent, word for word."""
    command: int | None
    """Sequence of the command that it was made for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message with all that it came from."""

    sequence: int
    conversation: ConversationId
    speaker: str
    time_s: float
    message: Message
    """As it was read out of the answer: the parsed answer."""
    heard_by: tuple[str, ...]
    """Who listened as it was said; who was told of it later is not among them."""
    command: Command[Fact] | None
    """What it answers."""
    calls: tuple[Call, ...]
    """The calls that were made for it, in order."""


def call_at(log: LogReader, sequence: int) -> Call:
    """Return the call of an event; raises DeclarationError where the event is none, or none is there."""
    event = _event(log, sequence)
    message = event.message()
    if not isinstance(message, ModelCalled):
        raise DeclarationError(f"event {sequence} is no call of a model, but {event.kind}")
    return _call(log, event, message)


def asked_at(log: LogReader, sequence: int) -> Asked:
    """Return a message with its command and calls; of a command or a call, the message that came of it, if one has.

    Raises:
        DeclarationError: there is no such event, or it is of the run as a whole.
    """
    event = _event(log, sequence)
    if not event.conversation:
        raise DeclarationError(f"event {sequence} ({event.kind}) is of the whole run, not of a conversation")
    message = event.message()
    cause = event.sequence if isinstance(message, Command) else event.cause
    if cause is None:
        return _asked(event, event.message(), None, ())
    calls: list[Call] = []
    command: Command[Fact] | None = None
    wanted, of_all = event, isinstance(message, Command | ModelCalled)
    for found in log.events(event.conversation):
        if found.sequence == cause:
            asking = found.message()
            command = cast("Command[Fact]", asking) if isinstance(asking, Command) else None
        elif found.cause == cause:
            said = found.message()
            if isinstance(said, ModelCalled):
                if of_all or found.sequence < event.sequence:
                    calls.append(_call(log, found, said))
            elif isinstance(said, SPOKEN) and of_all:
                wanted = found
    return _asked(wanted, wanted.message(), command, tuple(calls))


def _asked(event: Event, message: Message, command: Command[Fact] | None, calls: tuple[Call, ...]) -> Asked:
    return Asked(
        sequence=event.sequence,
        conversation=event.conversation,
        speaker=event.sender,
        time_s=event.time_s,
        message=message,
        heard_by=event.recipients,
        command=command,
        calls=calls,
    )


def _call(log: LogReader, event: Event, called: ModelCalled) -> Call:
    return Call(
        sequence=event.sequence,
        conversation=event.conversation,
        agent=event.sender,
        time_s=event.time_s,
        called=called,
        prompt=tuple(_prompt(log, called)),
        command=event.cause,
    )


def _prompt(log: LogReader, called: ModelCalled) -> Iterator[Prompted]:
    for role, digest in called.messages:
        try:
            yield Prompted(role, log.text(digest))
        except KeyError:
            yield Prompted(role, f"the log has not kept the text {digest}", kept=False)


def _event(log: LogReader, sequence: int) -> Event:
    event = next(iter(log.at([sequence])), None)
    if event is None:
        raise DeclarationError(f"the run has no event {sequence}: its last is {log.last()}")
    return event
