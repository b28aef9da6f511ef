"""The line that shows how a run goes: live on a terminal, now and then elsewhere; always on stderr."""

import time

import anyio
from rich.console import Console
from rich.live import Live
from rich.text import Text

from .run import Progress

EVERY_S = 0.25
ELSEWHERE_EVERY_S = 10.0


class ProgressLine:
    """Shows a run's progress until it is cancelled."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._began_s = time.monotonic()

    def watch(self, progress: Progress) -> None:
        """Show this progress."""
        self._progress = progress
        self._began_s = time.monotonic()

    async def show(self) -> None:
        """Show the line until cancelled."""
        if not self._console.is_terminal:
            while True:
                await anyio.sleep(ELSEWHERE_EVERY_S)
                self._console.print(self.line())
        with Live(self.line(), console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(self.line(), refresh=True)
                await anyio.sleep(EVERY_S)

    def line(self) -> Text:
        """Return the line as it is now."""
        progress = self._progress
        if progress is None:
            return Text("getting ready …", style="dim")
        ended = progress.done + progress.failed
        seconds = max(time.monotonic() - self._began_s, 1e-9)
        rate = (ended - progress.earlier) / seconds
        parts = [
            f"{ended}/{progress.items} items",
            f"{progress.in_flight} in flight",
            f"{progress.failed} failed",
            f"{progress.calls} calls",
            f"{progress.tokens:,} tokens",
            f"{rate:.2f}/s" if rate < 10 else f"{rate:.0f}/s",
            f"{_clock((progress.items - ended) / rate)} left" if rate else "… left",
        ]
        if progress.draining:
            parts.append("stopping when those in flight have ended; once more to stop at once")
        return Text(" · ".join(parts))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
