"""What two prompts have in common: their pieces of a few characters, and how many of them they share."""

from typing import TypeAlias
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

Hashes: TypeAlias = NDArray[np.uint64]

CHARACTERS = 5
"""Length of a piece. Characters, not words: short prompts and languages that do without spaces have enough of them."""
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no character's place is lost


def normal(text: str) -> str:
    """Return a text as it is compared: Unicode's NFKC, small letters, white space as single spaces."""
    return " ".join(normalize("NFKC", normalize("NFKC", text).casefold()).split())


def shingles(text: str) -> Hashes:
    """Return the hashes of a normalised text's pieces, each once and in order; a shorter text is one piece."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    if codes.size < CHARACTERS:
        codes = np.pad(codes, (0, CHARACTERS - codes.size))
    hashes = np.sort(mixed(run_hashes(codes, CHARACTERS)))
    new = np.ones(hashes.size, dtype=bool)  # as np.unique finds them, at half its cost for so few
    np.not_equal(hashes[1:], hashes[:-1], out=new[1:])
    return hashes[new]


def run_hashes(values: Hashes, length: int) -> Hashes:
    """Return one number for each run of `length` values along the first axis: a polynomial modulo 2**64."""
    count = max(0, len(values) - length + 1)
    found = np.zeros((count, *values.shape[1:]), dtype=np.uint64)
    for place in range(length if count else 0):
        found = found * _BASE + values[place : place + count]
    return found


def mixed(values: Hashes) -> Hashes:
    """Return hashes with all bits spread: the last step of MurmurHash3, a bijection."""
    for factor in (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)):
        values = (values ^ (values >> np.uint64(33))) * factor
    return values ^ (values >> np.uint64(33))


def jaccard(one: Hashes, other: Hashes) -> float:
    """Return the share of all pieces of two texts that both have, 0 to 1."""
    both = np.intersect1d(one, other, assume_unique=True).size
    return both / (one.size + other.size - both)
