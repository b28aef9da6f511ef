"""Everything that can go wrong, in one tree of two trunks.

FellowshipError
├ DeclarationError          what was declared is wrong: never retried, all problems reported together
│ ├ UnknownName             a name that nothing has, with the nearest that something has
│ └ NameTaken               a name that something else has
└ ExecutionError            the world failed; .retryable says whether trying again can help
  ├ ModelError
  │ ├ RateLimited           (retryable) the endpoint asks for patience
  │ ├ Overloaded            (retryable) the endpoint failed: 5xx
  │ │ └ ServerError         (retryable) it failed on this request, perhaps because of it: 500
  │ ├ CallTimedOut          (retryable) no answer before the deadline
  │ ├ ConnectionFailed      (retryable) no connection, or it broke
  │ ├ MalformedReply        (retryable) an answer that is not a chat completion
  │ ├ TruncatedReply        (retryable) an answer that broke off on its way
  │ ├ CallRefused           the endpoint will not take this request: 4xx
  │ ├ ModelNotFound         the endpoint has no such model, or there is no endpoint at this address: 404
  │ ├ PromptTooLong         the prompt does not fit the model's context, or the limit of a minute
  │ ├ ModelRefused          the model declined to answer
  │ ├ ContentFiltered       a filter withheld the prompt or the answer
  │ └ RunStopping           no other call can succeed either: the run stops, and can go on later
  │   ├ EndpointDown        an endpoint fails all who ask, for longer than anybody waits
  │   ├ Unauthorised        the key is missing or not accepted
  │   ├ QuotaExhausted      nothing is left of the account's quota
  │   └ BudgetExhausted     nothing is left of the run's budget
  ├ UnreadAnswer            an agent's answer could not be read, further requests included
  ├ ItemTimedOut            an item took longer than it may
  ├ NothingToDecide         no vote, draft or fact that the step needs
  ├ PluginFailed            what a plugin brings broke, or did not return what it is there for
  ├ AgentUnavailable        the agent has stopped, or is recused
  ├ Unanswered              a letter was handled and nothing was said in answer
  ├ AskCycle                agents wait for one another in a ring
  ├ Diverged                what is said now is not what was recorded
  │ ├ CassetteMiss          a model is asked what no recording answers
  │ └ RecordingEnded        the recording breaks off here, as the item did
  └ LogError                the event log cannot be read or written
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar, Literal, cast

from .models import Attempt, Usage

Limit = Literal["requests", "tokens", "concurrency", "unknown"]
"""What an endpoint counts: requests a minute, tokens a minute, calls at once; or it does not say."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    what: str
    source: str = ""
    """File, or another name of the text it stands in."""
    line: int | None = None
    """From 1."""
    column: int | None = None
    """From 1."""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.source, self.line, self.column) if part not in ("", None))
        return f"{place}: {self.what}" if place else self.what


MOST_NAMES = 20
"""Names that an error lists."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name that is nearest, else the list of those that exist."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return f"; there is {', '.join(names[:MOST_NAMES])}{more}" if names else "; there is none"


class FellowshipError(Exception):
    """Any error of this package. It crosses to another process with all that it says, but for its cause."""

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), self.args, self.facts())

    def facts(self) -> dict[str, object]:
        """Return what it bears beside its words, to be made anew in another process."""
        return dict(vars(self))


def _again(kind: type[FellowshipError], words: tuple[object, ...], facts: Mapping[str, object]) -> FellowshipError:
    """Return an error as it was: it has written its sentence already."""
    error = kind.__new__(kind, *words)
    vars(error).update(facts)
    return error


class DeclarationError(FellowshipError):
    """What was declared is wrong; `problems` holds all that was found."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        found = (Problem(problems),) if isinstance(problems, str) else tuple(problems)
        self.problems: tuple[Problem, ...] = found
        super().__init__("\n".join(str(problem) for problem in found))


