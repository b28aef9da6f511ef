"""What a fact says of how good something is: votes, ballots, scores and verdicts, from the bodies that are in the log."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .records import Attributes

Body = Mapping[str, Any]
UNREAD = "unread"
UNREAD_ERROR = "UnreadAnswer"


@dataclass(slots=True, kw_only=True)
class Evaluation:
    """One of them."""

    name: str
    about: tuple[str, ...] = ()
    """Names of the drafts it is about, as in `writer/2`; none: the item's candidates, or the conversation as a whole."""
    value: float | None = None
    """The score; of two that were compared, the first one's less the second's, so that above 0 the first is better."""
    label: str | None = None
    reason: str = ""
    unread: bool = False
    """Whether no answer could be read: then it is no vote."""
    more: Attributes = field(default_factory=dict[str, "str | int | float | bool | tuple[str, ...]"])
    """Without the prefix of their names."""


def evaluations(kind: str, body: Body) -> Iterator[Evaluation]:
    """Return what a fact of a kind says of how good something is; nothing where it says nothing of that sort."""
    of = OF.get(kind)
    return of(body) if of is not None else iter(())


def _compared(name: str, body: Body, *, reason: str = "", **more: str | float) -> Evaluation:
    score_a, score_b, verdict = body.get("score_a"), body.get("score_b"), body["verdict"]
    told: Attributes = dict(more)
    if score_a is not None and score_b is not None:
        told["score_a"], told["score_b"] = float(score_a), float(score_b)
    if "confidence" in body:
        told["confidence"] = float(body["confidence"])
    value = float(score_a) - float(score_b) if score_a is not None and score_b is not None else None
    return Evaluation(name=name, value=value, label=verdict, reason=reason, unread=verdict == UNREAD, more=told)


def _vote(body: Body, name: str, about: tuple[str, ...] = ()) -> Iterator[Evaluation]:
    judging, ballots = body["judging"], body["ballots"]
    how = {"strategy": judging["strategy"], "round": body["round"]}
    if judging["strategy"] != "direct":
        how["scale"] = judging["scale"]
    reason = ballots[0].get("reason", "") if len(ballots) == 1 else ""
    whole = _compared(name, body, reason=reason, **how, ballots=len(ballots))
    if len(ballots) == 1:
        whole.more["order"] = ballots[0]["order"]
    whole.about = about
    yield whole
    if len(ballots) > 1:
        for number, ballot in enumerate(ballots, start=1):
            one = _compared(
                "ballot", ballot, reason=ballot.get("reason", ""), **how, order=ballot["order"], ballot=number
            )
            one.about = about
            yield one


def _vote_cast(body: Body) -> Iterator[Evaluation]:
    return _vote(body, "vote")


def _drafts_compared(body: Body) -> Iterator[Evaluation]:
    for one in _vote(body, "comparison", (body["first"], body["second"])):
        one.more["first"], one.more["second"] = body["first"], body["second"]
        yield one


def _decided(name: str, body: Body) -> Evaluation:
    return _compared(
        name, body, rule=body["rule"], rule_version=body["version"], votes=body["votes"], unread_votes=body["unread"]
    )


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
