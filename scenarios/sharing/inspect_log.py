"""A run as a log of Inspect, the evaluation framework: what `inspect view` shows. The package itself is not needed.

Each item is a sample, with the one conversation about it that counts. They are read and written one after the other, so
that a run of any size is.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from ...protocols.errors import DeclarationError, nearest
from ...protocols.identity import ConversationId
from ...runtime.log import LogReader
from .inspect_files import ENDINGS, writer
from .inspect_header import Header, Sums
from .inspect_sample import sample, summary
from .shared import Shared, Wish

BOUNDS = ("item_opened", "item_resumed", "item_finished", "item_failed", "outcome_set_aside")


def write(wish: Wish) -> Shared:
    """Write a run as an Inspect log, also while it is going: then what there is of it.

    Raises:
        DeclarationError: the file is called otherwise than .eval or .json, or cannot be written; or the run has no such
            item.
        LogError: the log cannot be read.
    """
    to = Path(wish.to)
    if to.suffix.lower() not in ENDINGS:
        raise DeclarationError(f"--to {wish.to}: an Inspect log is a FILE{' or a FILE'.join(ENDINGS)}")
    with LogReader(wish.log) as log:
        conversations = list(counting(log, wish.items))
        header, sums = Header(log, wish.run, wish.items), Sums()
        with writer(to) as file:
            for name in conversations:
                events = tuple(log.events(name))
                opened = orjson.loads(events[0].body)["item"].get("variant")
                found, talk = sample(log, events, header.casts.get(opened, {}), header.run_id, header.model)
                sums.add(found, talk.state)
                file.add(found, summary(found, completed=talk.state != "open"))
            file.end(header.document(sums), header.reductions(sums))
    counts = {"samples": len(sums.ids), "of them failed": sums.states["failed"]}
    return Shared(format="inspect", to=wish.to, counts=counts | {"without an outcome": sums.states["open"]})


def counting(log: LogReader, wanted: Sequence[str] = ()) -> Iterator[ConversationId]:
    """Return the conversation of each item that counts, in the order of the data set.

    It is the one with the outcome; of an item without one, the newest. An item whose outcome was set aside, and that
    was not gone on with, is in the data no more.

    Args:
        log: The run's.
        wanted: Items; none: all.

    Raises:
        DeclarationError: the run has not begun one of them.
    """
    numbers: dict[str, int] = {}
    newest: dict[str, ConversationId] = {}
    ended: dict[str, ConversationId] = {}
    begun: set[str] = set()
    set_aside = log.set_aside(log.last())
    for sequence, conversation, _, kind, body, _ in log.bodies(BOUNDS):
        item = conversation.rpartition("~")[0]
        if kind == "item_opened":
            numbers[item] = orjson.loads(body)["number"]
        if kind in ("item_opened", "item_resumed"):
            newest[item] = ConversationId(conversation)
            begun.add(item)
        elif kind != "outcome_set_aside":
            begun.discard(item)
            if sequence not in set_aside:
                ended[item] = ConversationId(conversation)
    found = {item: ended.get(item, newest[item]) for item in newest if item in ended or item in begun}
    for item in wanted:
        if item not in found:
            hint = nearest(item, found)
            raise DeclarationError(f"the run has no item {item!r}{hint if 'did you mean' in hint else ''}")
    chosen = wanted or tuple(found)
    return iter([found[item] for item in sorted(chosen, key=numbers.__getitem__)])
