"""Cassettes: the calls of a run, to be given back in place of asking models.

A run's log is one. A file of JSON lines is another, to be kept beside tests and read by people: a first line that says
what it is, then one line a call, with every message as it was sent.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
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
from ..log.excerpt import excerpt
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

    def only(self, item: ItemId) -> "Parcel":
        """Return what was recorded of an item, to be sent to another process; raises CassetteMiss as `tape` does."""
        ...


class Parcel(Protocol):
    """What was recorded of one item; it can be pickled, and is no larger than what it holds."""

    def cassette(self) -> Cassette:
        """Return a cassette that answers for the item as the one did that it was taken from."""
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
        self._prove(item)
        conversation, sifted = self.counts(item)
        return self.tape_of(conversation, sifted, fit=fit, keep=keep, with_earlier=True)

    def only(self, item: ItemId) -> "Excerpt":
        """Return the conversations about an item as a parcel; raises CassetteMiss where it was not recorded."""
        self._prove(item)
        return Excerpt(self._log.path, self.excerpt(self._held[item]), self._whole, self._forked)

    def excerpt(self, conversations: Iterable[ConversationId]) -> bytes:
        """Return a log that holds those of some conversations that are here, for `LogReader.of`.

        To go on with a conversation it takes those before it about the same item, too: it may be held over them.
        Raises LogError where the log cannot be read.
        """
        return excerpt(self._log, {name: self._events[name] for name in conversations if name in self._events})

    def _prove(self, item: ItemId) -> None:
        if item not in self._held:
            raise _unknown(item, str(self._log.path.parent), self._held)

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


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A parcel out of a run's log."""

    path: Path
    """Of the log, for words in errors."""
    data: bytes
    whole: bool = False
    forked: bool = False

    def cassette(self) -> RecordedRun:
        """Return the recording."""
        return RecordedRun(LogReader.of(self.data, self.path), whole=self.whole, forked=self.forked)


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
            raise _unknown(item, str(self.path), self.conversations)
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
