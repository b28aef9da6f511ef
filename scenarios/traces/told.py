"""One message whole, on a terminal: what was asked, the exact prompt, every attempt, the answer, and what was read."""

import json
from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from ...protocols.identity import call_id
from ...protocols.lifecycle import ModelCalled
from ...protocols.messages import Message
from ...protocols.models import Attempt, Usage
from ...runtime.printable import plain
from .amounts import moment, money
from .calls import Asked, Call
from .lines import Indented

SHORTEST_S = 0.0005
"""Shorter waits are not shown: they read 0.000."""


def told(asked: Asked, run: str) -> RenderableType:
    """Return a message with all that it came from.

    Args:
        asked: Which.
        run: The run's id.
    """
    kind = asked.message.kind
    parts: list[RenderableType] = [
        Text(plain(f"Event {asked.sequence}: {kind} by {asked.speaker}"), style="bold"),
        *_facts(_where(asked, run)),
    ]
    command = asked.command
    if command is not None and command is not asked.message:
        parts += block(f"command: {command.kind}", document(command))
    for number, call in enumerate(asked.calls, 1):
        parts += [Text(), Text(plain(f"Call {name(call, number)}: {call.called.model}"), style="bold")]
        parts += _call(call)
    if not isinstance(asked.message, ModelCalled):
        parts += [Text(), Text("As it was read", style="bold"), *block(kind, document(asked.message))]
    return Group(*parts)


def name(call: Call, number: int) -> str:
    """Return the name of a call, which is that of its command's calls, from 1."""
    return call_id(call.command if call.command is not None else call.sequence, number)


def document(message: Message) -> str:
    """Return a message as JSON, as far as anything is said in it."""
    return json.dumps(message.model_dump(mode="json", exclude_none=True), ensure_ascii=False, indent=2)


def block(title: str, text: str, indent: int = 0) -> Iterator[RenderableType]:
    """Return a text under its title."""
    yield Text()
    yield Indented(Text(plain(title), style="dim"), indent)
    yield Indented(Text(plain(text.strip("\n"))), indent + 2)


def prompt(call: Call, indent: int = 0) -> Iterator[RenderableType]:
    """Return what a model was sent, word for word, with the role of each message."""
    for number, message in enumerate(call.prompt, 1):
        yield from block(f"prompt {number}, {message.role}", message.text, indent)


def _where(asked: Asked, run: str) -> Iterator[tuple[str, str]]:
    yield "said", moment(asked.time_s)
    yield "run", run
    yield "conversation", asked.conversation
    if asked.heard_by:
        yield "heard by", ", ".join(asked.heard_by)
    command = asked.command
    if command is not None:
        yield "step", command.step
        yield "round", str(command.round)
    asked_by = next((call.command for call in asked.calls), None)
    if asked_by is not None:
        yield "command", f"event {asked_by}"


def _call(call: Call) -> Iterator[RenderableType]:
    called = call.called
    yield from _facts(_about(call))
    if called.attempts:
        yield Text()
        yield Text("attempts", style="dim")
    for number, attempt in enumerate(called.attempts, 1):
        wrong = attempt.error is not None
        yield Indented(Text(plain(_attempt(attempt)), style="red" if wrong else ""), 5, Text(f"{number:>3}"))
    yield from prompt(call)
    if called.reasoning is not None:
        yield from block("reasoning", called.reasoning)
    if called.text is not None:
        yield from block("answer, as it came", called.text)
    if called.error is not None:
        yield from block(f"no answer: {called.error.error}", called.error.reason)


def _about(call: Call) -> Iterator[tuple[str, str]]:
    called = call.called
    yield "event", f"{call.sequence}, {moment(call.time_s)}"
    yield "agent", call.agent
    if called.served_by is not None:
        yield "served by", called.served_by
    yield "source", called.source
    if called.answer is not None:
        yield "form", called.answer + (f", by {called.tier}" if called.tier is not None else "")
    if called.settings:
        yield "settings", _settings(called.settings)
    if called.finish_reason is not None:
        yield "finish reason", called.finish_reason
    yield "usage", _usage(called.usage)
    nothing = called.usage.reported and not called.usage.input_tokens
    yield "cost", money(0.0 if called.cost_usd is None and nothing else called.cost_usd)


def _settings(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items())


def _usage(usage: Usage) -> str:
    if not usage.reported:
        return "not reported"
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    thought = f" ({usage.reasoning_tokens:,} reasoning)" if usage.reasoning_tokens else ""
    return f"{usage.input_tokens:,} tokens in{cached}, {usage.output_tokens:,} out{thought}"


def _attempt(attempt: Attempt) -> str:
    facts = [f"{attempt.latency_s:.3f} s"]
    facts += [f"after {attempt.waited_s:.3f} s of waiting"] if attempt.waited_s >= SHORTEST_S else []
    facts += [f"first words after {attempt.first_token_s:.3f} s"] if attempt.first_token_s is not None else []
    facts += [f"billed {_usage(attempt.usage)}"] if attempt.usage is not None else []
    facts += ["perhaps billed, nobody says how much"] if attempt.maybe_billed else []
    return ", ".join(facts) + (f": {attempt.error}" if attempt.error is not None else "")


def _facts(facts: Iterator[tuple[str, str]]) -> Iterator[RenderableType]:
    for title, words in facts:
        yield Indented(Text(plain(words)), 16, Text(plain(title), style="dim"))
