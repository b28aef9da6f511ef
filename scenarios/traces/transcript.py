"""A conversation as a person would read it, on a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Literal

from rich.console import Group, RenderableType
from rich.text import Text

from ...protocols.comparing import DraftsCompared, DraftScored
from ...protocols.generation import DraftWritten
from ...protocols.items import Item
from ...protocols.judging import Ballot, Judging
from ...protocols.jury import VoteCast
from ...protocols.lifecycle import DecisionMade, ItemFailed, ItemFinished
from ...protocols.messages import Message
from ...protocols.models import EMBEDDED
from ...protocols.moderation import ApprovalGiven, CriteriaProposed, QuestionAsked, SummaryWritten
from ...protocols.review import FeedbackGiven
from ...runtime.printable import plain
from ..remarks import on_a_line, remark, rightness, scores
from ..terminal import TOO_SMALL
from .amounts import moment, span, took, whole, why
from .calls import Call
from .lines import Headed, Indented
from .talk import IN_A_REPEAT, SPOKEN, Awaited, Effort, Talk, Turn
from .told import block, prompt

NUMBERED = 6
"""Columns in front of what is said, in which its number stands."""
LONGEST_LINE = 500
"""Characters of what is said in one line, before it is cut to what there is room for."""
STYLES: Mapping[Literal["done", "failed", "open"], str] = {"done": "green", "failed": "red", "open": "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What those know who look at a conversation in its run, and what more they want to see."""

    note: str = ""
    """Shown above it."""
    now_s: float | None = None
    """In seconds since the epoch; none where nobody works at it."""
    calls: Mapping[int, Sequence[Call]] = field(default_factory=dict[int, Sequence[Call]])
    """By sequence of a turn or a command: those whose prompts are shown."""
    heard: Mapping[str, str] = field(default_factory=dict[str, str])
    """By agent: the last words of an answer on its way."""


def transcript(conversation: Talk, *, models: Sequence[str] = (), around: Around | None = None) -> RenderableType:
    """Return a conversation as a person would read it.

    Args:
        conversation: Which.
        models: Whom its run has called.
        around: What is shown beside it.
    """
    around = around or Around()
    parts: list[RenderableType] = [*_head(conversation, around)]
    outcome = _outcome(conversation)
    parts += _item(conversation.item, "reference" if outcome is None else "known answer")
    shown: tuple[str, int] | None = None
    before_s = conversation.began_s
    for turn in conversation.turns:
        place = _round(turn)
        if place is not None and place != shown:
            parts.append(Text(f"\nRound {turn.round}", style="bold cyan"))
        elif place is None and turn.said and shown is not None:
            parts.append(Text(f"\nAfter round {shown[1]}", style="bold cyan"))
        shown = place if turn.said else shown
        parts += _turn(turn, outcome, turn.time_s - before_s, around)
        before_s = turn.time_s
    for awaited in conversation.awaited:
        parts += _awaited(awaited, around)
    took = whole(conversation.effort, conversation.seconds)
    parts += [Text(), Indented(Text(took, style="dim"), 0)]
    judged = any(isinstance(turn.message, (VoteCast, DraftsCompared, DraftScored)) for turn in conversation.turns)
    if judged and any(model.startswith(f"{EMBEDDED}/smollm2") for model in models):
        parts.append(Text(f"\n{TOO_SMALL}", style="yellow"))
    return Group(*parts)


def _head(conversation: Talk, around: Around) -> Iterator[RenderableType]:
    name = Text.assemble("Item ", plain(conversation.item.id), style="bold")
    yield Headed(name, Text(plain(result(conversation)), style=STYLES[conversation.state]), 0)
    facts = [f"conversation {conversation.conversation}", f"begun {moment(conversation.began_s)}"]
    if conversation.over is not None:
        facts.append(f"in place of {conversation.over}")
    yield Indented(Text(plain(", ".join(facts)), style="dim"), 0)
    if around.note:
        yield Indented(Text(plain(around.note), style="yellow"), 0)


