"""Words that are looked for: how a text is read as a search, and what is found and shown of it."""

import re
import sqlite3
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from ...protocols.events import Event
from ...protocols.identity import ConversationId
from ...runtime.log import LogReader
from .listing import Found, Hit
from .words import words_of

TERM = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))')
"""A word, or words in quotes, which may lack the last one; with a dash before those that must not stand there."""
MOST = 100
"""Words of a search; those after are looked for in no other way than by the last of these."""
FOUND = "SELECT rowid FROM found WHERE found MATCH ?"
OPEN, CLOSE = "\x01", "\x02"
"""Put by SQLite around what was found; texts have none of them any more by then."""
MASKED = str.maketrans(dict.fromkeys((OPEN, CLOSE, "\0"), "\N{REPLACEMENT CHARACTER}"))
"""What a text must not have in it: the marks, and the character at which SQLite takes it to be over."""
BEFORE, EXCERPT = 60, 240
"""Characters of an excerpt: before the first word found, and in all."""
COMMON = 20_000
"""Messages found from which on the newest come first: to weigh them all would take longer than anybody waits."""


@dataclass(frozen=True, slots=True)
class Search:
    """A text, read as a search."""

    wanted: tuple[str, ...] = ()
    """As FTS5 writes them; each must stand there."""
    unwanted: tuple[str, ...] = ()
    asked: bool = False
    """Whether there was anything in the text but blanks."""

    @property
    def match(self) -> str | None:
        """What FTS5 is asked; none where nothing can be found, or words are only excluded."""
        if not self.wanted:
            return None
        wanted = " AND ".join(self.wanted)
        return f"({wanted}) NOT ({' OR '.join(self.unwanted)})" if self.unwanted else wanted

    def where(self, column: str) -> tuple[str, list[str]] | None:
        """Return a condition on the sequence of messages; none where nothing can be found."""
        if self.match is not None:
            return f"{column} IN ({FOUND})", [self.match]
        if self.unwanted:
            return f"{column} NOT IN ({FOUND})", [" OR ".join(self.unwanted)]
        return None


def read(text: str) -> Search:
    """Read a text as a search; no text is a mistake.

    Words in quotes stand together; `-word` excludes; a word that ends in `*` stands for all that begin with it. What
    has no letter or digit in it, such as `&`, is no word.
    """
    wanted: list[str] = []
    unwanted: list[str] = []
    text = text.encode("utf-8", "replace").decode().replace("\0", " ")
    for dash, phrase, word in TERM.findall(text):
        words = phrase or word
        if any(map(_is_token, words)):
            beginning = not phrase and word.endswith("*") and _is_token(word.rstrip("*")[-1:])
            (unwanted if dash else wanted).append(f'"{words.rstrip("*") if beginning else words}"{" *" * beginning}')
    return Search(tuple(wanted[:MOST]), tuple(unwanted[:MOST]), bool(text.strip()))


def _is_token(character: str) -> bool:
    """Return whether SQLite's unicode61 takes a character for a part of a word."""
    return bool(character) and (unicodedata.category(character)[0] in "LN" or unicodedata.category(character) == "Co")


def search(db: sqlite3.Connection, log: LogReader, text: str, offset: int, limit: int) -> Found:
    """Return messages that are found, the best first, or where there are very many, the newest first."""
    asked = read(text)
    condition = asked.where("sequence")
    if condition is None:
        return Found(0, ())
    match = asked.match
    if match is None:
        where, values = condition
        total = int(db.execute(f"SELECT count(*) FROM messages WHERE {where}", values).fetchone()[0])  # noqa: S608 - own words
        query = f"SELECT sequence FROM messages WHERE {where} ORDER BY sequence DESC LIMIT ? OFFSET ?"  # noqa: S608 - own words
    else:
        total, values = (
            int(db.execute("SELECT count(*) FROM found WHERE found MATCH ?", (match,)).fetchone()[0]),
            [match],
        )
        order = "rank, rowid" if total <= COMMON else "rowid DESC"
        query = f"SELECT rowid FROM found WHERE found MATCH ? ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608 - own words
    sequences = [int(sequence) for (sequence,) in db.execute(query, (*values, limit, offset))]
    return Found(total, tuple(_hits(db, log, sequences, match)))


def _hits(db: sqlite3.Connection, log: LogReader, sequences: list[int], match: str | None) -> Iterable[Hit]:
    texts = {event.sequence: _words(event).translate(MASKED) for event in log.at(sequences)}
    marked = _marked(texts, match)
    about = (
        "SELECT conversation, item, speaker, kind, round FROM messages JOIN talks ON talks.id = talk WHERE sequence = ?"
    )
    for sequence in sequences:
        row: tuple[Any, ...] | None = db.execute(about, (sequence,)).fetchone()
        if row is not None:
            conversation, item, speaker, kind, round_ = row
            excerpt, marks = _excerpt(marked.get(sequence, ""))
            yield Hit(sequence, ConversationId(conversation), item, speaker, kind, round_, excerpt, marks)


def _words(event: Event) -> str:
    return words_of(event.kind, orjson.loads(event.body))


def _marked(texts: dict[int, str], match: str | None) -> dict[int, str]:
    """Return texts in which what was found stands between marks; SQLite finds it as it did before."""
    if match is None or not texts:
        return texts
    with sqlite3.connect(":memory:") as memory:
        memory.execute("CREATE VIRTUAL TABLE shown USING fts5 (words, tokenize='unicode61 remove_diacritics 2')")
        memory.executemany("INSERT INTO shown (rowid, words) VALUES (?, ?)", texts.items())
        query = "SELECT rowid, highlight(shown, 0, ?, ?) FROM shown WHERE shown MATCH ?"
        found = dict(memory.execute(query, (OPEN, CLOSE, match)).fetchall())
    memory.close()
    return {**texts, **found}


def _excerpt(marked: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return the part of a marked text around the first mark, and where the marks are in it."""
    text = marked.replace(OPEN, "").replace(CLOSE, "")
    places = [place for place, character in enumerate(marked) if character in (OPEN, CLOSE)]
    bare = [place - number for number, place in enumerate(places)]
    marks = list(zip(bare[::2], bare[1::2], strict=False))
    start = max(0, marks[0][0] - BEFORE) if marks else 0
    if start:
        blank = text.find(" ", start, marks[0][0])
        start = blank + 1 if blank >= 0 else start
    excerpt = text[start : start + EXCERPT]
    inside = ((low - start, min(high - start, len(excerpt))) for low, high in marks)
    return excerpt, tuple((low, high) for low, high in inside if low < len(excerpt))
