"""What happens around the talk itself: items open and end, agents fall out, letters are lost, models are called."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from .identity import ConversationId
from .items import Item
from .judging import Verdict
from .messages import Fact, named
from .models import Attempt, FinishReason, Source, Tier, TokenLogprob, Usage
from .pairing import Data


class ItemOpened(Fact):
    """An item was taken up; the first fact of its conversation."""

    kind: Literal["item_opened"] = "item_opened"
    number: int
    """Place in the data set, from 0."""
    item: Item
    over: ConversationId | None = None
    """The conversation about it that could not be gone on with, and whose answers are used again as far as they fit."""


class ItemResumed(Fact):
    """An item goes on that an earlier start has left, in the same conversation: what was said there stands as said."""

    kind: Literal["item_resumed"] = "item_resumed"
    set_aside: tuple[int, ...] = ()
    """Commands that failed and are carried out again: what came of them until now does not count any more."""


class OutcomeSetAside(Fact):
    """An outcome does not count any more; another one of the same item takes its place, or none."""

    kind: Literal["outcome_set_aside"] = "outcome_set_aside"
    outcome: int
    """Sequence of the `item_finished` or `item_failed`."""
    reason: Literal["retried", "affected by changes", "not in the data"]


class RunChanged(Fact):
    """The run goes on with another scenario, prompt, model, seed or data than before, because the user said so."""

    kind: Literal["run_changed"] = "run_changed"
    changes: tuple[str, ...]
    """Each as one line: what, how it was, how it is."""


class HearingChanged(Fact):
    """An agent listens to these from now on."""

    kind: Literal["hearing_changed"] = "hearing_changed"
    agent: str
    hears: tuple[str, ...]
    """The speakers it listens to."""
    caught_up: tuple[int, ...] = ()
    """Sequence numbers of what they had said before, delivered now."""


class ConditionMet(Fact):
    """A repeat ended early."""

    kind: Literal["condition_met"] = "condition_met"
    round: int
    until: str
    """The condition, as the scenario states it."""
    branch: str | None = None
    """Of an `each` whose branches are played together: which of them."""


class BranchTaken(Fact):
    """A condition was looked at, and the flow went one way or the other."""

    kind: Literal["branch_taken"] = "branch_taken"
    step: str
    """The `when`, by its place in the flow."""
    round: int
    when: str
    """The condition, as the scenario states it."""
    holds: bool
    """Whether it held: the way of `do`; otherwise that of `else`, or on."""
    branch: str | None = None
    """Of an `each` whose branches are played together: which of them."""


class BranchesOpened(Fact):
    """An `each` begins: its steps are played for every one of these."""

    kind: Literal["branches_opened"] = "branches_opened"
    step: str
    """The `each`, by its place in the flow."""
    round: int
    each: str
    """The name that stands for each of them."""
    values: tuple[str, ...]
    """Texts, or the names of drafts or candidates."""
    left_out: int = 0
    """How many there were beyond the most."""


class AgentsExcused(Fact):
    """Agents are not asked: their own, or their family's, work is what is to be judged, or it is another's turn."""

    kind: Literal["agents_excused"] = "agents_excused"
    step: str
    """The `ask`, by its place in the flow."""
    round: int
    agents: tuple[str, ...]
    reason: str
    """As the scenario says it, as in `exclude: family`, or `assign: round-robin`."""


class AskingEnded(Fact):
    """Agents that are asked in turn were not all asked: it was enough before."""

    kind: Literal["asking_ended"] = "asking_ended"
    step: str
    """The `ask`, by its place in the flow."""
    round: int
    until: str
    """The condition, as the scenario states it."""
    wanted: str
    """What was asked for, as in `ballot`."""
    spared: tuple[str, ...]
    """Who was not asked, in the order in which they would have been."""
    calls: int
    """Model calls that their answers would have taken at the least: one each, or more for a ballot in both orders, or
    of independent scores."""


class DecisionMade(Fact):
    """The votes were brought to one verdict."""

    kind: Literal["decision_made"] = "decision_made"
    rule: str
    """The aggregation rule."""
    version: int
    """Version of the rule; it grows whenever the rule could decide otherwise."""
    verdict: Verdict
    score_a: float | None = None
    score_b: float | None = None
    votes: int
    """Votes that entered."""
    unread: int
    """Votes that did not, because no answer could be read."""
    answer: str | None = None
    """Of a question: the answer that was decided on; none where the votes are split, and the verdict is a tie."""


class DraftPicked(Fact):
    """One draft was chosen as the outcome."""

    kind: Literal["draft_picked"] = "draft_picked"
    rule: str
    """How, as in `last` or `knock-out`."""
    writer: str
    version: int
    """Which of the writer's drafts."""
    text: str

    @property
    def name(self) -> str:
        """Return the draft's name, as in `writer/2`."""
        return named(self.writer, self.version)


