"""Logs as events with facts: human lines on a terminal, JSON lines for machines; always on stderr."""

import logging
import sys

import structlog


class _Stderr:
    """Whatever stderr is at the moment: a live display puts itself in its place."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(*, json: bool = False, level: int = logging.WARNING) -> None:
    """Set up structlog for this process; the command line does this, a library user may do as they like.

    Args:
        json: One JSON object a line, else lines for people.
        level: The least level that is shown.
    """
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(_Stderr()),  # type: ignore[arg-type]  # it writes and flushes
        cache_logger_on_first_use=False,
    )


Log = structlog.typing.FilteringBoundLogger


def logger() -> Log:
    """Return the process's logger; where nobody has set one up, this does, for warnings."""
    if not structlog.is_configured():
        configure()
    log: Log = structlog.get_logger()
    return log
