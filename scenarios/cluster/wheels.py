"""Wheels on their way to a cluster: Ray tells them apart by their names, and keeps the first of a name."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

PARTS = 5
"""Of a wheel's name that has no build tag: distribution, version, Python, ABI, platform."""


@contextmanager
def told_apart(wheel: Path) -> Generator[Path, None, None]:
    """Give a copy of a wheel whose build tag says what is in it, so that one made anew is installed anew."""
    parts = wheel.stem.split("-")
    if len(parts) < PARTS:  # pip says what is wrong
        yield wheel
        return
    tag = f"0{blake2b(wheel.read_bytes(), digest_size=8).hexdigest()}"  # a build tag begins with a digit
    with tempfile.TemporaryDirectory(prefix="fellowship-") as folder:
        copy = Path(folder, f"{'-'.join((*parts[:2], tag, *parts[-3:]))}{wheel.suffix}")
        shutil.copyfile(wheel, copy)
        yield copy
