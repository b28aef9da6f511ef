"""One conversation while it is gone through, and the candidates that were made in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ...protocols.items import Turn
from ...protocols.judging import Ballot as Cast
from ...protocols.messages import named
from ...protocols.pairing import Data, PairCandidate, Preference
from ...protocols.review import FeedbackGiven
from ...runtime.log import LogReader
from .pair import Ballot, Pair, Side
from .played import Played

Words = tuple[str | None, str | None]
"""A text, or the digest by which the log keeps it."""


@dataclass(slots=True)
class Said:
    """A draft or feedback."""

    agent: str
    number: int
    """Round."""
    words: Words
    asked: list[tuple[str, str]]
    """Role and digest of each message of the request that led to it."""
    cut_off: bool = False


@dataclass(slots=True)
class Talk:
    """What a conversation has come to so far."""

    log: LogReader
    played: Played
    opened: dict[str, Any]
    said: dict[str, Said] = field(default_factory=dict[str, Said])
    """By name, as in `writer/2`."""
    votes: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    """Judge and comparison, or score, of drafts; or vote on the item's own candidates."""
    decision: dict[str, Any] | None = None
    made: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _calls: dict[str, tuple[list[tuple[str, str]], str | None]] = field(
        default_factory=dict[str, tuple[list[tuple[str, str]], str | None]]
    )
    """Of each agent since it last said something: what it was asked first, and what it answered last."""

    def take(self, sender: str, kind: str, content: dict[str, Any], digest: str | None) -> None:
        """Take in what was said."""
        match kind:
            case "model_called":
                first, _ = self._calls.get(sender, ([], None))
                messages = [(str(role), str(text)) for role, text in content["messages"]]
                self._calls[sender] = (first or messages, content.get("text"))
            case "draft_written":
                asked, _ = self._calls.pop(sender, ([], None))
                words = (content.get("text"), digest)
                cut_off = bool(content.get("cut_off", False))
                self.said[named(sender, content["version"])] = Said(sender, content["round"], words, asked, cut_off)
            case "feedback_given":
                asked, answer = self._calls.pop(sender, ([], None))
                if content.get("number") is not None:
                    words = (answer or FeedbackGiven.model_validate(content).said(), None)
                    self.said[named(sender, content["number"])] = Said(sender, content["round"], words, asked)
            case "drafts_compared" | "draft_scored" | "vote_cast":
                self._calls.pop(sender, None)
                self.votes.append((sender, content))
            case "decision_made":
                self.decision = content
            case _:
                self.made.append(content)

    def pairs(self) -> Iterator[Pair]:
        """Return all candidates that were made; what two steps make of the same texts is one, kept if one keeps it."""
        made = {content["step"]: content for content in self.made}  # of one made again, the last counts
        found: dict[tuple[Data, str, str | None], tuple[PairCandidate, str]] = {}
        for content in made.values():
            for each in content["candidates"]:
                candidate = PairCandidate.model_validate(each)
                name = (content["data"], candidate.first, candidate.second)
                if name not in found or (found[name][0].dropped is not None and candidate.dropped is None):
                    found[name] = candidate, content["step"]
        for (data, _, _), (candidate, step) in found.items():
            yield self._pair(data, candidate, step)

    # what every pair says of its item

    @property
    def item(self) -> dict[str, Any]:
        """Return the item as it was opened."""
        found: dict[str, Any] = self.opened["item"]
        return found

    @property
    def item_id(self) -> str:
        """Return the item's id in its data set."""
        variant = self.played.variant
        return str(self.item["id"]).removeprefix(f"{variant}/" if variant else "")

    def request(self) -> tuple[Turn, ...]:
        """Return the item's prompt as messages, with what was said before it."""
        history = tuple(Turn(role=turn["role"], content=turn["content"]) for turn in self.item.get("history", ()))
        return (*history, Turn(role="user", content=self.item["prompt"]))

    # one of them

    def _pair(self, data: Data, candidate: PairCandidate, step: str) -> Pair:
        preference = candidate.preference
        swapped = preference is not None and preference.verdict == "b"
        first, second = candidate.first, candidate.second
        better, worse = (second, first) if swapped else (first, second)
        scores: tuple[float | None, float | None] = (None, None)
        if preference is not None:
            one, other = preference.score_first, preference.score_second
            scores = (other, one) if swapped else (one, other)
        votes = preference.votes if preference is not None else (0, 0, 0, 0)
        return Pair(
            number=self.opened["number"],
            item=self.item_id,
            variant=self.played.variant or None,
            data=data,
            of=candidate.of,
            prompt=self.request() if candidate.of == "answer" else self._asked(candidate, better, worse),
            request=self.request(),
            chosen=self._side(better, scores[0]),
            rejected=self._side(worse, scores[1]),
            margin=preference.margin if preference is not None else None,
            scale=preference.scale if preference is not None else None,
            votes=(votes[2], votes[1], votes[0], votes[3]) if swapped else votes,
            ballots=tuple(self._ballots(preference)) if preference is not None else (),
            dropped=candidate.dropped,
            step=step,
        )

    def _asked(self, candidate: PairCandidate, better: str | None, worse: str | None) -> tuple[Turn, ...]:
        """Return what the agent's model was sent: of a revision, the request to revise; of feedback, to give it."""
        name = candidate.first if candidate.of == "revision" else better or worse
        said = self.said[name or candidate.first]
        return tuple(Turn.model_validate({"role": role, "content": self.log.text(text)}) for role, text in said.asked)

    def _side(self, name: str | None, score: float | None) -> Side | None:
        if name is None:
            return None
        said = self.said[name]
        text, digest = said.words
        return Side(
            event=name,
            agent=said.agent,
            model=self.played.models.get(said.agent),
            text=text if text is not None else self.log.text(digest or ""),
            round=said.number,
            score=score,
            cut_off=said.cut_off,
            prompt_digest=self.played.prompts.get(said.agent, ""),
        )

    def _ballots(self, preference: Preference) -> Iterator[Ballot]:
        """Return each judge's ballots, in terms of what is chosen; those of a tie in terms of the first."""
        drafts = (preference.first, preference.second)
        for judge in preference.judges:
            compared = [
                vote
                for who, vote in self.votes
                if who == judge and {vote.get("first"), vote.get("second")} == {*drafts}
            ]
            if compared:
                swapped = (compared[-1]["first"] == preference.second) != (preference.verdict == "b")
                for ballot in compared[-1]["ballots"]:
                    yield ballot_of(judge, self.played.models.get(judge), Cast.model_validate(ballot), swapped=swapped)
            else:
                yield self._scored(judge, preference)

    def _scored(self, judge: str, preference: Preference) -> Ballot:
        scores = {vote["draft"]: vote.get("score") for who, vote in self.votes if who == judge and "draft" in vote}
        first, second = scores.get(preference.first), scores.get(preference.second)
        chosen, rejected = (second, first) if preference.verdict == "b" else (first, second)
        if chosen is None or rejected is None:
            return Ballot(judge, self.played.models.get(judge), "alone", "unread", chosen, rejected)
        verdict = "tie" if chosen == rejected else "chosen" if chosen > rejected else "rejected"
        return Ballot(judge, self.played.models.get(judge), "alone", verdict, chosen, rejected)  # type: ignore[arg-type]


def ballot_of(judge: str, model: str | None, cast: Cast, *, swapped: bool) -> Ballot:
    """Return a ballot in terms of what is chosen, which is a, or where it is swapped b."""
    named_a, named_b = ("rejected", "chosen") if swapped else ("chosen", "rejected")
    verdict = {"a": named_a, "b": named_b}.get(cast.verdict, cast.verdict)
    first = named_a if cast.order == "ab" else named_b
    scores = (cast.score_b, cast.score_a) if swapped else (cast.score_a, cast.score_b)
    return Ballot(judge, model, f"{first}-first", verdict, *scores)  # type: ignore[arg-type]
