"""What was decided of an item, and how each voter voted, as scores of an Inspect sample."""

from collections import Counter
from typing import Any

from ...protocols.generation import DraftWritten
from ...protocols.items import Item
from ...protocols.jury import VoteCast
from ...protocols.lifecycle import DecisionMade, ItemFinished
from ...protocols.messages import Message
from ...protocols.review import FeedbackGiven
from ..remarks import remark
from ..traces.talk import Talk, Turn
from ..traces.transcript import did, words
from .inspect_terms import Json

VERDICT, AGREEMENT, ANSWER = "verdict", "agreement", "answer"
"""Names of scores of the whole item. Those of agents have a blank in them, which no agent's name has."""
RIGHT = {True: "C", False: "I"}
"""Inspect's words for correct and incorrect, from which it reckons an accuracy."""
NO_ANSWER = "N"


def majority(item: Item) -> str | None:
    """Return what most people say of an item: of a split `tie`; None where nobody says anything."""
    counts = Counter(vote.verdict for vote in item.human).most_common(2)
    if not counts:
        return None
    return "tie" if len(counts) > 1 and counts[0][1] == counts[1][1] else counts[0][0]


def target(item: Item) -> str:
    """Return what an item should come to: of a question its known answer, else what most people say; empty for none."""
    if item.choices or not item.human:
        return item.reference or ""
    return majority(item) or ""


def scores(talk: Talk) -> dict[str, Json]:
    """Return the scores of a conversation by name, those of the whole item first; none of an open one but votes."""
    found: dict[str, Json] = {}
    finished = talk.outcome
    if isinstance(finished, ItemFinished):
        found |= _of_item(talk, finished)
    for turn in talk.turns:
        own = vote(turn)
        if own is not None:
            found[own[0]] = own[1]
    return found


def vote(turn: Turn) -> tuple[str, Json] | None:
    """Return the name and the score of a vote, a solution or feedback; None of anything else that was said."""
    message = turn.message
    metadata: dict[str, Any] = {"event": turn.sequence, "round": turn.round}
    if isinstance(message, VoteCast):
        metadata |= {
            "score_a": message.score_a,
            "score_b": message.score_b,
            "confidence": message.confidence,
            "judging": message.judging.model_dump(mode="json"),
            "ballots": [ballot.model_dump(mode="json", exclude={"reason"}) for ballot in message.ballots],
        }
        return f"vote {turn.speaker}", _score(message.verdict, message.verdict, _told(message), metadata)
    if isinstance(message, DraftWritten) and (message.answer is not None or message.unread):
        metadata["confidence"] = message.confidence
        said = "unread" if message.answer is None else message.answer
        return f"answer {turn.speaker}", _score(said, said, did(message), metadata)
    if isinstance(message, FeedbackGiven):
        metadata |= {"scale": message.scale, "on": message.on}
        return f"feedback {turn.speaker}", _score(message.score, None, _told(message), metadata)
    return None


def _told(message: Message) -> str:
    return "\n\n".join(filter(None, (did(message), words(message))))


def _of_item(talk: Talk, finished: ItemFinished) -> dict[str, Json]:
    found: dict[str, Json] = {}
    decision = talk.decision
    about = None if decision is None else remark("conductor", decision)
    metadata: dict[str, Any] = {} if decision is None else _decided(decision)
    if finished.answer is not None or finished.correct is not None:
        value = RIGHT[finished.correct] if finished.correct is not None else finished.answer or NO_ANSWER
        found[ANSWER] = _score(value, finished.answer, about, metadata)
    elif finished.verdict is not None:
        found[VERDICT] = _score(finished.verdict, finished.verdict, about, metadata)
        people = majority(talk.item)
        if people is not None and finished.verdict != "unread":
            told = f"People say {people}, by majority of {len(talk.item.human)} votes; a split is a tie"
            found[AGREEMENT] = _score(RIGHT[finished.verdict == people], finished.verdict, told, {})
    return found


def _decided(decision: DecisionMade) -> dict[str, Any]:
    return decision.model_dump(mode="json", exclude={"kind", "answer"}, exclude_none=True)


def _score(value: str | float, answer: str | None, explanation: str | None, metadata: dict[str, Any]) -> Json:
    kept = {key: value for key, value in metadata.items() if value is not None}
    facts = {"value": value, "answer": answer, "explanation": explanation, "metadata": kept or None}
    return {key: fact for key, fact in facts.items() if fact is not None}
