"""Runs of words that a prompt shares with an evaluation set."""

from collections.abc import Iterable
from functools import cache
from unicodedata import category, name
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from .shingles import Hashes, mixed, run_hashes

LONGEST = 13
"""Words of a run. With `SHORTEST` as in GPT-3's decontamination (Brown et al. 2020, arXiv 2005.14165, appendix C)."""
SHORTEST = 8
"""Evaluation prompts of fewer words share no run: too many people ask the same short thing."""
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""Scripts that put no space between words, by how Unicode names their letters: every letter counts as a word."""


class Runs:
    """The runs of words of evaluation prompts: of 13 words, or the whole prompt where it has 8 to 12.

    Holds 10 bytes a run of the evaluation sets, and nothing of the prompts that are looked up.
    """

    def __init__(self, prompts: Iterable[tuple[int, str]]) -> None:
        """Take the evaluation sets' prompts, normalised, each with the number of its set."""
        found: dict[int, list[tuple[int, Hashes]]] = {}
        for number, text in prompts:
            words = _words(text)
            length = min(LONGEST, words.size)
            if length >= SHORTEST:
                found.setdefault(length, []).append((number, _runs(words, length)))
        self._known = {length: _sorted(parts) for length, parts in sorted(found.items())}

    def __bool__(self) -> bool:
        return bool(self._known)

    def shared(self, text: str) -> int | None:
        """Return the number of the first evaluation set with which a normalised text shares a run."""
        words = _words(text)
        sets: list[int] = []
        for length, (known, number) in self._known.items():
            runs = _runs(words, length)
            place = np.minimum(np.searchsorted(known, runs), known.size - 1)
            hits = place[known[place] == runs]
            if hits.size:
                sets.append(int(number[hits].min()))
        return min(sets, default=None)


def _sorted(parts: list[tuple[int, Hashes]]) -> tuple[Hashes, NDArray[np.int16]]:
    """Return runs in order, each once, with the first set that has it."""
    runs = np.concatenate([part for _, part in parts])
    number = np.repeat(np.array([number for number, _ in parts], np.int16), [part.size for _, part in parts])
    unique, first = np.unique(runs, return_index=True)  # sets come in order, and of equal runs the first is named
    return unique, number[first]


def _runs(words: Hashes, length: int) -> Hashes:
    return mixed(run_hashes(words, length))


def _words(text: str) -> Hashes:
    """Return a number for each word: letters, marks and digits between anything else."""
    spaced = "".join(map(_spaced, text))
    words = [crc32(word.encode("utf-8", "surrogatepass")) for word in spaced.split()]
    return mixed(np.array(words, dtype=np.uint64))


@cache
def _spaced(character: str) -> str:
    if category(character)[0] not in "LMN":
        return " "
    return f" {character}" if name(character, "").startswith(UNSPACED) else character
