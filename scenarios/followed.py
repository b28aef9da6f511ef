"""A process that sends a run by OTLP while it is being played; the run has it started, and ended, and pays nothing."""

import os
import shlex
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.text import Text

from ..runtime.printable import plain
from ..runtime.telemetry.exporting import PATIENCE_AFTER_S
from . import terminal
from .directory import LOG
from .traced import URL, SentRun, Tracing, newest_event

MORE_S = 10.0
"""How much longer than its own patience a follower is waited for: a slow machine may only just have started it."""


@contextmanager
def followed(out: Path, tracing: Tracing) -> Generator[None, None, None]:
    """Have a run sent from now on, until the block ends and a while after; tells on stderr what became of it.

    A signal to the run does not reach the follower: it ends when the run has, or when its owner is no more.

    Args:
        out: The run's directory.
        tracing: Where to, and what is said.
    """
    flags = [name for name, wanted in _flags(tracing) if wanted]
    words = ["export", str(out), "--format", "otlp", *flags]
    environ = {
        **os.environ,
        URL: tracing.url or "",
    }  # it may have a key in it, and everybody can read a command's words
    follower = subprocess.Popen(  # noqa: S603 - this package's own command
        [sys.executable, "-m", f"{__package__}.following", str(out), str(newest_event(out / LOG)), *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        start_new_session=True,
    )
    try:
        yield
    finally:
        _tell(_ended(follower), words)


def _flags(tracing: Tracing) -> Sequence[tuple[str, bool]]:
    return (("--content", tracing.content), ("--openinference", tracing.openinference))


def _ended(follower: subprocess.Popen[bytes]) -> tuple[bytes, str | None]:
    """Let a follower know that the run has ended; returns what it says, and why it did not get to that."""
    try:
        said, errors = follower.communicate(timeout=PATIENCE_AFTER_S + MORE_S)
    except subprocess.TimeoutExpired:
        return b"", f"it was not done {PATIENCE_AFTER_S + MORE_S:g} s after the run"
    except BaseException:
        follower.kill()
        follower.wait()
        raise
    finally:
        if follower.poll() is None:
            follower.kill()
            follower.communicate()
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return said, None if said else (lines[-1] if lines else f"it left with exit code {follower.returncode}")


def _tell(outcome: tuple[bytes, str | None], words: Sequence[str]) -> None:
    said, why = outcome
    if why is None:
        found = SentRun.model_validate_json(said)
        why = "; ".join(found.losses())
        if not why:
            what = f"{found.spans:,} spans and {found.events:,} events sent to {', '.join(found.to)}"
            terminal.err().print(Text(plain(f"fellowship: {what}"), style="dim"), soft_wrap=True)
            return
    again = " ".join(shlex.quote(word) for word in ("fellowship", *words))
    warning = (
        f"fellowship: the run was not sent as a whole: {why}. `{again}` sends it, with --endpoint or {URL} as here"
    )
    terminal.err().print(Text(plain(warning), style="yellow"), soft_wrap=True)
