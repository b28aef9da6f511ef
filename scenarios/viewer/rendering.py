"""Pages out of templates: whatever comes from models, data and scenarios is text in them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ...runtime.printable import plain

HERE = Path(__file__).parent
FINE_USD = 0.001
"""Money below it is shown by two digits that count."""
SHORT_S = 0.1
"""Times below it are shown in milliseconds."""


def _finished(value: object) -> object:
    """Return what a template puts out: text without control characters and secrets, to be escaped."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_finished,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, *, status: int = 200, **facts: Any) -> web.Response:  # noqa: ANN401 - whatever it shows
    """Return a page."""
    return web.Response(
        status=status, text=rendered(template, status=status, **facts), content_type="text/html", charset="utf-8"
    )


def rendered(template: str, **facts: Any) -> str:  # noqa: ANN401 - whatever it shows
    """Return a template with facts put in."""
    return TEMPLATES.get_template(template).render(facts)


def address(run: str, place: str = "", **query: object) -> str:
    """Return the address of a page about a run; parts of the query that are None or empty are left out."""
    given = {name: str(value) for name, value in query.items() if value not in (None, "")}
    path = f"/r/{quote(run, safe='')}/{place}"
    return f"{path}?{urlencode(given)}" if given else path


def money(usd: float | None) -> str:
    """Return an amount with as many places as it needs; a dash where it is not known."""
    if usd is None:
        return "-"
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.4f}" if usd >= FINE_USD else f"${usd:.2g}"


def duration(seconds: float | None) -> str:
    """Return a time in the unit that suits it."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds >= SHORT_S else f"{1000 * seconds:.0f} ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def clock(time_s: float | None) -> str:
    """Return a moment, in UTC."""
    return "-" if time_s is None else f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S}"


def count(number: float | None) -> str:
    """Return a whole number with its thousands apart."""
    return "-" if number is None else f"{number:,.0f}"


TEMPLATES.filters.update(money=money, duration=duration, clock=clock, count=count)
GLOBALS = cast("dict[str, Any]", TEMPLATES.globals)
"""Names that every template has."""
GLOBALS["address"] = address
