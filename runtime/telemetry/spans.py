"""A run's log as spans and events: a fold that is fed what comes, and holds the conversations that are open."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

import orjson

from ...protocols.errors import LogError
from ..log.reader import Entry
from ..secrecy import hide, hide_json
from .mapping import Asked, GenAI
from .records import Record, Sender
from .talk import Talk, commands, is_command

NOTHING = frozenset(
    {
        "agent_recused",
        "agents_excused",
        "asking_ended",
        "branch_taken",
        "branches_opened",
        "condition_met",
        "draft_picked",
        "hearing_changed",
        "letter_undelivered",
        "outcome_set_aside",
        "pairs_made",
    }
)
"""Kinds of which no span or event tells."""
TOLD_AT_FIRST = re.compile(r'"(?:over|variant)":')
"""What is told of the opening of an item, where its words are not."""
BEGUN_ANEW = "begun anew"
BROKEN_OFF = "unfinished"


class Spans:
    """The fold. Ids follow from the run's id and the log's numbers: what is folded twice has the same ones."""

    def __init__(
        self,
        sender: Sender,
        names: GenAI,
        *,
        text: Callable[[str], str] = str,
        earlier: Callable[[str, int], Iterable[Entry]] | None = None,
        after: int = 0,
    ) -> None:
        """Make a fold.

        Args:
            sender: The run.
            names: What things are called.
            text: Returns a text that the log keeps under a digest; for content.
            earlier: Returns the events of a conversation before one, so that one which had ended can go on.
            after: The last event that is not told of; conversations that go on after it are told whole.
        """
        self._sender = sender
        self._names = names

        @lru_cache(maxsize=256)  # a prompt is sent many times
        def hidden(digest: str) -> str:
            return hide(text(digest))

        self._text = hidden
        self._earlier = earlier
        self._after = after
        self._commands = commands()
        self._talks: dict[str, Talk] = {}
        self._newest: dict[str, str] = {}
        """The open conversation about an item."""
        self.calls = 0
        """Model calls that were told of."""

    @property
    def open(self) -> int:
        """How many conversations have no outcome yet."""
        return len(self._talks)

    def take(self, entry: Entry) -> list[Record]:
        """Take in an event; returns what is whole now.

        Raises:
            LogError: it is not what it was.
        """
        conversation, kind = entry[1], entry[5]
        if not conversation or kind in NOTHING:
            return []
        talk = self._talks.get(conversation)
        found: list[Record] = []
        if talk is None:
            if kind == "item_resumed" and self._earlier is not None:
                talk = self._recalled(entry, found)
            else:
                if kind == "item_opened":
                    found = self._superseded(conversation)
                talk = self._joined(entry)
        told = self._told(talk, entry)
        if talk.over:
            self._left(conversation, talk)
        return [*found, *told] if found else told

    def unfinished(self) -> list[Record]:
        """Return the spans of conversations that are still open, as far as they have come."""
        return [span for talk in self._talks.values() for span in talk.broken_off(BROKEN_OFF)]

    def _joined(self, entry: Entry) -> Talk:
        conversation = entry[1]
        talk = Talk(self._sender, self._names, conversation, self._text, entry[7])
        self._talks[conversation] = talk
        self._newest[talk.item] = conversation
        return talk

    def _left(self, conversation: str, talk: Talk) -> None:
        del self._talks[conversation]
        if self._newest.get(talk.item) == conversation:
            del self._newest[talk.item]

    def _superseded(self, conversation: str) -> list[Record]:
        """Return the spans of a conversation about the same item which another one takes the place of."""
        before = self._newest.get(conversation.rpartition("~")[0])
        if before is None:
            return []
        talk = self._talks[before]
        self._left(before, talk)
        return talk.broken_off(BEGUN_ANEW)

    def _recalled(self, entry: Entry, found: list[Record]) -> Talk:
        """Go through a conversation again that goes on, and return it; finds its spans, if they were not told yet."""
        sequence, conversation = entry[:2]
        talk: Talk | None = None
        untold = False
        for before in self._earlier(conversation, sequence) if self._earlier is not None else ():
            if talk is None:
                talk, untold = self._joined(before), before[0] <= self._after
            if before[5] not in NOTHING:
                told = self._told(talk, before, count=untold)
                found += told if untold else ()
        return talk or self._joined(entry)

    def _told(self, talk: Talk, entry: Entry, *, count: bool = True) -> list[Record]:
        sequence, _, cause, speaker, recipients, kind, text, time_s = entry
        try:
            if kind == "item_opened" and not self._names.content and TOLD_AT_FIRST.search(text) is None:
                return []  # what an item says is long, and of no use here
            text = hide_json(text)
            command = self._commands.get(kind)
            if command or (command is None and is_command(kind)):
                talk.asked_for(sequence, _asked(kind, recipients, text), time_s)
                return []
            self.calls += count and kind == "model_called"
            return talk.take(sequence, cause, speaker, kind, orjson.loads(text), time_s)
        except (ValueError, KeyError, TypeError) as error:
            raise LogError(f"event {sequence} is not what it was: it cannot be told") from error


@lru_cache(maxsize=256)  # an agent is asked for the same about many items
def _asked(kind: str, agent: str, text: str) -> Asked:
    body = orjson.loads(text)
    return Asked(kind, agent, body.get("step", ""), body.get("round", 1))
