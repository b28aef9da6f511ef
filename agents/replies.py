"""What agents want their models to answer, and the strict reading of it.

A reply is read whole or not at all: one JSON object with exactly the fields that were asked for, scores within their
range. Nothing is guessed, clamped or picked out of running text, and no rule looks at A before B.
"""

import json
import re
from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator

from ..protocols.errors import ExecutionError
from ..protocols.judging import Verdict
from ..protocols.models import AnswerSchema, Completion

Share = Annotated[float, Field(ge=0, le=1)]
THOUGHT = re.compile(r"\A<think>.*?</think>\s*", re.DOTALL)
"""What a reasoning model thinks before its answer, where the endpoint leaves it in."""
FENCED = re.compile(r"\A```(?:json)?\s*\n(.*)\n\s*```\Z", re.DOTALL)


class Reply(BaseModel):
    """A typed answer; reasons stand before verdicts and scores, so that they come first."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Reasoned(Reply):
    """Something with a reason, which comes first."""

    reason: str
    """Why, in a few sentences."""


class SureOfIt(Reasoned):
    """Between reason and verdict or scores: how sure it is."""

    confidence: Share
    """How sure you are."""


class DirectReply(Reasoned):
    """Which of two answers is better."""

    verdict: Literal["A", "B", "tie"]
    """The better answer, or tie."""

    @property
    def chosen(self) -> Verdict:
        """Return the verdict in terms of what was shown as A and as B."""
        verdicts: dict[str, Verdict] = {"A": "a", "B": "b", "tie": "tie"}
        return verdicts[self.verdict]


class IndependentReply(Reasoned):
    """How good one answer is."""

    score: float


class CombinedReply(Reasoned):
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


class ApprovalReply(Reply):
    """Whether it is enough."""

    reason: str
    """Why it is enough, or what is still wrong."""
    approved: bool


class CriteriaReply(Reply):
    """What is to be judged by."""

    criteria: tuple[str, ...]

    @field_validator("criteria")
    @classmethod
    def _worded(cls, criteria: tuple[str, ...]) -> tuple[str, ...]:
        if not all(criterion.strip() for criterion in criteria):
            raise ValueError("one of them is empty")
        return tuple(criterion.strip() for criterion in criteria)


class Worked(Reply):
    """Something that is worked out, step by step, before it is said."""

    reasoning: str
    """How you come to the answer, step by step."""


class SureOfWork(Worked):
    """Between the reasoning and the answer: how sure it is."""

    confidence: Share
    """How sure you are."""


class AnswerReply(Worked):
    """The answer to a question."""

    answer: str
    """The answer alone."""

    @field_validator("answer")
    @classmethod
    def _worded(cls, answer: str) -> str:
        if not answer.strip():
            raise ValueError("it is empty")
        return answer.strip()


def confidence_of(reply: Reply) -> float | None:
    """Return how sure a reply is, from 0 to 1; None where that was not asked for."""
    return reply.confidence if isinstance(reply, SureOfIt | SureOfWork) else None


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
    if part.get("type") == "boolean":
        return "true | false"
    if part.get("type") == "array":
        return f'["<{part["description"].rstrip(".")}>", … at most {part["maxItems"]} of them]'
    return f'"<{part.get("description", part["type"]).rstrip(".")}>"'


def _scored(reply: type[ReplyT], scale: int, *fields: str, sure: tuple[type[Reply], ...] = ()) -> type[ReplyT]:
    """Return a reply with scores within the scale; `sure` brings a confidence, after its reason."""
    bounded: dict[str, Any] = {field: (Annotated[float, Field(ge=0, le=scale)], ...) for field in fields}
    bases: Any = (reply, *sure)
    return cast("type[ReplyT]", create_model(reply.__name__, __base__=bases, **bounded))


def _sure(*, confidence: bool) -> tuple[str, tuple[type[Reply], ...]]:
    """Return what is added to the name of a form and to its bases where a confidence is wanted."""
    return ("_with_confidence", (SureOfIt,)) if confidence else ("", ())


@cache
def direct_form(*, confidence: bool = False) -> Form[DirectReply]:
    """Return the form of a direct comparison."""
    more, sure = _sure(confidence=confidence)
    return Form(f"verdict{more}", _scored(DirectReply, 1, sure=sure) if sure else DirectReply)


@cache
def independent_form(scale: int, *, confidence: bool = False) -> Form[IndependentReply]:
    """Return the form of a score from 0 to scale."""
    more, sure = _sure(confidence=confidence)
    return Form(f"score_of_{scale}{more}", _scored(IndependentReply, scale, "score", sure=sure))


@cache
def combined_form(scale: int, *, confidence: bool = False) -> Form[CombinedReply]:
    """Return the form of two scores from 0 to scale."""
    more, sure = _sure(confidence=confidence)
    return Form(f"scores_of_{scale}{more}", _scored(CombinedReply, scale, "score_a", "score_b", sure=sure))


@cache
def feedback_form(scale: int) -> Form[FeedbackReply]:
    """Return the form of a review with a score from 0 to scale."""
    return Form(f"feedback_of_{scale}", _scored(FeedbackReply, scale, "score"))


@cache
def approval_form() -> Form[ApprovalReply]:
    """Return the form of an approval."""
    return Form("approval", ApprovalReply)


@cache
def criteria_form(most: int) -> Form[CriteriaReply]:
    """Return the form of one to so many criteria."""
    length = Field(min_length=1, max_length=most, description="One criterion, in a few words.")
    bounded: dict[str, Any] = {"criteria": (Annotated[tuple[str, ...], length], ...)}
    return Form(f"criteria_up_to_{most}", create_model("CriteriaReply", __base__=CriteriaReply, **bounded))


@cache
def answer_form(*, confidence: bool = False) -> Form[AnswerReply]:
    """Return the form of an answer to a question."""
    if not confidence:
        return Form("answer", AnswerReply)
    return Form("answer_with_confidence", _scored(AnswerReply, 1, sure=(SureOfWork,)))
