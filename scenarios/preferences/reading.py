"""Pairs read back from a DPO file of an export."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from ...protocols.errors import DeclarationError, Problem
from ...protocols.items import Turn
from ..rows import rows
from .formats import UNKNOWN, Row
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
        variant=known["variant"] or None,
        data=known["data"],
        of=known["of"],
        prompt=tuple(Turn(role=turn["role"], content=turn["content"]) for turn in prompt),
        chosen=_side(row["chosen"], known, "chosen"),
        rejected=_side(row["rejected"], known, "rejected"),
        margin=_number(known["margin"]),
        scale=None if known["scores"]["scale"] == UNKNOWN else known["scores"]["scale"],
        votes=_votes(known["votes"]),
        ballots=tuple(
            Ballot(
                judge=ballot["judge"],
                model=ballot["model"] or None,
                order=ballot["order"],
                verdict=ballot["verdict"],
                score_chosen=_number(ballot["score_chosen"]),
                score_rejected=_number(ballot["score_rejected"]),
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
            ("cut_off", "cut_off"),
            ("prompt_digest", "prompt_digests"),
        )
    }
    model, score = known["models"][which] or None, _number(known["scores"][which])
    return Side(model=model, text=cast("str", said[-1]["content"]), score=score, **facts)


def _number(value: float) -> float | None:
    return None if value == UNKNOWN else value


def _votes(votes: dict[str, int]) -> tuple[int, int, int, int]:
    return votes["chosen"], votes["tie"], votes["rejected"], votes["unread"]
