"""One message with all that it came from, made ready for a page."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp

from ...protocols.identity import ConversationId, call_id
from ...protocols.lifecycle import ModelCalled
from ...protocols.models import TokenLogprob
from ...runtime.log import LogReader
from ..traces.calls import Asked, Call, asked_at, call_at
from ..traces.talk import Talk, fold

Digests = tuple[tuple[str, str], ...]
"""Role and digest of each message of a prompt."""
LIKELY = 10
"""Steps of probability that are told apart."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer."""

    text: str
    step: int
    """Of its probability, from 0 to 9."""
    words: str
    """Its probability, and what else could have stood there."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A call, and what is new in its prompt."""

    call: Call
    name: str
    """Of the call, as logs have it: `17.2` is the second that event 17 led to."""
    known: int | None
    """So many messages at the start of the prompt had begun one of the same agent before; None of its first prompt."""
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """A message with its calls, and its place in the conversation."""

    asked: Asked
    calls: tuple[Inspected, ...]
    item: str
    at: int
    """Sequence at which the conversation's page has it: its own, where it stands there."""
    before: int | None
    """Sequence of the message that was said before it."""
    after: int | None


def inspection(log: LogReader, sequence: int) -> Inspection:
    """Return a message with all that it came from; raises DeclarationError where no conversation has such an event."""
    asked = asked_at(log, sequence)
    talk = fold(log, asked.conversation)
    before, at, after = _around(talk, asked.sequence)
    return Inspection(asked, inspected(log, asked), talk.item.id, at, before, after)


def inspected(log: LogReader, asked: Asked) -> tuple[Inspected, ...]:
    """Return the calls of a message, each with what is new in its prompt."""
    if not asked.calls:
        return ()
    earlier: list[tuple[int, Digests]] = []
    agents = {call.agent for call in asked.calls}
    for event in log.events(ConversationId(asked.conversation), ("model_called",)):
        called = event.message()
        if isinstance(called, ModelCalled) and event.sender in agents:
            earlier.append((event.sequence, called.messages))
    return tuple(_inspected(number, call, earlier) for number, call in enumerate(asked.calls, 1))


def whole(log: LogReader, talk: Talk) -> dict[int, tuple[Inspected, ...]]:
    """Return the calls of every message of a conversation, by its sequence."""
    made: dict[int, list[Inspected]] = {}
    earlier: dict[str, list[tuple[int, Digests]]] = {}
    for event in log.events(talk.conversation, ("model_called",)):
        if event.cause is None:
            continue
        call = call_at(log, event.sequence)
        prompts = earlier.setdefault(call.agent, [])
        of_command = made.setdefault(event.cause, [])
        of_command.append(_inspected(len(of_command) + 1, call, prompts))
        prompts.append((call.sequence, call.called.messages))
    return {turn.sequence: tuple(made.get(turn.command or 0, ())) for turn in talk.turns if turn.said}


def _inspected(number: int, call: Call, prompts: list[tuple[int, Digests]]) -> Inspected:
    before = [messages for sequence, messages in prompts if sequence < call.sequence]
    known = max((_shared(call.called.messages, messages) for messages in before), default=None)
    name = call_id(call.command, number) if call.command is not None else str(call.sequence)
    return Inspected(call, name, known, tuple(_tokens(call.called.logprobs or ())))


def _shared(one: Digests, other: Digests) -> int:
    """Return how many messages two prompts begin with that are the same."""
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count


def _tokens(logprobs: tuple[TokenLogprob, ...]) -> Iterator[Token]:
    for each in logprobs:
        likely = min(1.0, exp(each.logprob))
        others = "".join(f"; {token!r} {100 * min(1.0, exp(other)):.1f} %" for token, other in each.alternatives)
        yield Token(each.token, min(LIKELY - 1, int(LIKELY * likely)), f"{100 * likely:.1f} %{others}")


def _around(talk: Talk, sequence: int) -> tuple[int | None, int, int | None]:
    """Return what was said before an event, where the page has it, and what was said after it."""
    said = [turn.sequence for turn in talk.turns if turn.said]
    before = max((each for each in said if each < sequence), default=None)
    after = min((each for each in said if each > sequence), default=None)
    shown = any(turn.sequence == sequence for turn in talk.turns)
    return before, sequence if shown else after or before or 0, after