class UnknownName(DeclarationError):
    """A name that nothing has."""

    def __init__(self, sort: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown {sort} {name!r}{nearest(name, known)}")


class NameTaken(DeclarationError):
    """A name that something else has."""

    def __init__(self, sort: str, name: str, owner: str = "") -> None:
        super().__init__(f"there is a {sort} named {name!r} already{f': {owner}' if owner else ''}")


class ExecutionError(FellowshipError):
    """The world failed."""

    retryable: ClassVar[bool] = False


class ModelError(ExecutionError):
    """A model could not be asked, or did not answer.

    `attempts` holds what was tried, once the one who tried has given up; `usage` what the endpoint billed for the last
    one, where it said so; `headers` those of its answer, where there was one.
    """

    attempts: tuple[Attempt, ...] = ()
    usage: Usage | None = None
    maybe_billed: bool = False
    """Whether the endpoint may have billed for it without a word."""
    headers: Mapping[str, str] | None = None
    status: int | None = None
    """Of the answer, where it was an error."""
    cost_usd: float | None = None
    """Money for attempts that were billed, once the one who tried has given up."""

    def facts(self) -> dict[str, object]:
        """Return what it bears beside its words, to be made anew in another process."""
        facts = super().facts()
        if self.headers is not None:  # a client's own sort may not cross
            facts["headers"] = {name.lower(): value for name, value in self.headers.items()}
        return facts


class RateLimited(ModelError):
    """The endpoint asks for patience: 429."""

    retryable = True

    def __init__(self, reason: str, *, retry_after_s: float | None = None, limit: Limit = "unknown") -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
        self.limit: Limit = limit
        """Which limit was met."""


class Overloaded(ModelError):
    """The endpoint failed: 5xx."""

    retryable = True

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class ServerError(Overloaded):
    """The endpoint failed with 500, which says nothing of an overload: it may be this very request that it fails on."""


class CallTimedOut(ModelError):
    """No answer came before the deadline."""

    retryable = True
    maybe_billed = True


class ConnectionFailed(ModelError):
    """There was no connection, or it broke."""

    retryable = True

    def __init__(self, reason: str, *, sent: bool = False) -> None:
        super().__init__(reason)
        self.maybe_billed = sent
        """Whether the request may have arrived."""


class MalformedReply(ModelError):
    """The endpoint's answer is not a chat completion."""

    retryable = True
    maybe_billed = True


class TruncatedReply(ModelError):
    """The endpoint's answer broke off on its way."""

    retryable = True
    maybe_billed = True


class CallRefused(ModelError):
    """The endpoint will not take this request."""


class ModelNotFound(ModelError):
    """The endpoint has no such model, or there is no endpoint at this address."""


class PromptTooLong(ModelError):
    """The prompt does not fit the model's context, or what the endpoint takes in a minute."""


class ModelRefused(ModelError):
    """The model declined to answer; its words are the reason."""


class ContentFiltered(ModelError):
    """A filter withheld the prompt or the answer."""


class RunStopping(ModelError):
    """No other call can succeed either. It is no item's failure: the run stops, and can go on later."""


class EndpointDown(RunStopping):
    """The endpoint has failed all who asked for longer than anybody waits, or asks for more patience than there is."""


class Unauthorised(RunStopping):
    """The key is missing or not accepted."""


class QuotaExhausted(RunStopping):
    """Nothing is left of the account's quota."""


class BudgetExhausted(RunStopping):
    """Nothing is left of the run's budget."""


class UnreadAnswer(ExecutionError):
    """An answer could not be read, further requests included."""

    def __init__(self, wanted: str, requests: int, problem: str) -> None:
        super().__init__(f"no {wanted} could be read after {requests} requests: {problem}")
        self.requests = requests
        """Requests made in vain."""


class ItemTimedOut(ExecutionError):
    """An item took longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the item took longer than {seconds:g} s")


class NothingToDecide(ExecutionError):
    """A step found none of the facts that it needs."""


class PluginFailed(ExecutionError):
    """What a plugin brings broke, or did not return what it is there for."""


class AgentUnavailable(ExecutionError):
    """The agent has stopped, or is recused."""

    def __init__(self, agent: str, reason: str) -> None:
        super().__init__(f"{agent} {reason}")
        self.agent = agent


class Unanswered(ExecutionError):
    """A letter was handled and nothing was said in answer."""

    def __init__(self, agent: str, letter: str) -> None:
        super().__init__(f"{agent} handled {letter} and said nothing in answer")


class AskCycle(ExecutionError):
    """Agents wait for one another in a ring, so that none could go on."""

    def __init__(self, ring: Sequence[str]) -> None:
        super().__init__(f"agents wait for one another: {' -> '.join(ring)}")


class Diverged(ExecutionError):
    """What is said now is not what was recorded, so that the recording cannot be gone on with."""


class CassetteMiss(Diverged):
    """A model is asked what no recording answers; the words show the nearest recording, and where it differs."""


class RecordingEnded(Diverged):
    """The recording breaks off here: the item had failed, for a reason that stands in no message."""


class WorkerLost(ExecutionError):
    """A process that played items is no more, or cannot be reached."""


class WorkerFailed(ExecutionError):
    """A process that plays items cannot go on, by a fault of its own."""


class BankLost(ExecutionError):
    """The process that leases limits and money to all workers is no more, or cannot be reached."""


class LogError(ExecutionError):
    """The event log cannot be read or written."""


def first_of(error: BaseException) -> BaseException:
    """Return the error, or the first of those in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def model_error(name: str, reason: str) -> ModelError:
    """Return the error that a recorded call has met; of a class that nobody knows here, one of the same name."""
    known: list[type[ModelError]] = [ModelError]
    for kind in known:
        if kind.__name__ == name:
            return kind(reason)
        known += kind.__subclasses__()
    named = name.replace("\0", "")  # a damaged log may say anything
    own: dict[str, object] = {"__doc__": "An error that was recorded elsewhere.", "__reduce__": _by_name}
    unknown: type[ModelError] = type(named, (ModelError,), own)
    return unknown(reason)


def _by_name(error: ModelError) -> tuple[object, ...]:
    """Return how to make an error anew whose class another process does not have."""
    return model_error, (type(error).__name__, str(error)), error.facts()
