"""What agents want their models to answer, and the strict reading of it.

A reply is read whole or not at all: one JSON object with exactly the fields that were asked for, scores within their
range. Nothing is guessed, clamped or picked out of running text, and no rule looks at A before B.
"""

import json
import re
from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ..protocols.errors import ExecutionError
from ..protocols.judging import Verdict
from ..protocols.models import AnswerSchema, Completion

THOUGHT = re.compile(r"\A<think>.*?</think>\s*", re.DOTALL)
"""What a reasoning model thinks before its answer, where the endpoint leaves it in."""
FENCED = re.compile(r"\A```(?:json)?\s*\n(.*)\n\s*```\Z", re.DOTALL)


class Reply(BaseModel):
    """A typed answer; reasons stand before verdicts and scores, so that they come first."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class DirectReply(Reply):
    """Which of two answers is better."""

    reason: str
    """Why, in a few sentences."""
    verdict: Literal["A", "B", "tie"]
    """The better answer, or tie."""

    @property
    def chosen(self) -> Verdict:
        """Return the verdict in terms of what was shown as A and as B."""
        verdicts: dict[str, Verdict] = {"A": "a", "B": "b", "tie": "tie"}
        return verdicts[self.verdict]


class IndependentReply(Reply):
    """How good one answer is."""

    reason: str
    """Why, in a few sentences."""
    score: float


class CombinedReply(Reply):
    """How good two answers are."""

    reason: str
    """Why, in a few sentences on both answers."""
    score_a: float
    score_b: float


class FeedbackReply(Reply):
    """A review."""

    evaluation: str
    """What is good and what is not."""
    feedback: str
    """What to change."""
    score: float


ReplyT = TypeVar("ReplyT", bound=Reply)


class Unreadable(ExecutionError):
    """A reply that does not have the form that was asked for; the sentence tells the model why."""


class Form(Generic[ReplyT]):
    """The form a reply must have: for the endpoint a JSON schema, for the prompt its shape, for us a reader."""

    def __init__(self, name: str, reply: type[ReplyT]) -> None:
        self._reply = reply
        schema = reply.model_json_schema()
        self.answer = AnswerSchema(name, _without_titles(schema))
        self.shape = "{" + ", ".join(f'"{name}": {_hint(part)}' for name, part in schema["properties"].items()) + "}"
        """The object with a hint in angle brackets in place of each value."""
        self._fields = tuple(schema["properties"])

    def read(self, completion: Completion) -> ReplyT:
        """Return the reply.

        Raises:
            Unreadable: it is cut off, empty, not JSON, or not of this form.
        """
        if completion.finish_reason == "length":
            raise Unreadable("it was cut off at the token limit; be shorter")
        text = THOUGHT.sub("", completion.text.strip())
        fenced = FENCED.match(text)
        text = fenced[1] if fenced else text
        try:
            reply = self._reply.model_validate_json(text)
        except ValidationError as error:
            raise Unreadable(_problem(error)) from error
        if any(text.count(f'"{field}"') > 1 for field in self._fields):
            _refuse_twice(text)
        return reply


def _refuse_twice(text: str) -> None:
    """Raise Unreadable where a field stands twice, so that there are two answers."""

    def fields(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise Unreadable(f"{name} stands in it twice")

    json.loads(text, object_pairs_hook=fields)


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return "it is not one JSON object"
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    plain = {
        name: _without_titles(cast("dict[str, Any]", part)) if isinstance(part, dict) else part
        for name, part in schema.items()
    }
    if isinstance(plain.get("title"), str):
        del plain["title"]
    return plain


def _hint(part: dict[str, Any]) -> str:
    if "enum" in part:
        return " | ".join(json.dumps(word) for word in part["enum"])
    if "maximum" in part:
        return f"<number from {part['minimum']:g} to {part['maximum']:g}>"
    return f'"<{part.get("description", part["type"]).rstrip(".")}>"'


def _scored(reply: type[ReplyT], scale: int, *fields: str) -> type[ReplyT]:
    bounded: dict[str, Any] = {field: (Annotated[float, Field(ge=0, le=scale)], ...) for field in fields}
    return create_model(reply.__name__, __base__=reply, **bounded)


@cache
def direct_form() -> Form[DirectReply]:
    """Return the form of a direct comparison."""
    return Form("verdict", DirectReply)


@cache
def independent_form(scale: int) -> Form[IndependentReply]:
    """Return the form of a score from 0 to scale."""
    return Form(f"score_of_{scale}", _scored(IndependentReply, scale, "score"))


@cache
def combined_form(scale: int) -> Form[CombinedReply]:
    """Return the form of two scores from 0 to scale."""
    return Form(f"scores_of_{scale}", _scored(CombinedReply, scale, "score_a", "score_b"))


@cache
def feedback_form(scale: int) -> Form[FeedbackReply]:
    """Return the form of a review with a score from 0 to scale."""
    return Form(f"feedback_of_{scale}", _scored(FeedbackReply, scale, "score"))
