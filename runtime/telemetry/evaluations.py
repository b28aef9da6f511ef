"""What a fact says of how good something is: votes, ballots, scores and verdicts, out of bodies as the log has them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .records import Attributes, Value

Body = Mapping[str, Any]
UNREAD = "unread"
UNREAD_ERROR = "UnreadAnswer"


@dataclass(slots=True, kw_only=True)
class Evaluation:
    """One of them."""

    name: str
    about: tuple[str, ...] = ()
    """Names of the drafts it is about, as in `writer/2`; none: the item's candidates, or the whole conversation."""
    value: float | None = None
    """The score; of two that were compared, the first one's less the second's, so that above 0 the first is better."""
    label: str | None = None
    reason: str = ""
    unread: bool = False
    """Whether no answer could be read: then it is no vote."""
    scores: dict[str, float] = field(default_factory=dict[str, float])
    """What else is a measure of it, without the prefix of its name."""
    more: Attributes = field(default_factory=dict[str, Value])
    """How it came about, likewise; much the same for all."""


def evaluations(kind: str, body: Body) -> Iterator[Evaluation]:
    """Return what a fact of a kind says of how good something is; nothing where it says nothing of that sort."""
    of = OF.get(kind)
    return of(body) if of is not None else iter(())


def _compared(name: str, body: Body, more: Attributes, reason: str = "") -> Evaluation:
    score_a, score_b, verdict = body.get("score_a"), body.get("score_b"), body["verdict"]
    found = Evaluation(name=name, label=verdict, reason=reason, unread=verdict == UNREAD, more=more)
    if score_a is not None and score_b is not None:
        found.value = float(score_a) - float(score_b)
        found.scores["score_a"], found.scores["score_b"] = float(score_a), float(score_b)
    if "confidence" in body:
        found.scores["confidence"] = float(body["confidence"])
    return found


def _vote(body: Body, name: str, about: tuple[str, ...] = ()) -> Iterator[Evaluation]:
    judging, ballots = body["judging"], body["ballots"]
    how: Attributes = {"strategy": judging["strategy"], "round": body["round"]}
    if judging["strategy"] != "direct":
        how["scale"] = judging["scale"]
    if about:
        how["first"], how["second"] = about
    alone = len(ballots) == 1
    told = {**how, "ballots": len(ballots), **({"order": ballots[0]["order"]} if alone else {})}
    found = [_compared(name, body, told, ballots[0].get("reason", "") if alone else "")]
    for number, ballot in enumerate(() if alone else ballots, start=1):
        more = {**how, "order": ballot["order"], "ballot": number}
        found.append(_compared("ballot", ballot, more, ballot.get("reason", "")))
    for one in found:
        one.about = about
    return iter(found)


def _vote_cast(body: Body) -> Iterator[Evaluation]:
    return _vote(body, "vote")


def _drafts_compared(body: Body) -> Iterator[Evaluation]:
    return _vote(body, "comparison", (body["first"], body["second"]))


def _decided(name: str, body: Body) -> Evaluation:
    votes = {"votes": body["votes"], "unread_votes": body["unread"]}
    return _compared(name, body, {"rule": body["rule"], "rule_version": body["version"], **votes})


def _decision_made(body: Body) -> Iterator[Evaluation]:
    yield _decided("decision", body)


def _match_decided(body: Body) -> Iterator[Evaluation]:
    one = _decided("match", body)
    one.about = (body["first"], body["second"])
    one.more["first"], one.more["second"] = one.about
    yield one


def _draft_scored(body: Body) -> Iterator[Evaluation]:
    score = body.get("score")
    yield Evaluation(
        name="draft_score",
        about=(body["draft"],),
        value=None if score is None else float(score),
        label=UNREAD if score is None else None,
        reason=body.get("reason", ""),
        unread=score is None,
        more={"round": body["round"], "scale": body["scale"], "draft": body["draft"]},
    )


def _feedback_given(body: Body) -> Iterator[Evaluation]:
    about = tuple(body.get("on") or ())
    yield Evaluation(
        name="feedback",
        about=about,
        value=float(body["score"]),
        reason="\n\n".join(filter(None, (body["evaluation"], body["feedback"]))),
        more={"round": body["round"], "scale": body["scale"], **({"drafts": about} if about else {})},
    )


def _approval_given(body: Body) -> Iterator[Evaluation]:
    approved = body.get("approved")
    yield Evaluation(
        name="approval",
        label={True: "approved", False: "not approved", None: UNREAD}[approved],
        reason=body["reason"],
        unread=approved is None,
        more={"round": body["round"]},
    )


def _item_finished(body: Body) -> Iterator[Evaluation]:
    correct = body.get("correct")
    if correct is not None:
        yield Evaluation(name="correctness", value=float(correct), label="right" if correct else "wrong")


OF: dict[str, Callable[[Body], Iterator[Evaluation]]] = {
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
