"""A conversation, and one message of it whole, as data: the JSON documents of `fellowship trace RUN ITEM`."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, JsonValue

from ...protocols.messages import Message
from ...protocols.models import Attempt, Usage
from .calls import Asked, Call
from .talk import Awaited, Effort, Talk, Turn
from .told import name


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def written(self) -> dict[str, Any]:
        """Return the JSON document; what is no number is null."""
        found: dict[str, Any] = json.loads(self.model_dump_json())
        return found


class PromptDocument(_Document):
    """One message of a prompt."""

    role: str
    text: str
    kept: bool
    """Whether the log has kept the text; else these are words that say so."""


class CallDocument(_Document):
    """One call of a model."""

    id: str
    """The event of its command, and which of the command's calls it is, as in `126.1`."""
    sequence: int
    """Of its event."""
    agent: str
    time_s: float
    """When it ended, in seconds since the epoch."""
    model: str
    served_by: str | None
    source: str
    """endpoint, batch, cache, recording or earlier."""
    form: str | None
    """Name of the schema the answer was to follow."""
    tier: str | None
    """How the endpoint was held to it."""
    settings: dict[str, JsonValue]
    prompt: tuple[PromptDocument, ...]
    """What was sent, word for word."""
    text: str | None
    """The answer as it came."""
    reasoning: str | None
    finish_reason: str | None
    error: dict[str, JsonValue] | None
    """Why there is no answer."""
    attempts: tuple[Attempt, ...]
    usage: Usage
    cost_usd: float | None

    @classmethod
    def of(cls, call: Call, number: int) -> Self:
        """Return a call, which is that of its command's calls, from 1."""
        called = call.called
        return cls(
            id=name(call, number),
            sequence=call.sequence,
            agent=call.agent,
            time_s=call.time_s,
            model=called.model,
            served_by=called.served_by,
            source=called.source,
            form=called.answer,
            tier=called.tier,
            settings=_plain(dict(called.settings)),
            prompt=tuple(PromptDocument(role=each.role, text=each.text, kept=each.kept) for each in call.prompt),
            text=called.text,
            reasoning=called.reasoning,
            finish_reason=called.finish_reason,
            error=called.error.model_dump(mode="json") if called.error is not None else None,
            attempts=called.attempts,
            usage=called.usage,
            cost_usd=called.cost_usd,
        )


class EffortDocument(_Document):
    """What it took."""

    called: tuple[int, ...]
    """Events of the calls."""
    failed: int
    """Calls that were never answered."""
    cached: int
    """Calls that nobody was asked for: the cache or a recording answered."""
    earlier: int
    """Calls that the conversation before about the item had made; nothing else here counts them."""
    attempts: int
    errors: tuple[str, ...]
    """What went wrong with attempts."""
    seconds: float
    """Waiting for models; waits between tries not included."""
    usage: Usage
    cost_usd: float | None
    """None where the price of a call is not known."""

    @classmethod
    def of(cls, effort: Effort) -> Self:
        """Return what it took."""
        return cls(
            called=tuple(effort.called),
            failed=effort.failed,
            cached=effort.cached,
            earlier=effort.earlier,
            attempts=effort.attempts,
            errors=tuple(effort.errors),
            seconds=effort.seconds,
            usage=effort.usage,
            cost_usd=effort.cost_usd,
        )


class TurnDocument(_Document):
    """Something that was said, or that the conductor noted."""

    sequence: int
    """Of its event: what `--message` and `fork --at` take."""
    speaker: str
    kind: str
    said: bool
    """Whether an agent said it, as against what the conductor did about it."""
    message: dict[str, JsonValue]
    time_s: float
    """In seconds since the epoch."""
    command: int | None
    """Event of the command that it answers."""
    step: str
    round: int | None
    """Where it was said in a repeat."""
    heard_by: tuple[str, ...]
    effort: EffortDocument
    calls: tuple[CallDocument, ...] | None = None
    """With `--prompts`: the calls it took."""

    @classmethod
    def of(cls, turn: Turn, calls: tuple[CallDocument, ...] | None = None) -> Self:
        """Return a turn."""
        return cls(
            sequence=turn.sequence,
            speaker=turn.speaker,
            kind=turn.message.kind,
            said=turn.said,
            message=_body(turn.message),
            time_s=turn.time_s,
            command=turn.command,
            step=turn.step,
            round=turn.round,
            heard_by=tuple(turn.heard_by),
            effort=EffortDocument.of(turn.effort),
            calls=calls,
        )


