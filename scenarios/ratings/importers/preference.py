"""Preference data, as trainers take it: rows with a chosen and a rejected answer.

The shapes are those of TRL (docs/source/dataset_formats.md): the prompt in a column of its own, or as what both answers
begin with; texts, or lists of messages. Scores and models are read by the names that published data sets have for them:
distilabel and the alignment handbook (`chosen_rating`, `chosen_model`), UltraFeedback binarized (`score_chosen`).

The item's a is what the row calls chosen, its b the rejected one. A row is one vote, for a; a row with
`metadata.ballots`, as `fellowship export` writes it, is a vote a ballot, with the order in which answers were shown.
"""

import math
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from ....protocols.judging import Order, Verdict
from ...rows import Row
from .importer import File, Importer
from .reading import Reading, optional, word

PAIRS = "pairs"
RATER = "preference"
"""Who votes where no column says it."""
RATERS = ("rater", "annotator", "judge")
SIDES = ("chosen", "rejected")
SCORES = tuple(
    tuple(name.format(side) for side in SIDES)
    for name in ("{}_rating", "{}_score", "score_{}", "rating_{}", "{}-rating")
)
MODELS = tuple(tuple(name.format(side) for side in SIDES) for name in ("{}_model", "model_{}", "{}-model"))
VERDICTS: dict[str, Verdict] = {"chosen": "a", "rejected": "b", "tie": "tie", "unread": "unread"}
ORDERS: dict[str, Order | None] = {"chosen-first": "ab", "rejected-first": "ba", "alone": None}
BY_FORMAT = "rows of preference data that do not say who chose, taken as votes of a model"
Conversation = list[Row]


class Texts(NamedTuple):
    """What a row is about."""

    prompt: str
    chosen: str
    rejected: str


def _sort_of(path: Path, row: Row) -> str | None:
    del path
    return PAIRS if row.keys() >= set(SIDES) else None


def _texts(row: Row) -> Texts:
    """Return prompt and answers, whichever shape they have; raises ValueError."""
    sides = [row.get(side) for side in SIDES]
    missing = [side for side, value in zip(SIDES, sides, strict=True) if value is None]
    if missing:
        raise ValueError(f"no {', no '.join(missing)}")
    if all(isinstance(side, str) for side in sides):
        chosen, rejected = cast("list[str]", sides)
        prompt = _prompt(row.get("prompt"))
        if prompt is None:
            prompt = _beginning(chosen, rejected)
            chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    else:
        prompt, chosen, rejected = _of_messages(row)
    if chosen == rejected:
        raise ValueError("chosen and rejected are the same")
    return Texts(prompt, chosen, rejected)


def _beginning(chosen: str, rejected: str) -> str:
    """Return what both texts begin with, less the space before the answers: TRL's extract_prompt takes it as prompt."""
    same = 0
    while same < min(len(chosen), len(rejected)) and chosen[same] == rejected[same]:
        same += 1
    return chosen[:same].removesuffix(" ")


def _of_messages(row: Row) -> Texts:
    talks = [_messages(row.get(side), side) for side in SIDES]
    both = 0
    while both < min(map(len, talks)) and talks[0][both] == talks[1][both]:
        both += 1
    if both and both == len(talks[0]) == len(talks[1]):
        raise ValueError("chosen and rejected are the same")
    for side, talk in zip(SIDES, talks, strict=True):
        if len(talk) == both or talk[-1]["role"] != "assistant":
            raise ValueError(f"{side} does not end with an answer of the assistant of its own")
    prompt = _prompt(row.get("prompt"))
    if prompt is None:
        if not both:
            raise ValueError("no prompt, and chosen and rejected do not begin with the same message")
        prompt = _as_text(talks[0][:both])
    answers = ["\n\n".join(message["content"] for message in talk[both:]) for talk in talks]
    return Texts(prompt, *answers)


def _prompt(value: object) -> str | None:
    """Return a prompt as text, None where there is none; raises ValueError."""
    if value is None or value == []:
        return None
    return value if isinstance(value, str) else _as_text(_messages(value, "prompt"))


