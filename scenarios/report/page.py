"""A report as one page of HTML: no script, nothing from elsewhere, all text as text."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ...runtime.printable import plain
from ..tables.report import sections
from ..tables.run_facts import title, warnings
from .plots.drawn import plots
from .report import Report

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters["plain"] = plain


def page(report: Report) -> str:
    """Return a report as a page; the same report gives the same bytes."""
    return TEMPLATES.get_template("page.html").render(
        title=title(report),
        state=None if report.run is None else report.run.status.state,
        warnings=warnings(report),
        sections=sections(report),
        plots=plots(report),
    )
