"""What a fact says of how good something is: votes, ballots, scores and verdicts, out of bodies as the log has them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .records import Attributes, Value

Body = Mapping[str, Any]
UNREAD = "unread"
UNREAD_ERROR = "UnreadAnswer"


class How:
    """How an evaluation came about: much the same for all, so that there are few of them; each is equal to itself."""

    __slots__ = ("attributes",)

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        """Without the prefix of their names."""


@dataclass(slots=True)
class Evaluation:
    """One of them."""

    name: str
    about: tuple[str, ...]
    """Names of the drafts it is about, as in `writer/2`; none: the item's candidates, or the whole conversation."""
    how: How
    value: float | None = None
    """The score; of two that were compared, the first one's less the second's, so that above 0 the first is better."""
    label: str | None = None
    reason: str = ""
    unread: bool = False
    """Whether no answer could be read: then it is no vote."""
    score_a: float | None = None
    """Of two that were compared."""
    score_b: float | None = None
    confidence: float | None = None


def evaluations(kind: str, body: Body) -> Sequence[Evaluation]:
    """Return what a fact of a kind says of how good something is; nothing where it says nothing of that sort."""
    of = OF.get(kind)
    return of(body) if of is not None else ()


def _compared(name: str, body: Body, how: How, reason: str = "", about: tuple[str, ...] = ()) -> Evaluation:
    verdict: str = body["verdict"]
    found = Evaluation(name, about, how, None, verdict, reason, verdict == UNREAD)
    score_a, score_b = body.get("score_a"), body.get("score_b")
    if score_a is not None and score_b is not None:
        found.score_a, found.score_b = float(score_a), float(score_b)
        found.value = found.score_a - found.score_b
    if "confidence" in body:
        found.confidence = float(body["confidence"])
    return found


def _vote(body: Body, name: str, about: tuple[str, ...] = ()) -> Sequence[Evaluation]:
    judging, ballots = body["judging"], body["ballots"]
    how = (judging["strategy"], judging.get("scale", 0), body["round"], about)
    count = len(ballots)
    if count == 1:
        (ballot,) = ballots
        reason = ballot.get("reason", "")
        return (_compared(name, body, _voted(*how, ballots=1, order=ballot["order"]), reason, about),)
    found = [_compared(name, body, _voted(*how, ballots=count), "", about)]
    for number, ballot in enumerate(ballots, start=1):
        told = _voted(*how, order=ballot["order"], ballot=number)
        found.append(_compared("ballot", ballot, told, ballot.get("reason", ""), about))
    return found


@lru_cache(maxsize=1_024)
def _voted(strategy: str, scale: int, round: int, about: tuple[str, ...], **more: Value) -> How:  # noqa: A002 - its name
    told: Attributes = {"strategy": strategy, "round": round}
    if strategy != "direct":
        told["scale"] = scale
    return How({**told, **dict(zip(("first", "second"), about, strict=False)), **more})


def _vote_cast(body: Body) -> Sequence[Evaluation]:
    return _vote(body, "vote")


def _drafts_compared(body: Body) -> Sequence[Evaluation]:
    return _vote(body, "comparison", (body["first"], body["second"]))


def _decision_made(body: Body) -> Sequence[Evaluation]:
    how = _ruled(body["rule"], body["version"], body["votes"], body["unread"])
    return (_compared("decision", body, how),)


def _match_decided(body: Body) -> Sequence[Evaluation]:
    about = body["first"], body["second"]
    how = _ruled(body["rule"], body["version"], body["votes"], body["unread"], about)
    return (_compared("match", body, how, "", about),)


@lru_cache(maxsize=1_024)
def _ruled(rule: str, version: int, votes: int, unread: int, about: tuple[str, ...] = ()) -> How:
    told: Attributes = {"rule": rule, "rule_version": version, "votes": votes, "unread_votes": unread}
    return How({**told, **dict(zip(("first", "second"), about, strict=False))})


@lru_cache(maxsize=1_024)
def _of(round: int, **more: Value) -> How:  # noqa: A002 - its name
    return How({"round": round, **more})


_SAID = How({})


def _draft_scored(body: Body) -> Sequence[Evaluation]:
    score, draft = body.get("score"), body["draft"]
    how = _of(body["round"], scale=body["scale"], draft=draft)
    value = None if score is None else float(score)
    unread = score is None
    return (
        Evaluation("draft_score", (draft,), how, value, UNREAD if unread else None, body.get("reason", ""), unread),
    )


def _feedback_given(body: Body) -> Sequence[Evaluation]:
    about = tuple(body.get("on") or ())
    drafts = {"drafts": about} if about else {}
    how = _of(body["round"], scale=body["scale"], **drafts)
    reason = "\n\n".join(filter(None, (body["evaluation"], body["feedback"])))
    return (Evaluation("feedback", about, how, float(body["score"]), reason=reason),)


def _approval_given(body: Body) -> Sequence[Evaluation]:
    approved = body.get("approved")
    label = {True: "approved", False: "not approved", None: UNREAD}[approved]
    how = _of(body["round"])
    return (Evaluation("approval", (), how, label=label, reason=body["reason"], unread=approved is None),)


def _item_finished(body: Body) -> Sequence[Evaluation]:
    correct = body.get("correct")
    if correct is None:
        return ()
    return (Evaluation("correctness", (), _SAID, float(correct), "right" if correct else "wrong"),)


OF: dict[str, Callable[[Body], Sequence[Evaluation]]] = {
    "approval_given": _approval_given,
    "decision_made": _decision_made,
    "draft_scored": _draft_scored,
    "drafts_compared": _drafts_compared,
    "feedback_given": _feedback_given,
    "item_finished": _item_finished,
    "match_decided": _match_decided,
    "vote_cast": _vote_cast,
}
"""By kind of fact."""
