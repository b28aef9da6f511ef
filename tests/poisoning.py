"""Runs in which every text is hostile: whatever a model, a data file or a scenario can fill, and what they cannot."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zlib import crc32

from pydantic import TypeAdapter, ValidationError

from fellowship.protocols.events import Event, LoggedMessage, known_kinds
from fellowship.runtime.log import LogReader

MARK = "<img src=x onerror=alert(1)>"
"""Stands in every hostile text, for a test to find it."""
ENDINGS = (
    f"\"'>{MARK}<script>alert(1)</script>",
    f"</title></style></textarea></script>{MARK}<svg onload=alert(1)>",
    f"{{{{7777*7}}}}{{% raw %}}{MARK}]]><!--",
    f"\x1b[31m\x00\u202e\u2028{MARK}\r\n\r\n<base href=//evil.example>",
    f"&lt;script&gt;&#60;script&#62;{MARK}' onmouseover='alert(1)' style='color:red",
    f"#?&=%2F%00/../..//{MARK}<a href=javascript:alert(1)>",
)
BEGINNING = "javascript:alert(1)//"
"""Of every hostile text: where one is an address, it is this one."""
NUMBERED = re.compile(r"(.+)([~/])(\d+)", re.DOTALL)
"""A conversation of an item, or a draft of a writer."""
WORDS = frozenset(
    {"kind", "gives", "takes", "for", "order", "strategy", "orders", "role", "pick", "decide", "reconcile"}
)
"""Keys of what was played whose values are words of the language."""

_adapter: TypeAdapter[Any] = TypeAdapter(LoggedMessage)


def hostile(text: str) -> str:
    """Return a text made hostile: always the same for the same text."""
    numbered = NUMBERED.fullmatch(text)
    if numbered is not None:
        return f"{hostile(numbered[1])}{numbered[2]}{numbered[3]}"
    return f"{BEGINNING}{text}{ENDINGS[crc32(text.encode()) % len(ENDINGS)]}"


def poison(run: Path) -> Path:
    """Make every text of a run hostile, and the name of its directory; returns the directory."""
    with LogReader(run / "run.db") as log:
        events = list(log.events())
    with closing(sqlite3.connect(run / "run.db")) as database:
        texts: dict[str, str] = {}
        for digest, text in database.execute("SELECT digest, text FROM texts").fetchall():
            changed = hostile(text)
            texts[digest] = blake2b(changed.encode(), digest_size=16).hexdigest()
            database.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (texts[digest], changed))
        for event in events:
            names = ",".join(hostile(name) for name in event.recipients)
            told = hostile(event.conversation) if event.conversation else ""
            row = (told, hostile(event.sender), names, _body(event, texts), event.sequence)
            fields = "conversation = ?, sender = ?, recipients = ?, body = ?, text_digest = NULL"
            database.execute(f"UPDATE events SET {fields} WHERE sequence = ?", row)  # noqa: S608 - constants
        for key, value in database.execute("SELECT key, value FROM meta WHERE key = 'played'").fetchall():
            content = _changed(json.loads(value), lambda text: hostile(text) if " " in text or "/" in text else text)
            database.execute("UPDATE meta SET value = ? WHERE key = ?", (json.dumps(content), key))
        database.commit()
    hidden = run.with_name(f"{run.name}\"'><img src=x onerror=alert(1)>{{{{7777*7}}}}&#60;%2e%2e ~")
    return run.rename(hidden)


def _body(event: Event, texts: dict[str, str]) -> str:
    """Return the body of an event with every text hostile that is not a word of the language."""
    body: dict[str, Any] = json.loads(event.body)
    changed: dict[str, Any] = _changed(body, lambda text: texts.get(text) or hostile(text))
    changed["kind"] = event.kind
    if event.kind not in known_kinds():
        return json.dumps(changed)
    while True:
        try:
            _adapter.validate_python(changed, strict=False)
        except ValidationError as error:
            for found in error.errors():
                _put_back(changed, body, found["loc"][1:])
        else:
            return json.dumps(changed)


def _put_back(changed: Any, body: Any, place: tuple[int | str, ...]) -> None:
    for key in place[:-1]:
        if not isinstance(changed, dict | list) or (key not in changed and not isinstance(key, int)):
            break
        changed, body = changed[key], body[key]
    last = place[-1]
    assert changed[last] != body[last], f"{place} is not valid, and it is not of our making"
    changed[last] = body[last]


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(part, change) for part in value]
    if isinstance(value, dict):
        return {name: part if name in WORDS else _changed(part, change) for name, part in value.items()}
    return value
