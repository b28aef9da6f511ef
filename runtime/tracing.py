"""Logs as events with facts: human lines on a terminal, JSON lines for machines; always on stderr."""

import logging
import os
import re
import sys

import structlog

from .secrecy import hidden, hide

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Return text without characters that a terminal would obey, and without secrets."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", hide(text))


def _plainly(
    logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Make every fact of an event plain: words of models and data may be among them."""
    del logger, name
    return {key: plain(value) if isinstance(value, str) else _shown(value) for key, value in event.items()}


def _shown(value: object) -> object:
    """Return a fact without secrets; one that is neither text nor a document becomes text where there is one in it."""
    text = repr(value)
    return hidden(value) if isinstance(value, list | tuple | dict) else value if hide(text) == text else hide(text)


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
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=coloured)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _plainly,
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
