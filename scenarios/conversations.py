"""Conversations as data sets write them: read into turns, then divided into history, prompt and reference."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from ..protocols.errors import nearest
from ..protocols.items import Turn

Turns = Literal["first", "last"]
"""Which of the user's turns is the prompt."""
Role = Literal["system", "user", "assistant"]
ROLES: Mapping[str, Role] = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
}  # fmt: skip
"""What data sets call the speakers."""
NAMED = (("role", "content"), ("from", "value"))
"""Keys of a message: who, and what. OpenAI's and TRL's; ShareGPT's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A conversation, divided: `history`, `prompt`, `reference` and `later`, one after another, are all of it."""

    history: tuple[Turn, ...]
    prompt: str
    reference: str | None = None
    """The answer that follows the prompt."""
    later: tuple[Turn, ...] = ()
    """What was said after that; nothing where the last turn was asked for."""


def is_talk(value: object) -> bool:
    """Whether a value has the form of a conversation, right or wrong as its messages may be."""
    if not isinstance(value, list) or not value:
        return False
    keys = {*(who for who, _ in NAMED), "input"}
    return all(
        bool(keys & cast("dict[str, Any]", message).keys()) if isinstance(message, dict) else _is_pair(message)
        for message in cast("list[object]", value)
    )


def turns_of(column: str, value: object) -> tuple[Turn, ...]:
    """Return the turns of a conversation.

    A message is `{role, content}`, `{from, value}`, or an exchange: `{input, output}` or a pair of texts. Content may
    be a list of parts, if all are text; they are joined by line ends. An empty system message, and an exchange's empty
    answer, are none.

    Raises:
        ValueError: it is no list, or one of its messages is none of these.
    """
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{column} is no list of messages, but {type(value).__name__} {value!r:.60}")  # noqa: TRY004 - the row is at fault
    messages = cast("Sequence[object]", value)
    return tuple(turn for number, message in enumerate(messages) for turn in _read(f"{column}.{number}", message))


def asked(column: str, turns: Sequence[Turn], which: Turns = "last", *, answered: bool = True) -> Asked:
    """Divide a conversation.

    Args:
        column: Where it stands, for what is told.
        turns: The conversation.
        which: The user's turn that is the prompt. Before it is history, and an answer right after it the reference.
        answered: Whether it may end with an answer to its last turn.

    Raises:
        ValueError: there is no such turn, or something else than one answer follows the last one.
    """
    places = [place for place, turn in enumerate(turns) if turn.role == "user"]
    if not places:
        raise ValueError(f"{column} has no message of a user")
    place = places[0 if which == "first" else -1]
    after = tuple(turns[place + 1 :])
    answer = after[0].content if after and after[0].role == "assistant" else None
    later = after if answer is None else after[1:]
    if which == "last" and later:
        raise ValueError(f"{column} goes on after the user's last turn with more than one answer to it")
    if which == "last" and answer is not None and not answered:
        raise ValueError(f"{column} ends with a message of the assistant: a prompt ends with the user's turn")
    if answer is not None and not answer.strip():
        answer = None
    return Asked(tuple(turns[:place]), turns[place].content, answer, later)


def _is_pair(message: object) -> bool:
    if not isinstance(message, (list, tuple)):
        return False
    texts = cast("Sequence[object]", message)
    return len(texts) == 2 and all(isinstance(text, str) for text in texts)


def _read(place: str, message: object) -> Iterator[Turn]:
    """Return the turns of one message, or of one exchange."""
    said: dict[str, object]
    if _is_pair(message):
        said = dict(zip(("input", "output"), cast("Sequence[object]", message), strict=True))
    elif isinstance(message, dict):
        said = cast("dict[str, object]", message)
    else:
        raise ValueError(f"{place} is no message, but {type(message).__name__} {message!r:.60}")
    for who, what in NAMED:
        if said.get(who) is not None:
            turn = _turn(place, said[who], said.get(what), said)
            if turn.role != "system" or turn.content.strip():
                yield turn
            return
    if said.get("input") is None:
        raise ValueError(f"{place} has no role and content, no from and value, and no input and output")
    yield Turn(role="user", content=_text(f"{place}.input", said["input"]))
    if said.get("output"):
        yield Turn(role="assistant", content=_text(f"{place}.output", said["output"]))


def _turn(place: str, who: object, what: object, said: Mapping[str, object]) -> Turn:
    role = ROLES.get(str(who).lower())
    if role is None:
        raise ValueError(f"{place} is of {str(who)!r:.40}, which is no speaker that is known{nearest(str(who), ROLES)}")
    if said.get("tool_calls") or said.get("function_call"):
        raise ValueError(f"{place} calls a tool, which cannot be shown")
    return Turn(role=role, content=_text(place, what))


def _text(place: str, value: object) -> str:
    if isinstance(value, str):
        return value
    what = type(value).__name__
    parts: list[object] = cast("list[object]", value) if isinstance(value, list) else []
    texts = [cast("dict[str, object]", part).get("text") for part in parts if isinstance(part, dict)]
    said = [text for text in texts if isinstance(text, str)]
    if said and len(said) == len(parts):
        return "\n".join(said)
    raise ValueError(f"the content of {place} must be text, and is {what} {value!r:.60}")
