"""The votes of a run, from its log: one rating a ballot, and what people said of the same items."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from ...protocols.errors import DeclarationError
from ...runtime.log import LogReader
from ...runtime.log.faults import damaged
from .drafts import DraftVotes
from .rating import Rating
from .votes import add_cost, ballots_of, prompt_digest

KINDS = ("item_opened", "model_called", "vote_cast", "decision_made", "item_finished", "item_failed")


@dataclass(slots=True)
class _Talk:
    """What a conversation has come to so far."""

    opened: dict[str, Any]
    votes: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """The last of each voter."""
    decision: dict[str, Any] | None = None
    costs: dict[str, float | None] = field(default_factory=dict[str, float | None])
    """Of each agent; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays in a scenario, as it was noted."""

    name: str
    """What the verdict's rater is called."""
    voters: Mapping[str, str]
    """The model of each agent."""
    alone: bool
    """Whether there is one voter, whose vote is the verdict."""

    def place(self, agent: str) -> int:
        """Return where an agent stands in the scenario."""
        return list(self.voters).index(agent) if agent in self.voters else len(self.voters)

    def rater(self, agent: str, *, prefixed: bool) -> str:
        """Return what a voter is called among raters."""
        if self.alone:
            return self.name if prefixed else agent
        return f"{self.name}:{agent}"


def run_ratings(log: LogReader) -> Iterator[Rating]:
    """Return a run's votes about the items that have an outcome, in the order of the data set.

    Of a run that gives no verdicts these are what judges said of drafts; see DraftVotes. Else a
    voter's last vote counts, one rating a ballot. Where several vote, the verdict is a rating of its own, under the
    scenario's name. An item that failed is an unread one. Every item's human votes come once.

    Raises:
        DeclarationError: the run gives no verdicts and no judge compared drafts in it, or it does not say what was
            played.
    """
    fold = _fold(log)
    return (rating for _, ratings in sorted(fold.ended(), key=lambda pair: pair[0]) for rating in ratings)


def _fold(log: LogReader) -> "_Fold | DraftVotes":
    text = log.meta("played")
    if text is None:
        raise DeclarationError(f"{log.path.parent} does not say what was played")
    played: dict[str, Any] = orjson.loads(text)
    if played["scenario"]["gives"] == "verdict":
        return _Fold(log, played)
    if log.count("drafts_compared"):
        return DraftVotes(log, played)
    raise DeclarationError(
        f"{log.path.parent} gives no verdicts, and no judge has compared drafts in it: there is nothing to rate by"
    )


class _Fold:
    def __init__(self, log: LogReader, played: dict[str, Any]) -> None:
        self._log = log
        self._swept = "variants" in played
        self._casts = {name: cast_of(name, record) for name, record in played.get("variants", {"": played}).items()}
        self._told: set[str] = set()
        """Items whose human votes have come."""

    def ended(self) -> Iterator[tuple[int, list[Rating]]]:
        """Return the number of each item that has an outcome, and its ratings."""
        last = self._log.last()
        set_aside = self._log.set_aside(last)
        talks: dict[str, _Talk] = {}
        for sequence, conversation, sender, kind, body, _ in self._log.bodies(KINDS, until=last):
            try:
                content: dict[str, Any] = orjson.loads(body)
                if kind == "item_opened":
                    talks[conversation] = _Talk(content)
                elif conversation not in talks:
                    continue  # a damaged log has lost its beginning
                elif kind in ("item_finished", "item_failed"):
                    if sequence not in set_aside:
                        yield content["number"], list(self._ratings(talks.pop(conversation), kind == "item_failed"))
                else:
                    _take(talks[conversation], sender, kind, content)
            except (ValueError, KeyError, TypeError) as error:
                raise damaged(self._log.path, f"event {sequence} is not what it was") from error

    def _ratings(self, talk: _Talk, failed: bool) -> Iterator[Rating]:  # noqa: FBT001 - one place calls it
        item = talk.opened["item"]
        variant: str = item.get("variant", "")
        facts = _facts(item, variant)
        if facts["item"] not in self._told:
            self._told.add(facts["item"])
            for vote in item.get("human", ()):
                yield Rating(kind="human", rater=vote["rater"], verdict=vote["verdict"], **facts)
        who = self._casts[variant]
        for agent, vote in sorted(
            talk.votes.items(), key=lambda pair: who.place(pair[0])
        ):  # not as they happened to come
            rater = who.rater(agent, prefixed=self._swept)
            yield from ballots_of(rater, who.voters.get(agent), vote, talk.costs.get(agent, 0.0), facts)
        if not who.alone or failed:
            yield self._verdict(who, talk, facts)

    def _verdict(self, who: Cast, talk: _Talk, facts: dict[str, Any]) -> Rating:
        decision = talk.decision or {"verdict": "unread"}
        known = [cost for cost in talk.costs.values() if cost is not None]
        name = who.name if not who.alone or self._swept else next(iter(who.voters))
        return Rating(
            kind="model",
            rater=name,
            verdict=decision["verdict"],
            score_a=decision.get("score_a"),
            score_b=decision.get("score_b"),
            votes=None if who.alone else decision.get("votes", 0),
            cost_usd=sum(known) if len(known) == len(talk.costs) else None,
            **facts,
        )


def cast_of(name: str, record: dict[str, Any]) -> Cast:
    """Return who plays in a variant, or in a run of one scenario, which has no name, from what was noted of it."""
    scenario = record["scenario"]
    models = {agent: str(settings["model"]) for agent, settings in record["models"].items()}
    return Cast(name or scenario["scenario"], models, len(_voters(scenario["flow"])) == 1)


def _voters(flow: list[dict[str, Any]]) -> set[str]:
    """Return who is asked for ballots, anywhere in a flow."""
    found: set[str] = set()
    for step in flow:
        if step.get("for") == "ballot":
            found |= {step["ask"]} if isinstance(step["ask"], str) else set(step["ask"])
        for inner in step.values():
            if isinstance(inner, list):
                steps: list[Any] = list(inner)  # pyright: ignore[reportUnknownArgumentType]  # of JSON
                found |= _voters([step for step in steps if isinstance(step, dict)])
    return found


def _take(talk: _Talk, sender: str, kind: str, content: dict[str, Any]) -> None:
    if kind == "vote_cast":
        talk.votes[sender] = content
    elif kind == "decision_made":
        talk.decision = content
    elif content["source"] != "earlier":  # else it was counted where it was made
        add_cost(talk.costs, sender, content)


def _facts(item: dict[str, Any], variant: str) -> dict[str, Any]:
    """Return what every rating of an item says of it."""
    metadata: dict[str, Any] = item.get("metadata", {})
    facts: dict[str, Any] = {
        "item": str(item["id"]).removeprefix(f"{variant}/" if variant else ""),
        "prompt": prompt_digest(item),
    }
    for candidate in item["candidates"]:
        facts[f"length_{candidate['slot']}"] = len(candidate["text"])
        facts[f"model_{candidate['slot']}"] = candidate.get("model") or None
    turn = metadata.get("turn")
    return {**facts, "group": f"turn-{turn}"} if isinstance(turn, int) else facts
