"""Text that may be shown: nothing in it that a terminal would obey, and no secrets."""

import re

from .secrecy import hide

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff\ufff9-\ufffb]"
)
"""What a terminal would obey (control characters, C1 included), what turns the order of letters around or breaks lines
unseen, and halves of characters, which cannot be written at all."""


def plain(text: str) -> str:
    """Return text without characters that a terminal would obey, and without secrets."""
    return obeyed_by_none(hide(text))


def obeyed_by_none(text: str) -> str:
    """Return text with a mark in place of every character that a terminal would obey; lines and tabs stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def escaped(document: str) -> str:
    """Return a JSON document, the same one, in which characters that a terminal would obey are written as escapes."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
