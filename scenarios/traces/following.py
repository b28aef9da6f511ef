"""A run that is going on, looked at as it goes: conversations as they end, or messages as they are said."""

from collections.abc import Iterator
from dataclasses import replace

from ...protocols.events import Event
from ...protocols.identity import ConversationId
from ...runtime.log import LogReader
from ...runtime.log.watching import growth
from .index import Index
from .listing import Listed, Wanted
from .talk import Turn, folded

ENDS = ("item_finished", "item_failed")
AT_ONCE = 500
"""Conversations that are looked up together."""


def ended(index: Index, wanted: Wanted) -> Iterator[Listed]:
    """Return conversations that are wanted, each when it has ended or failed, until nobody writes the log any more.

    It begins with those that have ended already. One that ends again, after it was taken up, comes again.
    """
    seen = 0
    for last in growth(index.log):
        if seen:
            found = [event.conversation for event in index.log.at(range(seen + 1, last + 1)) if event.kind in ENDS]
        else:
            found = [name for sequence, name, _ in index.log.landmarks(ENDS) if sequence <= last]
        seen = last
        while index.refresh():
            pass
        names = tuple(dict.fromkeys(found))
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            rows = index.page(replace(wanted, conversations=some), limit=AT_ONCE).rows
            yield from sorted(rows, key=lambda row: some.index(row.conversation))


def said(log: LogReader, conversation: ConversationId) -> Iterator[Turn]:
    """Return what is said in a conversation, each when it is, until it has ended or nobody writes the log any more."""
    seen, known, events = 0, 0, list[Event]()
    for last in growth(log):
        if seen:
            found = [event for event in log.at(range(seen + 1, last + 1)) if event.conversation == conversation]
        else:
            found = [event for event in log.events(conversation) if event.sequence <= last]
        seen = last
        if not found:
            continue
        events += found
        talk = folded(conversation, events)
        yield from talk.turns[known:]
        known = len(talk.turns)
        if not talk.goes_on:
            return
