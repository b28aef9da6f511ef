"""A conversation as a person would read it, on a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ..protocols.comparing import DraftsCompared, DraftScored, MatchDecided
from ..protocols.judging import Ballot, Judging
from ..protocols.jury import VoteCast
from ..protocols.lifecycle import (
    AgentFailed,
    AgentRecused,
    AskingEnded,
    BranchTaken,
    ConditionMet,
    DecisionMade,
    DraftPicked,
    ItemFailed,
    ItemFinished,
    ItemResumed,
    LetterUndelivered,
    OutcomeSetAside,
)
from ..protocols.messages import Fact, Message
from ..protocols.models import EMBEDDED
from ..protocols.pairing import PairsMade
from ..protocols.review import FeedbackGiven
from ..runtime.tracing import plain
from .terminal import TOO_SMALL
from .trace import SPOKEN, Talk, Turn


def transcript(conversation: Talk, *, models: Sequence[str] = ()) -> RenderableType:
    """Return a conversation as a person would read it."""
    item = conversation.item
    parts: list[RenderableType] = [
        Text(f"Item {plain(item.id)}", style="bold"),
        *(_block(f"before: {said.role}", said.content) for said in item.history),
        _block("request", item.prompt),
    ]
    parts.extend(_block(f"answer {candidate.slot}", candidate.text) for candidate in item.candidates)
    if item.reference is not None:
        parts.append(_block("reference (no model is shown it)", item.reference))
    shown: int | None = None
    for turn in conversation.turns:
        if turn.round is not None and turn.round != shown:
            parts.append(Text(f"\nRound {turn.round}", style="bold cyan"))
        shown = turn.round
        parts.append(_turn(turn))
    judged = any(isinstance(turn.message, (VoteCast, DraftsCompared, DraftScored)) for turn in conversation.turns)
    if judged and any(model.startswith(f"{EMBEDDED}/smollm2") for model in models):
        parts.append(Text(f"\n{TOO_SMALL}", style="yellow"))
    return Group(*parts)


def _block(title: str, text: str) -> RenderableType:
    return Group(Text(f"\n{title}", style="dim"), Padding(Text(plain(text.strip())), (0, 0, 0, 2)))


def _turn(turn: Turn) -> RenderableType:
    message = turn.message
    number = Text(f"\n{turn.sequence:>5} ", style="dim")
    if not isinstance(message, SPOKEN):
        return number.append(plain(_remark(turn.speaker, message)), style="bold not dim")
    head = number.append(plain(turn.speaker), style="bold green not dim")
    head.append(f" {_did(message)}", style="not bold")
    if turn.heard_by:
        head.append(f" → {', '.join(turn.heard_by)}", style="not bold")
    effort = turn.effort
    requests = f"{effort.calls} calls, " if effort.calls != 1 else ""
    usage = effort.usage
    head.append(
        f"   {requests}{usage.input_tokens}+{usage.output_tokens} tokens, {effort.seconds:.1f} s",
        style="dim not bold",
    )
    return Group(head, Padding(Text(plain(_words(message))), (0, 0, 0, 6)))


def _did(message: Message) -> str:
    match message:
        case FeedbackGiven():
            return f"gives feedback, {message.score:g} of {message.scale}"
        case VoteCast():
            return f"votes {message.verdict}{_scores(message)}{_how(message.judging, message)}"
        case DraftsCompared():
            names = f"compares {message.first} (a) and {message.second} (b): "
            return f"{names}{message.verdict}{_scores(message)}{_how(message.judging, message)}"
        case DraftScored():
            score = "unread" if message.score is None else f"{message.score:g} of {message.scale}"
            return f"scores {message.draft}: {score}"
        case _:
            cut_off = ", cut off at the token limit" if getattr(message, "cut_off", False) else ""
            version = getattr(message, "version", None)
            return (f"writes draft {version}" if version else "argues") + cut_off


def _scores(vote: VoteCast | DraftsCompared | MatchDecided | DecisionMade) -> str:
    if vote.score_a is None or vote.score_b is None:
        return ""
    return f", a {vote.score_a:g} : b {vote.score_b:g}"


def _how(judging: Judging, vote: VoteCast | DraftsCompared) -> str:
    scale = f" of {judging.scale}" if judging.strategy != "direct" else ""
    orders = "+".join(ballot.order for ballot in vote.ballots)
    return f" ({judging.strategy}{scale}, shown {orders})"


def _words(message: Message) -> str:
    if isinstance(message, DraftScored):
        return message.reason
    if isinstance(message, (VoteCast, DraftsCompared)):
        return "\n\n".join(_reason(ballot) for ballot in message.ballots if ballot.reason)
    return message.said() if isinstance(message, SPOKEN) else ""


def _reason(ballot: Ballot) -> str:
    return ballot.reason if ballot.order == "ab" else f"(Here A is the item's b, and B its a.) {ballot.reason}"


def _remark(speaker: str, message: Message) -> str:  # noqa: PLR0911 - one for each sort
    """Return what happened around the talk, as one line."""
    match message:
        case DecisionMade() | MatchDecided() | DraftPicked() | PairsMade():
            return _decided(message)
        case ConditionMet():
            return f"Enough after round {message.round}: {message.until}"
        case AskingEnded():
            return f"Enough: {message.until}; not asked: {', '.join(message.spared)}"
        case BranchTaken():
            return f"{message.when}: {'yes' if message.holds else 'no'}"
        case ItemFinished() | ItemFailed() | ItemResumed() | OutcomeSetAside():
            return _bound(message)
        case AgentFailed():
            return f"{speaker} failed (try {message.attempt}, then {message.then}): {message.cause.reason}"
        case AgentRecused():
            return f"{message.agent} is recused"
        case LetterUndelivered():
            return f"Dead letter {message.letter} to {message.to}: {message.reason}"
        case Fact() if words := message.said():
            return f"{speaker}: {message.kind}: {words}"
        case _:
            return f"{speaker}: {message.kind}"


def _decided(message: DecisionMade | MatchDecided | DraftPicked | PairsMade) -> str:
    """Return what was made of what was said, as one line; of pairs, one a line."""
    match message:
        case DecisionMade():
            unread = f", {message.unread} unread" if message.unread else ""
            return f"Decision by {message.rule}: {message.verdict}{_scores(message)} ({message.votes} votes{unread})"
        case MatchDecided():
            unread = f", {message.unread} unread" if message.unread else ""
            names = f"{message.first} (a) against {message.second} (b)"
            if message.rule == "identical":
                return f"{names}: the same text, nobody is asked"
            return f"{names}: {message.verdict}{_scores(message)} ({message.rule}, {message.votes} votes{unread})"
        case PairsMade():
            return _pairs(message)
        case DraftPicked():
            return f"Picked: {message.rule}, draft {message.version} of {message.writer}"


def _pairs(made: PairsMade) -> str:
    """Return candidates for preference data, one a line."""
    lines = [f"Pairs for {made.data}: {sum(each.dropped is None for each in made.candidates)} kept"]
    for each in made.candidates:
        known = each.preference
        if each.second is None:
            verdict = {"a": "good", "b": "bad"}.get(known.verdict if known else "", "neither good nor bad")
            lines.append(f"{each.of} {each.first}: {each.dropped or verdict}")
        else:
            better = {"a": ">", "b": "<", "tie": "="}.get(known.verdict if known else "", "?")
            margin = f", by {known.margin:g}" if known and known.margin else ""
            reason = f"; dropped: {each.dropped}" if each.dropped else ""
            lines.append(f"{each.of} {each.first} {better} {each.second}{margin}{reason}")
    return "\n         ".join(lines)


def _bound(message: ItemFinished | ItemFailed | ItemResumed | OutcomeSetAside) -> str:
    """Return where an item ends, or goes on, as one line."""
    match message:
        case ItemFinished():
            made = ", ".join(f"{count} for {data}" for data, count in (message.pairs or {}).items())
            return f"Outcome: {message.verdict or (f'pairs: {made}' if made else 'the draft picked')}"
        case ItemFailed():
            return f"Failed: {message.cause.error}: {message.cause.reason}"
        case ItemResumed():
            again = ", ".join(map(str, message.set_aside))
            return f"Another start goes on{f': what came of event {again} is set aside' if again else ''}"
        case OutcomeSetAside():
            return f"The outcome {message.outcome} counts no more: {message.reason}"
