"""Pairs read back from a DPO file of an export."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from ...protocols.errors import DeclarationError, Problem
from ...protocols.items import Turn
from ..rows import rows
from .formats import Row
from .pair import Ballot, Pair, Side


def read_pairs(path: Path) -> Iterator[Pair]:
    """Return the pairs of a DPO file, explicit or implicit, as they were written but for `request`, which no row has.

    Raises:
        DeclarationError: the file cannot be read, or a row is not one of an export.
    """
    for place, row in rows(path):
        try:
            yield _pair(row)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            what = f"not a row of DPO as `fellowship export` writes it: {type(error).__name__} {error}"
            raise DeclarationError([Problem(what, str(path), place)]) from error


def _pair(row: Row) -> Pair:
    known: Row = row["metadata"]
    prompt = row["prompt"] if "prompt" in row else row["chosen"][:-1]
    return Pair(
        number=known["number"],
        item=known["item"],
        variant=known["variant"],
        data=known["data"],
        of=known["of"],
        prompt=tuple(Turn(role=turn["role"], content=turn["content"]) for turn in prompt),
        chosen=_side(row["chosen"], known, "chosen"),
        rejected=_side(row["rejected"], known, "rejected"),
        margin=known["margin"],
        scale=known["scores"]["scale"],
        votes=_votes(known["votes"]),
        ballots=tuple(
            Ballot(
                judge=ballot["judge"],
                model=ballot["model"],
                order=ballot["order"],
                verdict=ballot["verdict"],
                score_chosen=ballot["score_chosen"],
                score_rejected=ballot["score_rejected"],
            )
            for ballot in known["ballots"]
        ),
    )


def _side(said: Sequence[Row], known: Row, which: Literal["chosen", "rejected"]) -> Side:
    facts: dict[str, Any] = {
        name: known[column][which]
        for name, column in (
            ("event", "events"),
            ("agent", "agents"),
            ("round", "rounds"),
            ("model", "models"),
            ("score", "scores"),
            ("cut_off", "cut_off"),
        )
    }
    digest = known["prompt_digests"][which] or ""
    return Side(text=cast("str", said[-1]["content"]), prompt_digest=digest, **facts)


def _votes(votes: dict[str, int]) -> tuple[int, int, int, int]:
    return votes["chosen"], votes["tie"], votes["rejected"], votes["unread"]
