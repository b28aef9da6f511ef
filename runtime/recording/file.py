"""Cassettes as files of JSON lines, to be kept beside tests and read by people.

A first line says what it is; then comes one line a call, with every message as it was sent.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from ...protocols.errors import DeclarationError, Problem
from ...protocols.events import Event
from ...protocols.identity import ConversationId, ItemId
from ...protocols.lifecycle import ModelCalled
from ...protocols.models import ChatMessage, ChatRole
from ..log import LogReader
from ..secrecy import hide_json
from .cassette import Keep, RecordedRun, unknown
from .standing import calls_of
from .tape import Fit, Recorded, Tape


class Head(BaseModel):
    """The first line of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    fellowship_cassette: Literal[1] = 1
    """Version of the format."""
    scenario: str = ""
    """What was played."""


class Line(BaseModel):
    """A call in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    conversation: ConversationId
    agent: str
    said: tuple[tuple[ChatRole, str], ...]
    """Role and text of each message as it was sent."""
    call: ModelCalled
    """The call; its `messages` are left out in the file, they follow from `said`."""


@dataclass(frozen=True, slots=True)
class FileCassette:
    """A cassette out of a file."""

    path: Path
    calls: dict[ConversationId, list[Recorded]]
    """By conversation."""
    conversations: dict[str, ConversationId]
    """By item."""
    texts: dict[str, str]
    """By digest."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            DeclarationError: it cannot be read, or is no cassette: every bad line with its place.
        """
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            raise DeclarationError(f"{path} cannot be read: {error.strerror or error}") from error
        try:
            Head.model_validate_json(lines[0] if lines else b"")
        except ValidationError as error:
            raise DeclarationError([Problem("not a cassette: its first line does not say so", str(path), 1)]) from error
        cassette = cls(path, {}, {}, {})
        problems: list[Problem] = []
        for number, line in enumerate(lines[1:], 2):
            try:
                cassette._add(orjson.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                problems.append(Problem(f"not a recorded call: {_first_words(error)}", str(path), number))
        if problems:
            raise DeclarationError(problems)
        return cassette

    def tape(self, item: ItemId, *, fit: Fit, keep: Keep) -> Tape:
        """Return the calls of an item; raises CassetteMiss where it was not recorded."""
        conversation = self._about(item)
        return Tape(conversation, self.calls[conversation], self.texts.__getitem__, fit=fit, keep=keep)

    def earlier(self, item: ItemId) -> Iterator[tuple[ConversationId, str, ModelCalled]]:
        """Return nothing: a file holds what counts."""
        del item
        return iter(())

    def only(self, item: ItemId) -> Self:
        """Return the calls of an item and what was said in them; raises CassetteMiss where it was not recorded."""
        conversation = self._about(item)
        calls = self.calls[conversation]
        digests = {digest for recorded in calls for _, digest in recorded.called.messages}
        texts = {digest: self.texts[digest] for digest in digests}
        return replace(self, calls={conversation: calls}, conversations={item: conversation}, texts=texts)

    def cassette(self) -> Self:
        """Return itself: it is its own parcel."""
        return self

    def _about(self, item: ItemId) -> ConversationId:
        if item not in self.conversations:
            raise unknown(item, str(self.path), self.conversations)
        return self.conversations[item]

    def _add(self, document: dict[str, Any]) -> None:
        said = [ChatMessage(role, text) for role, text in document["said"]]
        document["call"]["messages"] = [(message.role, message.digest) for message in said]
        line = Line.model_validate(document)
        self.texts.update((message.digest, message.content) for message in said)
        self.conversations[line.conversation.rpartition("~")[0]] = line.conversation
        self.calls.setdefault(line.conversation, []).append(Recorded(line.agent, line.call))


def _first_words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
    return f"{type(error).__name__}: {error}"


def write(log: LogReader, path: Path) -> int:
    """Write the calls of a run as a file, and return how many there are: those that count, in order an item.

    Raises:
        DeclarationError: the file cannot be written.
    """
    recorded = RecordedRun(log)
    written = 0
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(Head(scenario=log.meta("name") or "").model_dump_json().encode() + b"\n")
            for conversation, event, called in _standing(recorded):
                said = [(role, log.text(digest)) for role, digest in called.messages]
                call = called.model_dump(mode="json", exclude_none=True, exclude={"messages"})
                line = {"conversation": conversation, "agent": event.sender, "said": said, "call": call}
                file.write(hide_json(orjson.dumps(line).decode()).encode() + b"\n")
                written += 1
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # where the folder is none, there is nothing to take away
            part.unlink(missing_ok=True)
        raise DeclarationError(f"{path} cannot be written: {error.strerror or error}") from error
    return written


def _standing(recorded: RecordedRun) -> Iterator[tuple[ConversationId, Event, ModelCalled]]:
    for item in recorded.items():
        conversation, sifted = recorded.counts(item)
        for event, called in calls_of(sifted.standing()):
            yield conversation, event, called
