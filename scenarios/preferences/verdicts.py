"""A candidate out of a verdict: the two answers that came with an item, as judges decided between them."""

from collections import Counter
from typing import Any

from ...protocols.judging import Ballot as Cast
from ...protocols.judging import Verdict
from ...protocols.material import identical
from ...protocols.pairing import Filters, PairCandidate, Preference, Reason, why_not
from ..measures.families import kin_of
from .pair import Pair, Side
from .talk import Talk, ballot_of


def pair_of_verdict(talk: Talk, *, own_family: bool) -> Pair:
    """Return the candidate of a conversation that decided between the item's own answers."""
    answers = {each["slot"]: each for each in talk.item["candidates"]}
    votes = dict(talk.votes)  # of each judge, the last
    preference = _preference(talk, votes)
    swapped = preference is not None and preference.verdict == "b"
    better, worse = ("b", "a") if swapped else ("a", "b")
    judges = sorted(votes, key=list(talk.played.models).index)
    count = preference.votes if preference is not None else (0, 0, 0, 0)
    scores = {
        "a": preference.score_first if preference is not None else None,
        "b": preference.score_second if preference is not None else None,
    }
    candidate = PairCandidate(of="answer", first="a", second="b", preference=preference)
    return Pair(
        number=talk.opened["number"],
        item=talk.item_id,
        variant=talk.played.variant or None,
        data="generation",
        of="answer",
        prompt=talk.request(),
        chosen=_side(answers[better], scores[better]),
        rejected=_side(answers[worse], scores[worse]),
        margin=preference.margin if preference is not None else None,
        scale=preference.scale if preference is not None else None,
        votes=(count[2], count[1], count[0], count[3]) if swapped else count,
        ballots=tuple(
            ballot_of(judge, talk.played.models.get(judge), Cast.model_validate(ballot), swapped=swapped)
            for judge in judges
            for ballot in votes[judge]["ballots"]
        ),
        dropped=_why(talk, candidate, answers, judges, own_family=own_family),
    )


def _why(
    talk: Talk, candidate: PairCandidate, answers: dict[str, Any], judges: list[str], *, own_family: bool
) -> Reason | None:
    same = identical(answers["a"]["text"], answers["b"]["text"])
    families = {kin_of(str(answer["model"])) for answer in answers.values() if answer.get("model")}
    if not own_family and not same and any(talk.played.families.get(judge) in families for judge in judges):
        return "own family"
    return why_not(candidate, Filters(), identical=same)


def _preference(talk: Talk, votes: dict[str, dict[str, Any]]) -> Preference | None:
    if talk.decision is None:
        return None
    verdict: Verdict = talk.decision["verdict"]
    count = Counter(vote["verdict"] for vote in votes.values())
    scored = "score_a" in talk.decision and "score_b" in talk.decision
    return Preference(
        first="a",
        second="b",
        verdict=verdict,
        score_first=talk.decision["score_a"] if scored else None,
        score_second=talk.decision["score_b"] if scored else None,
        scale=talk.played.scale if scored else None,
        votes=(count["a"], count["tie"], count["b"], count["unread"]),
        judges=tuple(votes),
    )


def _side(answer: dict[str, Any], score: float | None) -> Side:
    return Side(
        event=answer["slot"],
        agent=answer["slot"],
        model=answer.get("model"),
        text=answer["text"],
        round=0,
        score=score,
    )
