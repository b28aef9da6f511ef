"""What happens around a talk, in a line each: where it went, what was decided, how it ended."""

from ..protocols.comparing import DraftsCompared, MatchDecided
from ..protocols.jury import VoteCast
from ..protocols.lifecycle import (
    AgentFailed,
    AgentRecused,
    AgentsExcused,
    AskingEnded,
    BranchesOpened,
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
from ..protocols.pairing import PairsMade

LONGEST_ANSWER = 80
"""Characters of an answer on a line."""


def remark(speaker: str, message: Message) -> str:  # noqa: PLR0911 - one for each sort
    """Return what happened around the talk, as one line."""
    match message:
        case DecisionMade() | MatchDecided() | DraftPicked() | PairsMade():
            return _decided(message)
        case ConditionMet() | AskingEnded() | BranchTaken() | BranchesOpened() | AgentsExcused():
            return _went(message)
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


def _went(message: ConditionMet | AskingEnded | BranchTaken | BranchesOpened | AgentsExcused) -> str:
    """Return which way the flow went, as one line."""
    match message:
        case ConditionMet():
            branch = f" in branch {message.branch}" if message.branch is not None else ""
            return f"Enough after round {message.round}{branch}: {message.until}"
        case AskingEnded():
            return f"Enough: {message.until}; not asked: {', '.join(message.spared)}"
        case BranchTaken():
            branch = f" (branch {message.branch})" if message.branch is not None else ""
            return f"{message.when}: {'yes' if message.holds else 'no'}{branch}"
        case BranchesOpened():
            more = f"; {message.left_out} more are left out" if message.left_out else ""
            return f"For each {message.each}: {' | '.join(map(on_a_line, message.values)) or 'nothing'}{more}"
        case AgentsExcused():
            return f"Not asked, by {message.reason}: {', '.join(message.agents)}"


def _votes(number: int) -> str:
    return f"{number} {'vote' if number == 1 else 'votes'}"


def _decided(message: DecisionMade | MatchDecided | DraftPicked | PairsMade) -> str:
    """Return what was made of what was said, as one line; of pairs, one a line."""
    match message:
        case DecisionMade():
            unread = f", {message.unread} unread" if message.unread else ""
            said = message.verdict if message.answer is None else on_a_line(message.answer)
            return f"Decision by {message.rule}: {said}{scores(message)} ({_votes(message.votes)}{unread})"
        case MatchDecided():
            unread = f", {message.unread} unread" if message.unread else ""
            names = f"{message.first} (a) against {message.second} (b)"
            if message.rule == "identical":
                return f"{names}: the same text, nobody is asked"
            return f"{names}: {message.verdict}{scores(message)} ({message.rule}, {_votes(message.votes)}{unread})"
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
            if message.answer is not None or message.correct is not None:
                said = "no answer" if message.answer is None else on_a_line(message.answer)
                return f"Outcome: {said}{rightness(message.correct)}"
            made = ", ".join(f"{count} for {data}" for data, count in (message.pairs or {}).items())
            if made or message.verdict is not None:
                return f"Outcome: {message.verdict or f'pairs: {made}'}"
            return f"Outcome: {'the draft picked' if message.text is not None else 'no answer'}"
        case ItemFailed():
            return f"Failed: {message.cause.error}: {message.cause.reason}"
        case ItemResumed():
            again = ", ".join(map(str, message.set_aside))
            return f"Another start goes on{f': what came of event {again} is set aside' if again else ''}"
        case OutcomeSetAside():
            return f"The outcome {message.outcome} counts no more: {message.reason}"


def on_a_line(answer: str) -> str:
    """Return an answer, or another text, that is no longer than a line."""
    words = " ".join(answer.split())
    return words if len(words) <= LONGEST_ANSWER else f"{words[: LONGEST_ANSWER - 1]}…"


def rightness(correct: bool | None) -> str:  # noqa: FBT001 - of an outcome
    """Return words for whether an answer is the known one; none where nobody knows."""
    return "" if correct is None else ", which is right" if correct else ", which is wrong"


def scores(vote: VoteCast | DraftsCompared | MatchDecided | DecisionMade | ItemFinished) -> str:
    """Return the scores of a vote, a decision or an outcome, where it has both."""
    if vote.score_a is None or vote.score_b is None:
        return ""
    return f", a {vote.score_a:g} : b {vote.score_b:g}"
