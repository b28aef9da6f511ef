"""The event loop of a command: uvloop's where it is installed (extra `fast`), else asyncio's own."""

from importlib.util import find_spec
from typing import Final

BACKEND: Final = {"use_uvloop": find_spec("uvloop") is not None}
"""Options for `anyio.run`."""
