"""What two runs have in common and where they differ, as data: the JSON document of `fellowship diff`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..protocols.identity import ConversationId
from ..protocols.judging import Verdict

State = Literal["done", "failed", "open"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Side(_Document):
    """What became of an item in one run."""

    status: State
    """`open`: begun, and no outcome so far."""
    verdict: Verdict | None = None
    scores: dict[Literal["a", "b"], float] | None = None
    text: str | None = None
    error: str | None = None
    calls: int = 0
    """Of an open item, those of the conversation that is compared."""
    tokens: int = 0
    cost_usd: float | None = None
    """None where prices are not known."""


class Place(_Document):
    """One message, in the log of one run."""

    sequence: int
    """Of its event."""
    speaker: str
    to: str | None = None
    """Whom a command is for."""
    kind: str
    round: int | None = None
    step: str | None = None
    """The step of the flow that led to it, such as `1.0`."""


class Difference(_Document):
    """What differs first between two messages."""

    field: str
    """The field, `settings.temperature` and `messages.3` among them; `message` where one run says something else there,
    or nothing."""
    role: str | None = None
    """Of a message of the prompt."""
    character: int | None = None
    """Where two texts part, from 1."""
    first: str | None
    """The value in the first run, an excerpt around that character where it is a text; None where there is none."""
    second: str | None


class Divergence(_Document):
    """The first message, in the order of the flow, at which two conversations differ."""

    shared: int
    """Messages before it that are the same."""
    first: Place | None
    """None where the first run says nothing more at this place."""
    second: Place | None
    differs: Difference


class ItemComparison(_Document):
    """One item of both runs."""

    item: str
    first: Side | None
    """None where the first run has not begun it."""
    second: Side | None
    same: bool
    """Whether both have it, and nothing was said or came out otherwise."""
    verdict_changed: bool
    """Whether both have a verdict, and not the same."""
    data: tuple[str, ...] = ()
    """What differs in the item itself: `prompt`, `a`, `b`."""
    divergence: Divergence | None = None


class Totals(_Document):
    """A run as a whole."""

    run: str
    scenario: str
    state: Literal["running", "broken off", "done", "stopped", "failed"]
    items: int
    done: int
    failed: int
    open: int
    """Items begun that have no outcome."""
    verdicts: dict[Verdict, int]
    unread_votes: int
    votes_spared: int = 0
    """Votes that were not asked for, because it was enough without them."""
    calls: int
    calls_failed: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """None where the price of a call is not known."""
    failures: dict[str, int]
    """Failed items by class of error."""
    agreement: float | None
    """Over done items with several voters: mean share of their last votes that the most frequent verdict has, where an
    unread vote agrees with none."""
    agreement_n: int
    """Those items; ones with no readable vote are not among them."""


class Agreement(_Document):
    """How far the verdicts of two runs agree."""

    n: int
    """Items that have a readable verdict in both."""
    same: int
    share: float | None
    """Of the same verdict."""
    share_ci: tuple[float, float] | None
    """95 %, Wilson."""
    kappa: float | None
    """Cohen's; None where it is undefined."""
    kappa_ci: tuple[float, float] | None
    """95 %, large-sample (Fleiss, Cohen and Everitt 1969); None where its standard error is 0."""
    unread: int
    """Items with an outcome in both and an unread verdict in one."""
    failed: int
    """Items in both that failed in one."""
    moved: dict[str, int]
    """Verdicts that changed, as in `a->tie`; unread ones are among them."""


class OnlyIn(_Document):
    """Items that only one run has begun."""

    count: int
    items: tuple[str, ...]
    """The first of them, or all."""


class Comparison(_Document):
    """Two runs."""

    first: Totals
    second: Totals
    same: bool
    """Whether they cover the same items, and nothing was said or came out otherwise."""
    played: tuple[str, ...]
    """What was played differently, as in `models.judge.model: X then, Y now`."""
    both: int
    """Items that both have begun."""
    only_first: OnlyIn
    only_second: OnlyIn
    data_changed: int
    """Items whose prompt or candidates differ."""
    verdict_changed: int
    diverged: int
    """Items whose conversations differ."""
    status_changed: int
    """Items that are done, failed or open in one run and not so in the other."""
    agreement: Agreement
    items: tuple[ItemComparison, ...]
    """Those that diverge or have another verdict: the first of them, or all."""
    not_shown: int
    """Those of them that are not among these."""


class ItemLine(_Document):
    """An item of both runs that differs, in a line."""

    item: str
    conversations: tuple[ConversationId, ConversationId]
    """The one that counts, in each run."""
    states: tuple[State, State]
    verdicts: tuple[Verdict | None, Verdict | None]
    diverged: bool
    """Whether the conversations differ; else the verdict alone does."""


class Survey(_Document):
    """Two runs as a whole, and each item that differs in a line."""

    comparison: Comparison
    """Without items."""
    last: tuple[int, int]
    """The last event of each log that it is sure to cover."""
    verdicts: tuple[tuple[Verdict, Verdict, int], ...]
    """How many items have the one verdict in the first run and the other in the second, unread ones among them."""
    lines: tuple[ItemLine, ...]
    """In the order of the first run's data."""
    not_listed: int
    """Items that differ and are not among the lines: they would be too many."""
