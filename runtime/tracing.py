"""Logs as events with facts: human lines on a terminal, JSON lines for machines; always on stderr.

Every line says where it belongs by ids: run, item, conversation, agent, call, as far as it is within one. A scope holds
them, and is handed on with the context of a task. They are facts of the event, so that whoever has set up structlog in
another way is told the same. What nobody listens to costs the look at a number.
"""

import logging
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

from .printable import plain
from .secrecy import hidden, hide


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


def hand_over(take: Callable[[str, str, dict[str, object]], None], *, least: int) -> None:
    """Set up structlog for a process whose lines are shown by another.

    Args:
        take: Is called with level, event and facts of every line.
        least: The least level that is told.
    """

    def taken(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        del logger
        told = dict(event)
        take(name, str(told.pop("event", "")), told)
        raise structlog.DropEvent

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            _plainly,
            taken,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        cache_logger_on_first_use=False,
    )


def tell(level: str, event: str, facts: dict[str, object]) -> None:
    """Show a line that another process has handed over."""
    getattr(logger(), level)(event, **facts)


Log = structlog.typing.FilteringBoundLogger


class Scope:
    """What events belong to: ids, from the run inwards; never changed once it is made."""

    __slots__ = ("ids", "least", "shows_all", "shows_items")

    def __init__(self, least: int, ids: dict[str, str]) -> None:
        self.least = least
        """The least level that anybody listens to, as far as is known."""
        self.ids = ids
        self.shows_items = least <= logging.INFO
        """Whether anybody listens to more than warnings."""
        self.shows_all = least <= logging.DEBUG
        """Whether anybody listens to every message and call: else their facts need not be gathered."""

    def within(self, **ids: str) -> "Scope":
        """Return a scope inside this one."""
        return Scope(self.least, {**self.ids, **ids})

    def debug(self, event: str, /, **facts: object) -> None:
        """Tell of a message or a call."""
        if self.shows_all:
            logger().debug(event, **_plainly(None, "", {**self.ids, **facts}))

    def info(self, event: str, /, **facts: object) -> None:
        """Tell of an item, or of something as rare."""
        if self.shows_items:
            logger().info(event, **_plainly(None, "", {**self.ids, **facts}))

    def warning(self, event: str, /, **facts: object) -> None:
        """Tell of what somebody should look at."""
        logger().warning(event, **_plainly(None, "", {**self.ids, **facts}))


_NOWHERE = Scope(logging.NOTSET, {})
_SCOPE: ContextVar[Scope] = ContextVar("_SCOPE", default=_NOWHERE)


scope: Callable[[], Scope] = _SCOPE.get
"""Returns where this task is; outside of any run that is nowhere, and the logger itself decides what it shows."""
enter: Callable[[Scope], object] = _SCOPE.set
"""Be in a scope from now on, in this task and those it starts; whoever enters one goes back in the end."""


def outermost() -> Scope:
    """Return a scope without ids, for what is listened to now."""
    log = logger()
    try:
        return Scope(log.get_effective_level(), {})
    except AttributeError:  # a logger of another make: it takes everything, and drops what it likes
        return _NOWHERE


@contextmanager
def unheard() -> Generator[None, None, None]:
    """Tell of nothing but warnings while the block lasts: what happens in it is only tried out."""
    around = _SCOPE.get()
    _SCOPE.set(Scope(logging.WARNING, around.ids))
    try:
        yield
    finally:
        _SCOPE.set(around)


@contextmanager
def within(**ids: str) -> Generator[Scope, None, None]:
    """Be inside the present scope, with more ids, while the block lasts."""
    around = _SCOPE.get()
    inner = (outermost() if around is _NOWHERE else around).within(**ids)
    _SCOPE.set(inner)
    try:
        yield inner
    finally:
        _SCOPE.set(around)


def logger() -> Log:
    """Return the process's logger; where nobody has set one up, this does, for warnings."""
    if not structlog.is_configured():
        configure()
    log: Log = structlog.get_logger()
    return log
