"""Tests in virtual time: hours pass in no time, and every wait ends in order."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from fellowship.runtime.testing.simulated import VirtualTimeLoop


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in a loop of its own, whose time passes only when nothing can run."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


def now_s() -> float:
    """Return the seconds that have passed in this test."""
    return asyncio.get_running_loop().time()