class AwaitedDocument(_Document):
    """A command that nobody has answered."""

    sequence: int
    agent: str
    kind: str
    command: dict[str, JsonValue]
    time_s: float
    """When it was sent, in seconds since the epoch."""
    effort: EffortDocument
    calls: tuple[CallDocument, ...] | None = None

    @classmethod
    def of(cls, awaited: Awaited, calls: tuple[CallDocument, ...] | None = None) -> Self:
        """Return a command that nobody has answered."""
        return cls(
            sequence=awaited.sequence,
            agent=awaited.agent,
            kind=awaited.command.kind,
            command=_body(awaited.command),
            time_s=awaited.time_s,
            effort=EffortDocument.of(awaited.effort),
            calls=calls,
        )


class TalkDocument(_Document):
    """A whole conversation."""

    run: str
    """The run's id."""
    conversation: str
    conversations: tuple[str, ...]
    """All about the item, the oldest first."""
    over: str | None
    """The conversation in whose place it was begun."""
    number: int
    """The item's place in the data set, from 0."""
    item: dict[str, JsonValue]
    state: Literal["done", "failed", "open"]
    outcome: dict[str, JsonValue] | None
    """The message that ended it."""
    agents: tuple[str, ...]
    began_s: float
    last_s: float
    """When its last event was written, in seconds since the epoch."""
    turns: tuple[TurnDocument, ...]
    awaited: tuple[AwaitedDocument, ...]
    effort: EffortDocument

    @classmethod
    def of(cls, talk: Talk, run: str, about: Sequence[str], calls: Mapping[int, Sequence[Call]] | None = None) -> Self:
        """Return a conversation; `calls` are those of its turns, by sequence, where they are wanted."""
        outcome = talk.outcome
        met: Counter[int | None] = Counter()

        def of(sequence: int) -> tuple[CallDocument, ...] | None:
            return None if calls is None else tuple(_named(calls.get(sequence, ()), met))

        return cls(
            run=run,
            conversation=talk.conversation,
            conversations=tuple(about),
            over=talk.over,
            number=talk.number,
            item=talk.item.model_dump(mode="json"),
            state=talk.state,
            outcome=_body(outcome) if outcome is not None else None,
            agents=talk.agents,
            began_s=talk.began_s,
            last_s=talk.last_s,
            turns=tuple(TurnDocument.of(turn, of(turn.sequence)) for turn in talk.turns),
            awaited=tuple(AwaitedDocument.of(each, of(each.sequence)) for each in talk.awaited),
            effort=EffortDocument.of(talk.effort),
        )


class MessageDocument(_Document):
    """One message with all that it came from."""

    run: str
    conversation: str
    item: str
    sequence: int
    speaker: str
    kind: str
    time_s: float
    heard_by: tuple[str, ...]
    """Who listened as it was said."""
    command: dict[str, JsonValue] | None
    """What it answers."""
    calls: tuple[CallDocument, ...]
    message: dict[str, JsonValue]
    """As it was read out of the answer."""

    @classmethod
    def of(cls, asked: Asked, run: str) -> Self:
        """Return a message."""
        return cls(
            run=run,
            conversation=asked.conversation,
            item=asked.conversation.rpartition("~")[0],
            sequence=asked.sequence,
            speaker=asked.speaker,
            kind=asked.message.kind,
            time_s=asked.time_s,
            heard_by=asked.heard_by,
            command=_body(asked.command) if asked.command is not None else None,
            calls=tuple(_named(asked.calls, Counter())),
            message=_body(asked.message),
        )


def _named(calls: Sequence[Call], met: Counter[int | None]) -> Iterator[CallDocument]:
    """Return calls, each with which of its command's it is."""
    for call in calls:
        met[call.command] += 1
        yield CallDocument.of(call, met[call.command])


def _body(message: Message) -> dict[str, JsonValue]:
    return message.model_dump(mode="json")


def _plain(settings: dict[str, object]) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = json.loads(json.dumps(settings))
    return found
