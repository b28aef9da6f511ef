"""What a list of conversations shows, and what is asked of it: the same for a terminal and for the viewer."""

from dataclasses import dataclass
from typing import Literal

from ...protocols.identity import ConversationId
from ...protocols.judging import Order, Verdict

State = Literal["done", "failed", "open"]
SORTS = (
    "number", "item", "state", "verdict", "margin", "disagreement", "messages", "calls", "attempts", "tokens", "cost",
    "seconds", "began",
)  # fmt: skip
"""What conversations can be sorted by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which conversations, and in what order; all conditions hold together."""

    states: tuple[State, ...] = ()
    """Any of these; none: all."""
    verdicts: tuple[Verdict, ...] = ()
    failure: str | None = None
    """Class of the error, as in `ContextTooLong`."""
    correct: bool | None = None
    """Of questions with a known answer."""
    variant: str | None = None
    """Of a sweep."""
    model: str | None = None
    """That was called in it."""
    agent: str | None = None
    """That spoke in it."""
    disagreement: float | None = None
    """At least: the share of last votes, from 0 to 1, that the most frequent verdict does not have."""
    cost: float | None = None
    """In US dollars, at least."""
    text: str | None = None
    """Words that stand in what was said in it, its item, its answers or its errors; see `search`."""
    item: str | None = None
    """Part of the item's id."""
    conversations: tuple[ConversationId, ...] = ()
    """Any of these; none: all."""
    all_conversations: bool = False
    """Also those that another conversation about the same item has taken the place of."""
    sort: str = "number"
    """One of SORTS."""
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One conversation in a list."""

    conversation: ConversationId
    number: int
    """The item's place in the data set, from 0; -1 where the log has lost the beginning."""
    item: str
    variant: str
    """Of a sweep; else empty."""
    state: State
    """By the outcome that counts: a failure that is being retried counts until there is another outcome."""
    verdict: Verdict | None
    score_a: float | None
    score_b: float | None
    answer: str | None
    correct: bool | None
    text: str | None
    """The start of the text that came of it."""
    error: str | None
    """`Class: reason` of a failed one."""
    prompt: str
    """The start of what the item asks."""
    messages: int
    """What agents said."""
    rounds: int
    speakers: int
    """Agents that have said something."""
    votes: int
    """Last votes of voters, on each two drafts, too."""
    unread: int
    """Of these, unread."""
    disagreement: float | None
    """Of the last votes of several on the item's candidates that could be read; none where there are not several."""
    moved: int
    """Votes that are not what the same voter's vote before was: changes of mind."""
    calls: int
    """In this conversation; an item that was begun anew has the sum of all of its conversations in the results."""
    attempts: int
    tokens: int
    cost_usd: float | None
    """None where the price of a call is not known."""
    began_s: float
    """In seconds since the epoch."""
    seconds: float
    """From its beginning to its end, or to its last event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """A ballot, without its words."""

    order: Order
    """Which candidate was shown first."""
    verdict: Verdict
    score_a: float | None = None
    score_b: float | None = None
    confidence: float | None = None
    requests: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """The last vote of a voter in a conversation, on the item's candidates or on two drafts."""

    sequence: int
    conversation: ConversationId
    number: int
    item: str
    variant: str
    state: State
    """Of the conversation."""
    voter: str
    first: str | None
    """The draft that is `a`; none of a vote on the item's candidates."""
    second: str | None
    verdict: Verdict
    score_a: float | None
    score_b: float | None
    scale: int | None
    """The best score possible; none where no scores were asked for."""
    confidence: float | None
    ballots: tuple[Cast, ...]
    changes: int
    """How often the voter has changed its mind before."""
    decision: Verdict | None
    """Of the conversation."""
    human: Verdict | None
    """What most people said of the item's candidates; a split is a tie."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the conversations that were wanted."""

    total: int
    """Those that were wanted."""
    offset: int
    rows: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A message in which words were found."""

    sequence: int
    conversation: ConversationId
    item: str
    speaker: str
    kind: str
    round: int | None
    excerpt: str
    """Of the text, around the first word found."""
    marks: tuple[tuple[int, int], ...]
    """Where in the excerpt the words stand: start and end, in characters."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found."""

    total: int
    hits: tuple[Hit, ...]
    """Some of them, the best first; of more than 20,000 the newest first, and so where words are only excluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A run at one moment, by its index."""

    items: int
    """That the run covers."""
    done: int
    failed: int
    open: int
    """Begun, without an outcome."""
    verdicts: dict[str, int]
    failures: dict[str, int]
    """Failed items by class of error."""
    unread_votes: int
    messages: int
    calls: int
    calls_failed: int
    attempts: int
    cached: int
    """Calls that the cache answered."""
    input_tokens: int
    output_tokens: int
    cost_usd: float
    """As far as it is known."""
    unpriced: int
    """Calls whose cost nobody knows."""
    dead_letters: int
    models: dict[str, tuple[int, int, float]]
    """Calls, tokens and money by model."""
    agents: dict[str, tuple[int, int, float]]
    rounds: dict[str, tuple[int, int, float]]
    attempt_errors: dict[str, int]
    """Requests that went wrong, by what the endpoint said in short, the most frequent first; the first 20."""
    began_s: float | None
    last_s: float | None
    """When the last event was written."""
    ended_per_minute: tuple[tuple[float, int], ...]
    """Items that got an outcome, by minute since the epoch: its start in seconds, and how many; the last 120."""
