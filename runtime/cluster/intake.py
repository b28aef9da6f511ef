"""What the driver does with the events of a worker: gives each its place in the one log."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from ..log import SqliteLog
from ..log.scribe import Row
from .relay import FIRST, Text

ENDS = frozenset({"item_finished", "item_failed"})


def item_of(conversation: str) -> str:
    """Return the item that a conversation is about."""
    return conversation.rpartition("~")[0]


class Intake:
    """Takes one worker's events; an event that came before is passed over, so that a batch may be sent twice."""

    def __init__(self, log: SqliteLog, later_s: float = 0.0) -> None:
        """Make an intake.

        Args:
            log: The one log.
            later_s: What the driver's clock is ahead of the worker's: events bear the driver's time.
        """
        self._log = log
        self._later_s = later_s
        self._places: dict[str, dict[int, int]] = {}
        """For each item that is being played: the places in the log of the worker's sequences."""
        self.taken = FIRST - 1
        """The newest of the worker's sequences that is here."""
        self.last = 0
        """Its place in the log."""
        self.texts = 0
        """How many of the worker's texts are here."""

    def take(self, rows: Iterable[Row], texts: Sequence[Text]) -> Iterator[Row]:
        """Append events, and return them with their places; raises LogError where the log takes no more.

        Args:
            rows: The worker's events; those that are here are passed over.
            texts: Its texts from the first on that is not here.
        """
        for digest, text in texts:
            self._log.keep(digest, text)
        self.texts += len(texts)
        for row in rows:
            if row[0] > self.taken:
                yield self._placed(row)

    def _placed(self, row: Row) -> Row:
        own, conversation, cause, sender, recipients, kind, body, time_s, landmark, digest = row
        places = self._places.setdefault(item_of(conversation), {})
        if kind == "hearing_changed":
            body = _with_places(body, places)
        now = (
            own,
            conversation,
            cause if cause is None else places.get(cause, cause),
            sender,
            recipients,
            kind,
            body,
            time_s + self._later_s,
            landmark,
            digest,
        )
        self.taken, self.last = own, self._log.take(now)
        places[own] = self.last
        return (self.last, *now[1:])

    def place(self, item: str, sequence: int) -> int:
        """Return the place in the log of a sequence that the worker told, while its item is being played."""
        return self._places.get(item, {}).get(sequence, sequence)

    def forget(self, item: str) -> None:
        """Forget the places of an item that has ended."""
        self._places.pop(item, None)


def _with_places(body: str, places: Mapping[int, int]) -> str:
    """Return the body of a `hearing_changed` with the places of what the agent has caught up with."""
    document: dict[str, Any] = orjson.loads(body)
    caught_up: list[int] = document.get("caught_up", [])
    if not caught_up:
        return body
    return orjson.dumps({**document, "caught_up": [places.get(each, each) for each in caught_up]}).decode()
