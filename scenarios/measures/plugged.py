"""Measures that plugins bring: what they return, and how a report has it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...protocols.errors import PluginFailed
from ...protocols.registry import Registry


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Figure(_Closed):
    """A figure, how sure it is, and how that was found out."""

    value: float | None = Field(allow_inf_nan=False)
    """None where the data do not say."""
    ci: tuple[float, float] | None = None
    """95 %; None where the data do not say."""
    n: int = Field(ge=0)
    """Votes, items or pairs that it is of."""
    method: str = Field(min_length=1)
    """Of the interval, as in `Wilson score interval`."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.ci is not None and not self.ci[0] <= self.ci[1]:
            raise ValueError(f"the interval ends before it begins: {self.ci[0]:g} to {self.ci[1]:g}")
        return self


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure as it is registered."""

    figures: Callable[[Any], Mapping[str, Figure]]
    """Takes what it is of; raises PluginFailed where it breaks."""
    of: Literal["ratings", "run"]
    """Ratings, or the LogReader of a run."""
    version: int = 1
    about: str = ""


MEASURES: Registry[Measure] = Registry("measure", {})
"""What plugins bring; the package's own have commands of their own."""


class Measured(_Closed):
    """What a measure came to."""

    measure: str
    plugin: str | None
    """Who has brought it."""
    version: int
    about: str
    figures: dict[str, Figure]
    """By the names it gives them; by an empty one where there is one figure only."""
    failed: str | None = None
    """Why there are none, where it broke."""


def measured(name: str, source: object) -> Measured:
    """Return what a measure comes to.

    Args:
        name: Its name.
        source: What it is of.

    Raises:
        UnknownName: there is none of that name.
        PluginFailed: it broke.
    """
    measure = MEASURES[name]
    figures = dict(measure.figures(source))
    return Measured(
        measure=name, plugin=MEASURES.owner(name), version=measure.version, about=measure.about, figures=figures
    )


def all_measured(sources: Mapping[Literal["ratings", "run"], object]) -> tuple[Measured, ...]:
    """Return what all measures come to of which there is a source; one that breaks says so in its place."""
    return tuple(_tried(name, sources[MEASURES[name].of]) for name in MEASURES if MEASURES[name].of in sources)


def _tried(name: str, source: object) -> Measured:
    try:
        return measured(name, source)
    except PluginFailed as error:
        measure = MEASURES[name]
        return Measured(
            measure=name,
            plugin=MEASURES.owner(name),
            version=measure.version,
            about=measure.about,
            figures={},
            failed=str(error),
        )
