"""What every vote of a run's log is made a rating by: its ballots, its cost, and the prompt it is about."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from ...protocols.judging import Ballot
from ..spend import unpriced_call
from .rating import Rating


def prompt_digest(item: dict[str, Any]) -> str:
    """Return what stands for an item's prompt: pairs of other models' answers to it share this."""
    return blake2b(_asked(item).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _asked(item: dict[str, Any]) -> str:
    """Return the prompt, after what was said before it: "Go on." is another prompt in another conversation."""
    before: list[dict[str, str]] = item.get("history") or []
    prompt: str = item["prompt"]
    return "\0".join([*(f"{turn['role']}\0{turn['content']}" for turn in before), prompt])


def add_cost(costs: dict[str, float | None], agent: str, call: dict[str, Any]) -> None:
    """Add a call to what each agent has cost; None where nobody knows."""
    before = costs.get(agent, 0.0)
    unknown = before is None or unpriced_call(call)
    costs[agent] = None if unknown else (before or 0.0) + call.get("cost_usd", 0.0)


def ballots_of(
    rater: str, model: str | None, vote: dict[str, Any], cost: float | None, facts: dict[str, Any]
) -> Iterator[Rating]:
    """Return a vote's ballots as ratings, each with its part of the cost; `facts` are of the item."""
    ballots = [Ballot.model_validate(ballot) for ballot in vote["ballots"]]
    for ballot in ballots:
        yield Rating(
            kind="model",
            rater=rater,
            model=model,
            verdict=ballot.verdict,
            score_a=ballot.score_a,
            score_b=ballot.score_b,
            order=ballot.order,
            cost_usd=None if cost is None else cost / len(ballots),
            **facts,
        )