def _item(item: Item, reference: str) -> Iterator[RenderableType]:
    """Return what the models are shown of an item, and what they are not."""
    for said in item.history:
        yield from block(f"before: {said.role}", said.content)
    yield from block("request", item.prompt)
    for candidate in item.candidates:
        yield from block(
            f"answer {candidate.slot}" + (f", by {candidate.model}" if candidate.model else ""), candidate.text
        )
    if item.choices:
        named = zip(ascii_uppercase, item.choices, strict=False)
        yield from block("choices", "\n".join(f"{letter}. {choice}" for letter, choice in named))
    if item.reference is not None:
        yield from block(f"{reference} (no model is shown it)", item.reference)


def result(conversation: Talk) -> str:
    """Return what became of it, in short."""
    outcome = conversation.outcome
    if isinstance(outcome, ItemFailed):
        return f"failed: {outcome.cause.error}"
    if outcome is None:
        return "open"
    result = on_a_line(outcome.answer) if outcome.answer is not None else outcome.verdict
    return f"done: {result}{scores(outcome)}{rightness(outcome.correct)}" if result is not None else "done"


def _round(turn: Turn) -> tuple[str, int] | None:
    """Return which repeat something was said in, and in which round."""
    found = IN_A_REPEAT.search(turn.step)
    return (turn.step[: found.start() + 1], turn.round) if found and turn.round is not None else None


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


def _turn(turn: Turn, outcome: ItemFinished | None, since_s: float, around: Around) -> Iterator[RenderableType]:
    message, number = turn.message, _number(turn.sequence)
    after = f"+{span(since_s)}"
    yield Text()
    if not turn.said:
        said = remark(turn.speaker, message)
        if isinstance(message, DecisionMade) and message.answer is not None and outcome is not None:
            said += rightness(outcome.correct) if message.answer == outcome.answer else ""
        took_it = f"{took(turn.effort)}, {after}" if turn.effort.called else ""
        yield Headed(Text(plain(said), style="bold"), Text(took_it, style="dim"), NUMBERED, number)
    else:
        took_it = ", ".join(filter(None, (took(turn.effort), after)))
        yield Headed(_doing(turn), Text(took_it, style="dim"), NUMBERED, number)
    if turn.said or len(turn.effort.errors) > 1:  # one alone is what the line says
        yield from _wrong(turn.effort)
    calls = around.calls.get(turn.sequence, ())
    for call in calls:
        yield from prompt(call, NUMBERED)
    if turn.said:
        yield from [Text()] if calls else []
        yield Indented(Text(plain(words(message))), NUMBERED)


def line(turn: Turn) -> Text:
    """Return a turn on one line: what was done, and the beginning of the words."""
    shown = Text().append_text(_number(turn.sequence)).append(" ")
    if not turn.said:
        return shown.append(" ".join(plain(remark(turn.speaker, turn.message)).split()), style="bold")
    shown.append_text(_doing(turn))
    said = " ".join(plain(words(turn.message)).split())
    return shown.append(f": {said[:LONGEST_LINE]}") if said else shown


def _doing(turn: Turn) -> Text:
    """Return who did what, and who heard it."""
    head = Text.assemble((plain(turn.speaker), "bold green"), f" {plain(did(turn.message))}")
    return head.append(f" → {plain(', '.join(turn.heard_by))}") if turn.heard_by else head


def _awaited(awaited: Awaited, around: Around) -> Iterator[RenderableType]:
    """Return who has not answered yet, to what, and since when."""
    since = "" if around.now_s is None else f", for {span(around.now_s - awaited.time_s)} now"
    asked = awaited.command.kind.replace("_", " ")
    head = Text.assemble((plain(awaited.agent), "bold yellow"), plain(f" was asked ({asked}): no answer yet{since}"))
    yield Text()
    yield Headed(head, Text(took(awaited.effort), style="dim"), NUMBERED, _number(awaited.sequence))
    yield from _wrong(awaited.effort)
    for call in around.calls.get(awaited.sequence, ()):
        yield from prompt(call, NUMBERED)
    if heard := around.heard.get(awaited.agent):
        yield Indented(Text(plain(heard), style="dim"), NUMBERED)


def _wrong(effort: Effort) -> Iterator[RenderableType]:
    if effort.errors:
        yield Indented(Text(plain(f"went wrong: {why(effort.errors)}"), style="red"), NUMBERED)


def _number(sequence: int) -> Text:
    return Text(f"{sequence:>5}", style="dim")


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
