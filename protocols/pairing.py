"""Which two things that were said make a preference pair, and why a candidate is none."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from .judging import Verdict
from .messages import Fact

Data = Literal["generation", "workflow"]
"""generation: pairs of answers to the item's prompt. workflow: pairs of what roles of the loop said."""
Sort = Literal["answer", "revision", "feedback"]
Reason = Literal[
    "identical",
    "own family",
    "never compared",
    "unread",
    "tie",
    "prompts differ",
    "no scores",
    "margin",
    "quorum",
    "agreement",
]
"""Why a candidate is no pair. The first that is true is noted, in this order."""
REASONS: tuple[Reason, ...] = get_args(Reason)
BY_FILTERS: frozenset[Reason] = frozenset({"no scores", "margin", "quorum", "agreement"})
"""Those that other filters can lift; all else is so whatever is asked for."""


class Filters(BaseModel):
    """What a candidate must have to become a pair, beyond a decided verdict on two different texts."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    margin: float = Field(default=0.0, ge=0)
    """How much higher the mean score of the better one must be at the least; 0 asks for no scores, so that judges
    without will do. Where there are scores, those of the better one must not be lower."""
    quorum: int = Field(default=1, ge=1)
    """The least number of judges whose vote could be read."""
    agreement: float = Field(default=0.0, ge=0, le=1)
    """The least share of the votes that could be read which must be for the better one."""


class Preference(BaseModel):
    """What judges said of two drafts."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    first: str
    """A draft, by its name: `writer/2` is the second of writer."""
    second: str
    verdict: Verdict
    """a: the first is better. b: the second."""
    score_first: float | None = None
    """Mean of the judges' scores; None where one of those read gave none."""
    score_second: float | None = None
    scale: int | None = None
    votes: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Judges for the first, for a tie, for the second, and those that could not be read."""
    judges: tuple[str, ...] = ()
    """Whose votes these are."""

    @property
    def margin(self) -> float | None:
        """Return the mean score of the better one less that of the other, to 9 decimals; None where there are none.

        It is below 0 where a jury's votes say one thing and its scores another. Of a tie it is 0 or more.
        """
        if self.score_first is None or self.score_second is None:
            return None
        lead = round(self.score_first - self.score_second, 9)  # 2.3 less 1.3 is 1
        return {"a": lead, "b": -lead}.get(self.verdict, abs(lead))


class PairCandidate(BaseModel):
    """Two things said that could become a pair, or one alone that could be called good or bad."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    of: Sort
    first: str
    """By its name, as in `writer/2` or, of feedback, `reviewer/1`."""
    second: str | None = None
    """None where the first alone is good (verdict a) or bad (verdict b)."""
    preference: Preference | None = None
    """What it rests on; for feedback on the drafts that came of it. None where nobody compared them."""
    dropped: Reason | None = None
    """Why it is no pair; None where it is kept."""


class PairsMade(Fact):
    """Candidates for preference data were made of what was said."""

    kind: Literal["pairs_made"] = "pairs_made"
    step: str
    """The `pair`, by its place in the flow."""
    data: Data
    candidates: tuple[PairCandidate, ...]
    """In the order in which their texts were said."""


def why_not(candidate: PairCandidate, filters: Filters, *, identical: bool, same_prompt: bool = True) -> Reason | None:
    """Return why a candidate is no pair; None where it is one.

    Args:
        candidate: What could become one.
        filters: What it must have.
        identical: Whether both texts are the same but for white space.
        same_prompt: Whether both answer the same prompt.
    """
    preference = candidate.preference
    if identical:
        return "identical"
    if preference is None:
        return "never compared"
    if preference.verdict == "unread":
        return "unread"
    if preference.verdict == "tie":
        return "tie"
    if not same_prompt:
        return "prompts differ"
    winning = preference.votes[0 if preference.verdict == "a" else 2]
    return filtered(filters, margin=preference.margin, winning=winning, read=sum(preference.votes[:3]))


def filtered(filters: Filters, *, margin: float | None, winning: int, read: int) -> Reason | None:
    """Return why what judges decided is not enough; None where it is.

    Args:
        filters: What it must have.
        margin: How far the mean scores lie apart; None where there are none.
        winning: Votes for the better one.
        read: Votes that could be read.
    """
    if filters.margin > 0 and margin is None:
        return "no scores"
    if margin is not None and margin < filters.margin:
        return "margin"
    if read < filters.quorum:
        return "quorum"
    if read and winning / read < filters.agreement:  # 0.28 * 25 is more than 7
        return "agreement"
    return None
