"""Logs as earlier versions wrote them, and by hand."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from fellowship.protocols.identity import ConversationId
from fellowship.protocols.lifecycle import DecisionMade, Failure, ItemFailed, ItemFinished, ModelCalled, OutcomeSetAside
from fellowship.protocols.messages import Message
from fellowship.protocols.models import Attempt, Usage
from fellowship.runtime.log import LogReader, open_log, schema

Said = tuple[str, str, Message]
"""Conversation, sender and message."""


def as_version(version: int, path: Path) -> None:
    """Write a log anew as an earlier version would have written it, with every text in its body, and no id."""
    old = path.with_suffix(".old")
    with sqlite3.connect(old) as connection, LogReader(path) as reader:
        connection.execute("PRAGMA page_size = 16384")
        for script in schema.MIGRATIONS[:version]:
            connection.executescript(script)
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")
        for event in reader.events():
            row = (*(getattr(event, name) for name in ("sequence", "conversation", "cause", "sender")),)
            row = (*row, ",".join(event.recipients), event.kind, event.body, event.time_s)
            marks = (1 if event.kind in schema.LANDMARKS else None, None)[: version - 1]
            connection.execute(f"INSERT INTO events VALUES ({','.join('?' * (8 + len(marks)))})", (*row, *marks))  # noqa: S608 - marks
        connection.execute("ATTACH ? AS new", (str(path),))
        connection.execute("INSERT INTO meta SELECT * FROM new.meta WHERE key != ?", (schema.RUN,))
        connection.execute("INSERT INTO texts SELECT * FROM new.texts")
    connection.close()
    old.replace(path)


async def written(path: Path, said: Iterable[Said]) -> None:
    """Write a log, or go on with one."""
    async with open_log(path) as log:
        for conversation, sender, message in said:
            log.append(message, sender=sender, conversation=ConversationId(conversation))
            await log.drain()


def long(number: int) -> str:
    """A text of a kilobyte."""
    return f"{number}: it scatters short waves more than long ones. " * 20


def answered(text: str | None = "yes", *, error: str | None = None) -> ModelCalled:
    """A call of 10 tokens and one dollar."""
    return ModelCalled(
        model="acme/m",
        messages=(),
        settings={},
        text=text,
        error=Failure(error=error, reason="it did") if error else None,
        usage=Usage(input_tokens=7, output_tokens=3),
        cost_usd=1.0,
        attempts=(Attempt(latency_s=1.0),),
    )


def finished(number: int, text: str | None = None) -> ItemFinished:
    return ItemFinished(number=number, verdict=None if text else "a", text=text)


def failed(number: int) -> ItemFailed:
    return ItemFailed(number=number, cause=Failure(error="Overloaded", reason="on fire"))


def aside(outcome: int) -> OutcomeSetAside:
    return OutcomeSetAside(outcome=outcome, reason="retried")


def decided(unread: int) -> DecisionMade:
    return DecisionMade(rule="unique-mode", version=1, verdict="a", votes=1, unread=unread)
