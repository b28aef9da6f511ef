"""A conversation as a person would read it, on a terminal."""

from collections.abc import Sequence
from string import ascii_uppercase

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ...protocols.comparing import DraftsCompared, DraftScored
from ...protocols.generation import DraftWritten
from ...protocols.judging import Ballot, Judging
from ...protocols.jury import VoteCast
from ...protocols.lifecycle import DecisionMade, ItemFinished
from ...protocols.messages import Message
from ...protocols.models import EMBEDDED
from ...protocols.moderation import ApprovalGiven, CriteriaProposed, QuestionAsked, SummaryWritten
from ...protocols.review import FeedbackGiven
from ...runtime.tracing import plain
from ..remarks import on_a_line, remark, rightness, scores
from ..terminal import TOO_SMALL
from .talk import SPOKEN, Talk, Turn


def transcript(conversation: Talk, *, models: Sequence[str] = ()) -> RenderableType:
    """Return a conversation as a person would read it."""
    item = conversation.item
    parts: list[RenderableType] = [
        Text(f"Item {plain(item.id)}", style="bold"),
        *(_block(f"before: {said.role}", said.content) for said in item.history),
        _block("request", item.prompt),
    ]
    parts.extend(_block(f"answer {candidate.slot}", candidate.text) for candidate in item.candidates)
    if item.choices:
        named = zip(ascii_uppercase, item.choices, strict=False)
        parts.append(_block("choices", "\n".join(f"{letter}. {choice}" for letter, choice in named)))
    outcome = _outcome(conversation)
    if item.reference is not None:
        what = "reference" if outcome is None else "known answer"
        parts.append(_block(f"{what} (no model is shown it)", item.reference))
    shown: int | None = None
    for turn in conversation.turns:
        if turn.round is not None and turn.round != shown:
            parts.append(Text(f"\nRound {turn.round}", style="bold cyan"))
        shown = turn.round
        parts.append(_turn(turn, outcome))
    judged = any(isinstance(turn.message, (VoteCast, DraftsCompared, DraftScored)) for turn in conversation.turns)
    if judged and any(model.startswith(f"{EMBEDDED}/smollm2") for model in models):
        parts.append(Text(f"\n{TOO_SMALL}", style="yellow"))
    return Group(*parts)


def _block(title: str, text: str) -> RenderableType:
    return Group(Text(f"\n{title}", style="dim"), Padding(Text(plain(text.strip())), (0, 0, 0, 2)))


def _outcome(conversation: Talk) -> ItemFinished | None:
    """Return the outcome of a question that was answered, or of one whose answers came to nothing."""
    solved = any(
        isinstance(turn.message, DraftWritten) and (turn.message.answer is not None or turn.message.unread)
        for turn in conversation.turns
    )
    ends = [turn.message for turn in conversation.turns if isinstance(turn.message, ItemFinished)]
    found = ends[-1] if ends else None
    answered = found is not None and (found.answer is not None or found.correct is not None)
    return found if answered else ItemFinished(number=0) if solved else None


def _turn(turn: Turn, outcome: ItemFinished | None) -> RenderableType:
    message = turn.message
    number = Text(f"\n{turn.sequence:>5} ", style="dim")
    if not isinstance(message, SPOKEN):
        said = remark(turn.speaker, message)
        if isinstance(message, DecisionMade) and message.answer is not None and outcome is not None:
            said += rightness(outcome.correct) if message.answer == outcome.answer else ""
        return number.append(plain(said), style="bold not dim")
    head = number.append(plain(turn.speaker), style="bold green not dim")
    head.append(f" {did(message)}", style="not bold")
    if turn.heard_by:
        head.append(f" → {', '.join(turn.heard_by)}", style="not bold")
    effort = turn.effort
    requests = f"{effort.calls} calls, " if effort.calls != 1 else ""
    usage = effort.usage
    head.append(
        f"   {requests}{usage.input_tokens}+{usage.output_tokens} tokens, {effort.seconds:.1f} s",
        style="dim not bold",
    )
    return Group(head, Padding(Text(plain(words(message))), (0, 0, 0, 6)))


def did(message: Message) -> str:  # noqa: PLR0911 - one for each sort
    """Return what an agent did by saying something, as in `votes a, a 7 : b 5 (combined of 10, shown ab)`."""
    match message:
        case SummaryWritten() | ApprovalGiven() | CriteriaProposed() | QuestionAsked():
            return _moderated(message)
        case DraftWritten() if message.unread or message.answer is not None:
            return _solved(message)
        case FeedbackGiven():
            return f"gives feedback, {message.score:g} of {message.scale}"
        case VoteCast():
            return f"votes {message.verdict}{scores(message)}{_how(message.judging, message)}"
        case DraftsCompared():
            names = f"compares {message.first} (a) and {message.second} (b): "
            return f"{names}{message.verdict}{scores(message)}{_how(message.judging, message)}"
        case DraftScored():
            score = "unread" if message.score is None else f"{message.score:g} of {message.scale}"
            return f"scores {message.draft}: {score}"
        case _:
            version = getattr(message, "version", None)
            return (f"writes draft {version}" if version else "argues") + _cut_off(message)


def _solved(message: DraftWritten) -> str:
    if message.answer is None:
        return f"writes solution {message.version}: no answer could be read{_cut_off(message)}"
    sure = "" if message.confidence is None else f", {100 * message.confidence:.0f} % sure"
    return f"writes solution {message.version}, answer {on_a_line(message.answer)}{sure}{_cut_off(message)}"


def _moderated(message: SummaryWritten | ApprovalGiven | CriteriaProposed | QuestionAsked) -> str:
    match message:
        case SummaryWritten():
            return f"sums up{', in place of what was said before' if message.replaces else ''}{_cut_off(message)}"
        case ApprovalGiven():
            rulings = {True: "approves", False: "does not approve", None: "rules: unread, which is no approval"}
            return rulings[message.approved]
        case CriteriaProposed():
            count = len(message.criteria)
            return f"proposes {count} {'criterion' if count == 1 else 'criteria'}"
        case QuestionAsked():
            return f"asks{_cut_off(message)}"


def _cut_off(message: Message) -> str:
    return ", cut off at the token limit" if getattr(message, "cut_off", False) else ""


def _how(judging: Judging, vote: VoteCast | DraftsCompared) -> str:
    scale = f" of {judging.scale}" if judging.strategy != "direct" else ""
    orders = "+".join(ballot.order for ballot in vote.ballots)
    return f" ({judging.strategy}{scale}, shown {orders})"


def words(message: Message) -> str:
    """Return an agent's own words; of a ballot or a score, its reasons."""
    if isinstance(message, (DraftScored, ApprovalGiven)):
        return message.reason
    if isinstance(message, DraftWritten):
        return message.text
    if isinstance(message, (VoteCast, DraftsCompared)):
        return "\n\n".join(_reason(ballot) for ballot in message.ballots if ballot.reason)
    return message.said() if isinstance(message, SPOKEN) else ""


def _reason(ballot: Ballot) -> str:
    return ballot.reason if ballot.order == "ab" else f"(Here A is the item's b, and B its a.) {ballot.reason}"