def _as_text(messages: Conversation) -> str:
    """Return one user's message as its text, so that it is the prompt that a run has; more as what they are."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        return cast("str", messages[0]["content"])
    return orjson.dumps(messages).decode()


def _messages(value: object, name: str) -> Conversation:
    """Return messages with their role and content alone; raises ValueError where it is no list of them."""
    if not isinstance(value, list):
        raise ValueError(f"{name} is {value!r:.60}: a text or messages are wanted")  # noqa: TRY004 - the row's fault
    found: Conversation = []
    for message in cast("list[object]", value):
        parts = cast("Row", message) if isinstance(message, dict) else {}
        if not (isinstance(parts.get("role"), str) and isinstance(parts.get("content"), str)):
            raise ValueError(f"{name} has {message!r:.60}: a message has role and content")  # noqa: TRY004 - as above
        found.append({"role": parts["role"], "content": parts["content"]})
    return found


def _pair(row: Row, metadata: Row) -> Row:
    """Return what every vote of a row says of the pair."""
    texts = _texts(row)
    digest = blake2b(orjson.dumps([*texts]), digest_size=8).hexdigest()
    facts: Row = {
        "item": digest,
        "prompt": blake2b(texts.prompt.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        if texts.prompt
        else None,
        "length_a": len(texts.chosen),
        "length_b": len(texts.rejected),
    }
    models = _part(metadata, "models")
    for slot, place in (("a", 0), ("b", 1)):
        named = (optional(row, pair[place]) for pair in MODELS)
        facts[f"model_{slot}"] = optional(models, SIDES[place]) or next(filter(None, named), None)
    if metadata.get("data"):
        facts["group"] = " ".join(filter(None, (optional(metadata, "data"), optional(metadata, "of"))))
        facts["item"] = "/".join(filter(None, (optional(metadata, "variant"), optional(metadata, "item"), digest)))
    return facts


def _part(row: Row, name: str) -> Row:
    value: object = row.get(name)
    return cast("Row", value) if isinstance(value, dict) else {}


def _scores(row: Row) -> Row:
    """Return the scores of both answers, nothing where they are not rated; raises ValueError where they contradict."""
    for names in SCORES:
        if all(row.get(name) not in (None, "") for name in names):
            chosen, rejected = (_number(row[name], name) for name in names)
            if math.isnan(chosen) or math.isnan(rejected):
                return {}  # a table's way to say that there is none
            if chosen < rejected:
                raise ValueError(
                    f"{names[0]} is {chosen:g} and {names[1]} {rejected:g}: the rejected one is rated higher"
                )
            return {"score_a": chosen, "score_b": rejected}
    return {}


def _known(scores: Row, names: Sequence[str] = SIDES) -> Row:
    """Return both scores of a part of our metadata, nothing where one of them is not known."""
    values = [scores.get(name) for name in names]
    if None in values:
        return {}
    numbers = [_number(value, name) for value, name in zip(values, names, strict=True)]
    return dict(zip(("score_a", "score_b"), numbers, strict=True))


def _number(value: object, name: str) -> float:
    try:
        return math.nan if isinstance(value, bool) else float(cast("Any", value))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {value!r:.60}: a number is wanted") from error


def _read(files: Sequence[File], found: Reading) -> None:
    for file in files:
        for line, row in found.rows_of(file.path):
            with found.at(file.path, line):
                metadata = _part(row, "metadata")
                facts, ballots = _pair(row, metadata), metadata.get("ballots")
                if isinstance(ballots, list) and ballots:
                    votes = list(_votes(facts, optional(metadata, "variant"), cast("list[object]", ballots)))
                    for vote in votes:  # all ballots of a row, or none where one of them is wrong
                        found.vote(file.path, line, vote)
                else:
                    scores = _scores(row) or _known(_part(metadata, "scores"))
                    found.vote(file.path, line, {**facts, **scores, **_rater(row, found), "verdict": "a"})


def _rater(row: Row, found: Reading) -> Row:
    name = next(filter(None, (optional(row, column) for column in RATERS)), RATER)
    return {"rater": name, "kind": found.kind_by_format("model", BY_FORMAT)}


def _votes(facts: Row, variant: str | None, ballots: list[object]) -> Iterator[Row]:
    """Yield what each judge said in each order; raises ValueError."""
    for ballot in ballots:
        if not isinstance(ballot, dict):
            raise ValueError(f"metadata.ballots has {ballot!r:.60}: a ballot is an object")  # noqa: TRY004 - the row's fault
        said = cast("Row", ballot)
        judge = optional(said, "judge") or RATER
        vote = {**facts, "rater": f"{variant}:{judge}" if variant else judge, "model": optional(said, "model")}
        vote |= {"kind": "model", "verdict": word(said, "verdict", VERDICTS), "order": word(said, "order", ORDERS)}
        if vote["verdict"] != "unread":
            vote |= _known(said, ("score_chosen", "score_rejected"))
        yield vote


PREFERENCE = Importer(
    name="preference",
    takes="rows with chosen and rejected, texts or lists of messages, and a prompt of its own or in both",
    sort_of=_sort_of,
    read=_read,
    asks_kind=True,
)
"""Preference data sets."""
