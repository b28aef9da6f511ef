"""Which split a prompt is in: found from its text and a seed alone."""

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate

from ...protocols.errors import DeclarationError
from .prompts import normalised

TRAIN = "train"
"""What the shares of all others leave."""
NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
RESERVED = ("all",)
"""What `datasets` means by a word of its own."""


def read_splits(texts: Sequence[str]) -> dict[str, float]:
    """Read `NAME=SHARE` each, as in `test=0.1`; raises DeclarationError where one is wrong, or they leave nothing."""
    shares: dict[str, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        if name == TRAIN:
            raise DeclarationError(f"--split {text}: {TRAIN} is what the others leave; name the others")
        if not NAME.fullmatch(name) or name in RESERVED:
            raise DeclarationError(f"--split {text}: write NAME=SHARE, as in test=0.1; a name is letters and digits")
        if name in shares:
            raise DeclarationError(f"--split names {name!r} twice")
        shares[name] = _share(text, share)
    if sum(shares.values()) >= 1:
        raise DeclarationError(f"--split: the shares come to {sum(shares.values()):g}, and leave nothing for {TRAIN}")
    return shares


def _share(text: str, share: str) -> float:
    try:
        number = float(share)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise DeclarationError(f"--split {text}: a share is a number above 0 and below 1, as in test=0.1")
    return number


class Splits:
    """Splits by share.

    A prompt's place between 0 and 1 comes of its normalised text and the seed. So prompts that are the same are in the
    same split, in every data set, and none moves when others come.
    """

    def __init__(self, shares: Mapping[str, float], seed: int = 0) -> None:
        named = sorted(shares.items())
        self.names = (TRAIN, *(name for name, _ in named))
        """`train` first, the others by name."""
        self._bounds = [int(bound * 2**64) for bound in accumulate(share for _, share in named)]
        self._seed = f"{seed}\n".encode()

    def of(self, text: str) -> int:
        """Return the place in `names` of the split that a prompt is in."""
        digest = blake2b(self._seed + normalised(text).encode(), digest_size=8).digest()
        found = int.from_bytes(digest, "big")
        return next((place for place, bound in enumerate(self._bounds, 1) if found < bound), 0)
