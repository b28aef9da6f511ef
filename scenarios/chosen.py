"""Rows of preference data: two answers to one prompt, in the forms that trainers take."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, cast

from ..protocols.items import Turn
from .conversations import turns_of
from .rows import Row

QUESTIONS = ("question", "instruction", "input")
"""What the prompt is called where it is not called so."""


def compared(row: Row) -> Row:
    """Return a row with `prompt`, and with `chosen` and `rejected` as the two answers alone.

    Answers are texts, or conversations that end with them. The prompt is explicit, or it is what both begin with: all
    messages but the last, or of texts the longest common beginning, as trl's `extract_prompt` has it.

    Raises:
        ValueError: the two answer different things, or cannot be read.
    """
    texts = [isinstance(row[name], str) for name in ("chosen", "rejected")]
    if all(texts):
        return _with_texts(row)
    if any(texts):
        raise ValueError("one of chosen and rejected is text, and the other a conversation")
    return _with_talks(row)


def prompts(row: Row) -> Row:
    """Return a row with `prompt`, which may be a conversation, and the other columns as they are."""
    found = compared(row)
    return {**found, "chosen": row["chosen"], "rejected": row["rejected"]}


def with_system(row: Row) -> Row:
    """Return a row whose column `system`, where it has one, begins the history."""
    system = row.get("system")
    if not isinstance(system, str) or not system.strip():
        return row
    said = cast("object", row.get("history") or [])
    if not isinstance(said, list):
        return row
    rest = {name: value for name, value in row.items() if name != "system"}
    return {**rest, "history": [{"role": "system", "content": system}, *cast("list[object]", said)]}


def _with_texts(row: Row) -> Row:
    if "prompt" in row:
        return row
    asked = next((name for name in QUESTIONS if isinstance(row.get(name), str)), None)
    if asked is not None:
        rest = {name: value for name, value in row.items() if name != asked}
        return {**with_system(rest), "prompt": row[asked]}
    chosen, rejected = str(row["chosen"]), str(row["rejected"])
    if chosen == rejected:
        raise ValueError("there is no prompt, and chosen and rejected are the same text")
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False)))
    if chosen[shared - 1 : shared] == " ":
        shared -= 1  # the space belongs to the answers, as in trl
    if not chosen[:shared].strip():
        raise ValueError("there is no prompt, and chosen and rejected have no beginning in common")
    return {**row, "prompt": chosen[:shared], "chosen": chosen[shared:], "rejected": rejected[shared:]}


def _with_talks(row: Row) -> Row:
    chosen, rejected = (_ending(name, row[name]) for name in ("chosen", "rejected"))
    before = chosen[:-1]
    if before != rejected[:-1]:
        raise ValueError("chosen and rejected are not the same up to their last message: they answer different things")
    found: dict[str, Any] = {**row, "chosen": chosen[-1].content, "rejected": rejected[-1].content}
    if not before:
        if "prompt" not in row:
            raise ValueError("there is no prompt, and chosen and rejected have none before their answers")
        return found
    _same(row.get("prompt"), before)
    return {**found, "prompt": [turn.model_dump() for turn in before]}


def _ending(column: str, value: object) -> tuple[Turn, ...]:
    turns = turns_of(column, value)
    if not turns or turns[-1].role != "assistant":
        raise ValueError(f"{column} does not end with a message of the assistant")
    return turns


def _same(prompt: object, before: Sequence[Turn]) -> None:
    """Make sure that a prompt beside two whole conversations is theirs; raises ValueError."""
    if prompt is None:
        return
    asked = [turn.content.strip() for turn in before if turn.role == "user"]
    same = prompt.strip() in asked if isinstance(prompt, str) else turns_of("prompt", prompt) == tuple(before)
    if not same:
        raise ValueError("the prompt is not what was said before the last messages of chosen and rejected")
