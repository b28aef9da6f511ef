"""Logs as events with facts: human lines on a terminal, JSON lines for machines; always on stderr."""

import logging
import sys
from typing import TextIO

import structlog


def configure(*, json: bool = False, level: int = logging.WARNING, stream: TextIO | None = None) -> None:
    """Set up structlog for this process; the command line does this, a library user may do as they like.

    Args:
        json: One JSON object a line, else lines for people.
        level: The least level that is shown.
        stream: Where to; stderr if not given.
    """
    sink = stream or sys.stderr
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sink.isatty())
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
        logger_factory=structlog.PrintLoggerFactory(sink),
        cache_logger_on_first_use=False,
    )
