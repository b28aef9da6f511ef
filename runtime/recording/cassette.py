"""Cassettes: the calls of a run, to be given back in place of asking models.

A run's log is one. A file of JSON lines is another, to be kept beside tests and read by people: a first line that says
what it is, then one line a call, with every message as it was sent.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from ...protocols.errors import CassetteMiss, DeclarationError, Problem, nearest
from ...protocols.events import Event
from ...protocols.identity import ConversationId, ItemId
from ...protocols.lifecycle import Failure, ItemFailed, ModelCalled
from ...protocols.models import ChatMessage, ChatRole
from ..log import LogReader
from ..secrecy import hide_json
from .standing import Sifted, calls_of, sift
from .tape import Fit, Recorded, Tape

if TYPE_CHECKING:
    from array import array

KNOWN_ITEMS = 10_000
"""Items among which the nearest name is looked for."""

Keep = Callable[[str, str], None]


class Cassette(Protocol):
    """Recorded calls of the items of a run."""

    def tape(self, item: ItemId, *, fit: Fit, keep: Keep) -> Tape:
        """Return the calls of an item; raises CassetteMiss where it was not recorded.

        Args:
            item: The item's id.
            fit: How a recorded call has to fit.
            keep: Keeps a message in the log that is written now.
        """
        ...

    def earlier(self, item: ItemId) -> Iterator[tuple[ConversationId, str, ModelCalled]]:
        """Return conversation, agent and call of all that was asked in conversations that do not count any more."""
        ...


class RecordedRun:
    """The recording that every run's log is; it is read item by item."""

    def __init__(
        self,
        log: LogReader,
        conversations: Iterable[ConversationId] | None = None,
        since: int = 0,
        *,
        whole: bool = False,
        forked: bool = False,
    ) -> None:
        """Find where in the log the conversations stand.

        Args:
            log: The run's log; it stays open as long as this is used.
            conversations: Those that are wanted; none for all.
            since: The first event that may be of one of them.
            whole: Whether an item that is played from it counts all that it took then, asked for again or not.
            forked: Whether it is a fork: what that stands on was said in answer to other questions.
        """
        self._log = log
        self._whole = whole
        self._forked = forked
        self._events: dict[ConversationId, array[int]] = log.positions(conversations, since)
        self._held: dict[str, list[ConversationId]] = {}
        for conversation in self._events:
            self._held.setdefault(conversation.rpartition("~")[0], []).append(conversation)

    def __contains__(self, item: object) -> bool:
        return item in self._held

    def text(self, digest: str) -> str:
        """Return a message as it was sent, but for secrets."""
        return self._log.text(digest)

    def items(self) -> Iterator[ItemId]:
        """Return the items, in the order they were begun."""
        return map(ItemId, self._held)

    def sifted(self, conversation: ConversationId) -> Sifted:
        """Return the events of a conversation, with what of them counts."""
        return sift(self._log.at(self._events.get(conversation, ())))

    def newest(self, item: ItemId) -> ConversationId:
        """Return the conversation about an item that counts: the newest."""
        return self._held[item][-1]

    def counts(self, item: ItemId) -> tuple[ConversationId, Sifted]:
        """Return the conversation that counts, and its events: the newest about an item."""
        conversation = self.newest(item)
        return conversation, self.sifted(conversation)

    def earlier(self, item: ItemId) -> Iterator[tuple[ConversationId, str, ModelCalled]]:
        """Return conversation, agent and call of all that was asked in conversations that do not count any more."""
        for conversation in self._held[item][:-1]:
            for event, called in calls_of(self.sifted(conversation).events):
                yield conversation, event.sender, called

    def tape(self, item: ItemId, *, fit: Fit, keep: Keep) -> Tape:
        """Return the calls of an item; raises CassetteMiss where it was not recorded."""
        if item not in self._held:
            raise _unknown(item, str(self._log.path.parent), self._held)
        conversation, sifted = self.counts(item)
        return self.tape_of(conversation, sifted, fit=fit, keep=keep, with_earlier=True)

    def tape_of(
        self,
        conversation: ConversationId,
        sifted: Sifted,
        *,
        fit: Fit,
        keep: Keep,
        paid_here: bool = False,
        with_earlier: bool = False,
        then: Tape | None = None,
    ) -> Tape:
        """Return the calls of a conversation; see Tape."""
        fallen = sifted.fallen
        calls = [
            Recorded(event.sender, called, event.sequence not in fallen) for event, called in calls_of(sifted.events)
        ]
        text, failed = self._log.text, _failure(sifted)
        return Tape(
            conversation,
            calls,
            text,
            fit=fit,
            keep=keep,
            failed=failed,
            paid_here=paid_here,
            with_earlier=with_earlier,
            then=then,
            whole=self._whole,
            forked=self._forked,
        )


def _failure(sifted: Sifted) -> Failure | None:
    """Return why a conversation has no outcome, where that is its end."""
    last = next((event for event in reversed(sifted.events) if event.kind in ("item_failed", "item_finished")), None)
    if last is None or last.kind != "item_failed":
        return None
    end = last.message()
    assert isinstance(end, ItemFailed)  # noqa: S101 - of that kind
    return end.cause


def _unknown(item: str, where: str, known: Iterable[str]) -> CassetteMiss:
    names = list(known)
    hint = nearest(item, names) if len(names) <= KNOWN_ITEMS else ""
    return CassetteMiss(f"{where} has no recording of item {item!r}{hint if 'did you mean' in hint else ''}")


# files


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
        if item not in self.conversations:
            raise _unknown(item, str(self.path), self.conversations)
        conversation = self.conversations[item]
        return Tape(conversation, self.calls[conversation], self.texts.__getitem__, fit=fit, keep=keep)

    def earlier(self, item: ItemId) -> Iterator[tuple[ConversationId, str, ModelCalled]]:
        """Return nothing: a file holds what counts."""
        del item
        return iter(())

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
