"""What every declaration is, and the parameter: a value of a scenario that may be chosen for each run."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ..protocols.errors import nearest

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Declared(BaseModel):
    """What a file says: frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )


def _one_value(value: object) -> object:
    if isinstance(value, str | int | float):  # a bool is an int
        return value
    raise PydanticCustomError("one_value", "must be one value: text, a number, true or false")


Scalar = Annotated[str | int | float | bool, BeforeValidator(_one_value)]


class Parameter(Declared):
    """A value that may be chosen for each run: `$NAME` stands for it in the scenario."""

    about: str = ""
    """What it says."""
    default: Scalar
    """Its value where none is chosen; --set NAME=VALUE chooses. Of several `choices`, the name of one."""
    choices: dict[Name, Any] = Field(default_factory=dict[str, Any])
    """What it may be, and what stands in its place then: a value or a list of them."""
    least: float | None = None
    """Of a number."""
    most: float | None = None
    """Of a number."""

    @property
    def value(self) -> Any:  # noqa: ANN401 - whatever a document may hold
        """Return what stands in its place."""
        return self.choices[str(self.default)] if self.choices else self.default

    @property
    def range(self) -> str:
        """Return in words what it may be; empty where that is not said."""
        if self.choices:
            return ", ".join(self.choices)
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        if self.least is not None:
            return f"{self.least:g} or more"
        return "" if self.most is None else f"{self.most:g} or less"

    def wrong(self, like: object = None) -> str | None:
        """Return what is wrong with its value; `like` is one of the kind it must be of."""
        value = self.default
        if self.choices:
            known = f"unknown choice {str(value)!r}{nearest(str(value), self.choices)}"
            return None if str(value) in self.choices else known
        if like is not None and _kind(value) != _kind(like) and (_kind(value), _kind(like)) != ("a number", "text"):
            return f"must be {_kind(like)}, as {like!r} is, not {value!r:.60}"
        if isinstance(like, int) and not isinstance(like, bool) and isinstance(value, float):
            return f"must be a whole number, as {like!r} is, not {value!r}"
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if self.least is not None and value < self.least:
                return f"must be {self.least:g} or more, not {value:g}"
            if self.most is not None and value > self.most:
                return f"must be {self.most:g} or less, not {value:g}"
        return None


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, (int, float)) else "text"
