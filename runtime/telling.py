"""What the logs tell of messages and of model calls: what they are and took, and no word of what was said."""

from ..protocols.identity import CONDUCTOR
from ..protocols.lifecycle import AgentFailed, AgentRecused, HearingChanged, LetterUndelivered, ModelCalled
from ..protocols.messages import Command, Message
from .recording.standing import failure_of
from .tracing import Scope

TOLD = ("round", "step", "version", "verdict", "score", "score_a", "score_b", "attempt", "then", "letter")
"""What lines tell of a message, where it has it: nothing that a model has said."""


def tell_message(
    where: Scope, message: Message, sequence: int, sender: str, cause: int | None, recipients: tuple[str, ...]
) -> None:
    """Tell of a message, by what it is and not by its words: of a command, under the name of the one who is asked."""
    facts = {name: value for name in TOLD if (value := getattr(message, name, None)) is not None}
    if cause is not None:
        facts["cause"] = cause
    if isinstance(message, (AgentFailed, AgentRecused)):
        agent, facts = message.cause.agent, {**facts, "error": message.cause.error, "reason": message.cause.reason}
    elif isinstance(message, HearingChanged):
        agent, facts = message.agent, {**facts, "hears": message.hears}
    elif isinstance(message, LetterUndelivered):
        agent, facts = message.to, {**facts, "reason": message.reason}
    elif isinstance(message, Command):
        agent, facts = recipients[0], {**facts, "sender": sender}
    else:
        agent = sender if sender != CONDUCTOR else None
        facts = {**facts, "heard_by": recipients} if recipients else facts
    tell = where.info if isinstance(message, AgentRecused) else where.debug
    tell(message.kind, **({"agent": agent} if agent is not None else {}), sequence=sequence, **facts)


def tell_call(where: Scope, called: ModelCalled, sequence: int) -> None:
    """Tell what came of a call, and what it took."""
    facts = {
        "sequence": sequence,
        "model": called.model,
        "source": called.source,
        "attempts": len(called.attempts),
        "seconds": round(sum(attempt.latency_s for attempt in called.attempts), 4),
        "waited_s": round(sum(attempt.waited_s for attempt in called.attempts), 4),
        "input_tokens": called.usage.input_tokens,
        "output_tokens": called.usage.output_tokens,
        "cost_usd": called.cost_usd,
    }
    failure = failure_of(called)
    if failure is None:
        where.debug("call_answered", **facts, finish_reason=called.finish_reason, served_by=called.served_by)
    else:
        where.debug("call_failed", **facts, error=failure.error, reason=failure.reason)
