"""One candidate for preference data: two texts for one prompt, what judges said of them, and whether it is kept."""

from dataclasses import dataclass
from typing import Literal

from ...protocols.items import Turn
from ...protocols.pairing import Data, Reason, Sort


@dataclass(frozen=True, slots=True)
class Side:
    """One of the texts."""

    event: str
    """What was said, by its name in the conversation: `writer/2` is the second draft of `writer`."""
    agent: str
    model: str | None
    """provider/model; None where nobody knows, as of answers that came with the data."""
    text: str
    round: int
    """Round in which it was said, from 1; 0 of answers that came with the data."""
    score: float | None = None
    """Mean of the judges' scores for it, or for what it led to; None where the judges gave none."""
    cut_off: bool = False
    """Whether its model stopped at the token limit."""
    prompt_digest: str = ""
    """Digest of the agent's prompt template, as run.yaml has it; empty of answers that came with the data."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one judge said in one order."""

    judge: str
    model: str | None
    order: Literal["chosen-first", "rejected-first", "alone"]
    """Which was shown first; alone: each was scored by itself."""
    verdict: Literal["chosen", "rejected", "tie", "unread"]
    score_chosen: float | None = None
    score_rejected: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair, or one text that is known to be good or bad, where the other is None."""

    number: int
    """The item's place in the data set, from 0."""
    item: str
    """The item's id."""
    variant: str | None
    """Of a sweep: which variant."""
    data: Data
    """generation: answers to the item's prompt. workflow: what roles said in the loop."""
    of: Sort
    """What the texts are: answers, revisions or feedback."""
    prompt: tuple[Turn, ...]
    """What both answer. For workflow data: what the agent's model was sent, its system message first."""
    chosen: Side | None
    """None where a text alone is known to be bad. Of a pair that is not decided, the one named first."""
    rejected: Side | None
    """None where a text alone is known to be good."""
    margin: float | None
    """Mean score of the better one less that of the other, below 0 where a jury's votes and scores disagree; None where
    the judges gave no scores."""
    scale: int | None
    """The best score possible."""
    votes: tuple[int, int, int, int]
    """Judges for the chosen one, for a tie, for the rejected one, and those that could not be read. Of a text that is
    known to be bad, the first are for what it lost against."""
    ballots: tuple[Ballot, ...] = ()
    request: tuple[Turn, ...] = ()
    """The item's own messages, which say in which split it is and whether it repeats another; empty where `prompt` is
    that, as in generation data."""
    dropped: Reason | None = None
    """Why it is no preference; None where it is kept."""
    step: str = ""
    """The `pair` that made it, by its place in the flow; of several one that keeps it. Empty where none did."""
