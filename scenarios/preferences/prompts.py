"""A prompt as a text: what it is compared by, and its digests."""

import unicodedata
from collections.abc import Sequence
from hashlib import blake2b, sha256

from ...protocols.items import Turn
from .pair import Pair


def request_of(pair: Pair) -> tuple[Turn, ...]:
    """Return the messages of the item that a pair is about, which are the same for all data made of it."""
    return pair.request or pair.prompt


def text_of(turns: Sequence[Turn]) -> str:
    """Return messages as one text: a single one of the user's as it is, several each after its role."""
    if len(turns) == 1 and turns[0].role == "user":
        return turns[0].content
    return "\n\n".join(f"{turn.role}: {turn.content}" for turn in turns)


def normalised(text: str) -> str:
    """Return a text by which prompts are held to be one: NFKC, case folded, white space collapsed."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def prompt_id(text: str) -> str:
    """Return the SHA-256 of a prompt, as the alignment handbook's data sets have it."""
    return sha256(text.encode()).hexdigest()


def key(*texts: str) -> int:
    """Return 64 bits that stand for texts, never 0.

    Of a million different ones two share them once in 37 million times.
    """
    digest = blake2b(digest_size=8)
    for text in texts:
        encoded = text.encode()
        digest.update(b"%d\n" % len(encoded))
        digest.update(encoded)
    return int.from_bytes(digest.digest(), "big") or 1


def prompt_key(turns: Sequence[Turn]) -> int:
    """Return 64 bits that stand for a prompt, message by message."""
    return key(*(part for turn in turns for part in (turn.role, turn.content)))
