"""A conversation made ready for a page, and the words that its template puts together."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any

from ...protocols.identity import ConversationId
from ...runtime.log import LogReader
from ..placed import placed
from ..remarks import remark
from ..sharing.members import casts
from ..traces.talk import Effort, Talk, fold
from ..traces.transcript import did, words
from .lanes import COLOURS, Cell, Sheet, laid_out, opinion, spots
from .polls import Matrix, matrices
from .rendering import GLOBALS, TEMPLATES, duration, money

FOLDED_AFTER = 12
"""Lines of a message that are shown; the rest is unfolded on request."""
LINE = 56
"""Characters that are reckoned for a line."""
SPARED = 4
"""Lines for whose sake nothing is folded."""
SHORT_ITEM = 900
"""Characters up to which an item is shown unfolded."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A conversation, laid out."""

    talk: Talk
    sheet: Sheet
    matrices: tuple[Matrix, ...]
    effort: Effort
    messages: int
    agents: frozenset[str]

    @property
    def short(self) -> bool:
        """Whether the item is shown unfolded."""
        item = self.talk.item
        texts = (item.prompt, *(each.text for each in item.candidates), *(said.content for said in item.history))
        return sum(map(len, texts)) <= SHORT_ITEM

    def heard(self, cell: Cell) -> str:
        """Return who listens to a message, in words."""
        names = dict.fromkeys(cell.turn.heard_by if cell.turn else ())
        others = self.agents - {cell.agent}
        if not names:
            return "nobody hears it"
        if len(others) > 1 and frozenset(names) == others:
            return "→ all others" if len(others) > 2 else "→ both others"
        return f"→ {', '.join(names)}"


def read(log: LogReader, conversation: ConversationId) -> Reading:
    """Return a conversation for a page; raises DeclarationError where the log has none of that name."""
    talk = fold(log, conversation)
    noted = log.meta("played")
    record: dict[str, Any] = {} if noted is None else json.loads(noted)
    variant = talk.item.variant
    record = record.get("variants", {}).get(variant, {}) if "variants" in record else record
    known = casts(log)
    steps = placed(record["scenario"]) if "scenario" in record else ()
    sheet = laid_out(talk, known.get(variant) or known.get(None), steps)
    return Reading(
        talk=talk,
        sheet=sheet,
        matrices=matrices(talk, [each.name for lane in sheet.lanes for each in lane.members]),
        effort=talk.effort,
        messages=sum(turn.said for turn in talk.turns),
        agents=frozenset(talk.agents),
    )


def folded(text: str) -> tuple[str, str, int]:
    """Return what is shown of a text, what is folded away, and about how many lines that is."""
    lines = 0
    end = 0
    for line in text.splitlines(keepends=True):
        tall = max(1, ceil(len(line.rstrip("\n")) / LINE))
        if lines + tall > FOLDED_AFTER:
            break
        lines += tall
        end += len(line)
    else:
        return text, "", 0
    within = end + (FOLDED_AFTER - lines) * LINE
    space = text.rfind(" ", end, within)
    newline = text.find("\n", end, within)
    end = newline + 1 if newline >= 0 else space + 1 if space > end else max(end, within)
    rest = text[end:]
    left = sum(max(1, ceil(len(line) / LINE)) for line in rest.splitlines())
    return (text, "", 0) if left <= SPARED else (text[:end].rstrip("\n"), rest, left)


def effort(took: Effort) -> str:
    """Return what it took to say something, in words."""
    if took.earlier and not took.calls:
        return "answered before"
    usage = took.usage
    calls = f"{took.calls} calls" if took.calls != 1 else ""
    tries = f"{took.attempts} attempts" if took.attempts != took.calls else ""
    cost = money(took.cost_usd) if took.cost_usd else ""
    parts = (calls, tries, f"{usage.input_tokens:,}+{usage.output_tokens:,} tokens", duration(took.seconds), cost)
    return " · ".join(part for part in parts if part)


def pretty(document: object) -> str:
    """Return a document as JSON that a person can read."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)


def heat_classes(cell: Cell) -> str:
    """Return the classes of a message by what it took: `hc3` is the fourth step of cost, `ht` tokens, `hs` seconds."""
    return " ".join(f"h{what[0]}{heat}" for what, heat in cell.heats)


def iso(time_s: float) -> str:
    """Return a moment as machines read it."""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")


FILTERS: dict[str, Callable[..., Any]] = {
    "iso": iso,
    "did": did,
    "words": words,
    "folded": folded,
    "effort": effort,
    "pretty": pretty,
    "heat": heat_classes,
    "opinion": opinion,
}
"""What the templates of conversations and messages call by `|`."""
TEMPLATES.filters |= FILTERS
GLOBALS.update(remark=remark, spots=spots, colours=COLOURS)
