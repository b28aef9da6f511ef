"""The line that shows how a run goes: live on a terminal, now and then elsewhere; always on stderr."""

import time
from collections.abc import Iterable, Iterator

import anyio
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..runtime.models.leases import AdmissionState
from ..runtime.printable import plain
from .settings import Progress

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
            *([f"{progress.cost_usd:.2f} usd"] if progress.cost_usd else []),
            f"{rate:.2f}/s" if rate < 10 else f"{rate:.0f}/s",
            f"{_clock((progress.items - ended) / rate)} left" if rate else "… left",
        ]
        workers = progress.workers()
        if workers is not None and len(workers.there) != workers.wanted:
            parts.append(f"{len(workers.there)} of {workers.wanted} workers" if workers.wanted else "Ray is starting")
        parts.extend(_troubles(progress.admissions()))
        if progress.draining:
            parts.append("stopping when those in flight have ended; once more to stop at once")
        return Text(" · ".join(parts))


def _troubles(states: Iterable[AdmissionState]) -> Iterator[str]:
    """Return why calls wait, where they do."""
    for state in states:
        if state.broken:
            yield f"{state.endpoint} fails: {plain(state.why)[:60]}"
        elif state.held_s > 1:
            yield f"{state.endpoint} asks for {state.held_s:.0f} s"
        elif state.waiting and state.requests_per_minute is not None:
            yield f"{state.waiting} wait for {state.requests_per_minute:,.0f} requests a minute"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