class Failure(BaseModel):
    """Why something could not be done."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    error: str
    """Class of the error."""
    reason: str
    """Its sentence."""
    agent: str | None = None
    """The agent it happened to, where there was one."""


class ItemFinished(Fact):
    """The item has an outcome."""

    kind: Literal["item_finished"] = "item_finished"
    number: int
    verdict: Verdict | None = None
    score_a: float | None = None
    score_b: float | None = None
    text: str | None = None
    answer: str | None = None
    """Of a question: the answer; none where the votes are split, or none could be read."""
    correct: bool | None = None
    """Whether it is the known one; none where none is known. What is split or unread is not correct."""
    pairs: dict[Data, int] | None = None
    """How many preference pairs, and texts labelled alone, were made and are kept."""


class ItemFailed(Fact):
    """The item has no outcome, and this is why."""

    kind: Literal["item_failed"] = "item_failed"
    number: int
    cause: Failure


class AgentFailed(Fact):
    """A handler raised; what was done about it is in `then`."""

    kind: Literal["agent_failed"] = "agent_failed"
    cause: Failure
    attempt: int
    """How often this letter had been tried, from 1."""
    then: Literal["retry", "recuse", "fail"]


class AgentRecused(Fact):
    """An agent takes no further part in its conversation."""

    kind: Literal["agent_recused"] = "agent_recused"
    agent: str
    cause: Failure


class LetterUndelivered(Fact):
    """A letter that nobody could take: a dead letter."""

    kind: Literal["letter_undelivered"] = "letter_undelivered"
    to: str
    letter: str
    """Kind of the message."""
    reason: str


class ModelCalled(Fact):
    """A model was asked, with every attempt it took, and answered or not."""

    kind: Literal["model_called"] = "model_called"
    model: str
    """`provider/model`, as asked for."""
    messages: tuple[tuple[str, str], ...]
    """Role and text digest of each message; the log keeps each text once."""
    settings: Mapping[str, float | int | str | bool | tuple[str, ...]]
    """Parameters that were sent."""
    round: int | None = None
    """Round of the conversation, where a command of the conductor led to the call."""
    answer: str | None = None
    """Name of the schema the answer was to follow; none for free text."""
    text: str | None = None
    """The reply; none where every attempt failed."""
    error: Failure | None = None
    """Why there is no reply: what the agent that asked was told."""
    finish_reason: FinishReason | None = None
    served_by: str | None = None
    """The model the endpoint says it used."""
    reasoning: str | None = None
    """What the model thought before it answered, where the endpoint shows it."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    tier: Tier | None = None
    """How the endpoint was held to the form of the answer."""
    source: Source = "endpoint"
    usage: Usage = Usage()
    """All that was billed, attempts that went wrong included."""
    cost_usd: float | None = None
    """Money for that usage, as far as the endpoint reported it; none where it reported none, or no price is known."""
    attempts: tuple[Attempt, ...]


class BatchPrepared(Fact):
    """A batch of model calls is about to be asked for; written before it is, so that it can be found again."""

    kind: Literal["batch_prepared"] = "batch_prepared"
    nonce: str
    """A random word that the provider keeps with the batch, in its metadata."""
    base_url: str
    model: str
    """The model's name as the endpoint knows it."""
    input_file_id: str
    custom_ids: tuple[str, ...]
    """Names of the calls, in the order of their lines."""


class BatchSubmitted(Fact):
    """The provider has taken a batch of model calls."""

    kind: Literal["batch_submitted"] = "batch_submitted"
    nonce: str
    batch_id: str
    base_url: str
    model: str
    """The model's name as the endpoint knows it."""
    input_file_id: str
    calls: int
    custom_ids: tuple[str, ...]
    """Names of the calls, in the order of their lines."""


class BatchEnded(Fact):
    """The provider does nothing more about a batch."""

    kind: Literal["batch_ended"] = "batch_ended"
    nonce: str
    batch_id: str | None = None
    """None where it was never made."""
    status: Literal["completed", "failed", "expired", "cancelled", "absent"]
    """The provider's word; `absent` where it was prepared and never made."""
    completed: int = 0
    """Calls that were answered."""
    failed: int = 0


class RunStarted(Fact):
    """A process began, or went on with, this run."""

    kind: Literal["run_started"] = "run_started"
    items: int
    """Items this run is to cover."""
    finished: int
    """Items that an earlier start had finished."""
    concurrency: int
    seed: int


class RunEnded(Fact):
    """The process left the run in good order."""

    kind: Literal["run_ended"] = "run_ended"
    reason: Literal["done", "stopped", "failed"]
    cause: Failure | None = None
    """What stopped it, where it was neither a signal nor the end of the data."""
