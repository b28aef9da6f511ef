"""Published data sets as they are: their columns, and what people said in them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from ..protocols.errors import nearest
from ..protocols.items import HumanVote
from .chosen import compared, prompts, with_system
from .questions import boxed, final, is_final
from .rows import Row
from .spec import Takes

Label = Literal["a", "b", "tie"]
LABELS: Mapping[str, Label] = {
    "a": "a", "b": "b", "tie": "tie", "model_a": "a", "model_b": "b", "tie (inconsistent)": "tie",
}  # fmt: skip
"""The words of labels, small and capital letters alike."""


NAMELESS = frozenset({"winner", "label"})
"""Columns that do not say who it was."""


class LabelError(ValueError):
    """A label that says nothing we know."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A published data set's columns: recognised by their names, read without --map."""

    name: str
    columns: frozenset[str]
    mapping: Mapping[str, str] = field(default_factory=dict[str, str])
    words: bool = False
    """Whether true and false stand for the words True and False."""
    people: re.Pattern[str] | None = None
    """Columns that say what people said; each is named after who it is."""
    numbers: Mapping[str, Label] = field(default_factory=dict[str, Label])
    """What numbers in these columns mean."""
    plain: Callable[[Row], Row] | None = None
    """Makes a row of our own columns, where a mapping is not enough; raises ValueError."""
    without: frozenset[str] = frozenset()
    """Columns that say that it is something else."""
    beside_prompt: bool = False
    """Whether it is looked for also where there is a column `prompt`."""
    takes: tuple[Takes, ...] = ("instruction", "comparison", "question")
    """What it is for."""
    looks: Callable[[Row], bool] | None = None
    """Whether a row that has the columns is one, where these do not say enough."""

    def fits(self, row: Row, takes: Takes) -> bool:
        """Whether a row is of this shape, for a scenario that takes such items."""
        meant = takes in self.takes and (self.beside_prompt or "prompt" not in row)
        there = meant and self.columns <= row.keys() and not self.without & row.keys()
        return there and (self.looks is None or self.looks(row))


def people(shape: Shape | None, column: str | None, row: Row) -> tuple[frozenset[str], tuple[HumanVote, ...]]:
    """Return the columns that say what people said of a row, and what they said.

    A column `human`, or the one that --map names, has a, b or tie, a list of them, or a mapping of names to them. An
    empty value is nobody's vote.

    Raises:
        LabelError: a label is none of these.
    """
    own = column or "human"
    found: dict[tuple[str, str], object] = {}
    if own in row:
        found |= {(own, name): said for name, said in _named(row[own]).items()}
    elif column is not None:
        raise LabelError(f"no column {column!r} for human{nearest(column, row)}")
    columns = {own} if own in row else set[str]()
    if shape is not None and shape.people is not None:
        columns |= {name for name in row if shape.people.fullmatch(name)}
        found |= {(name, "human" if name in NAMELESS else name): row[name] for name in sorted(columns - {own})}
    numbers: Mapping[str, Label] = shape.numbers if shape is not None else {}
    votes: list[HumanVote] = []
    for (place, name), value in found.items():
        label = _label(place, value, numbers)
        if label is not None:
            votes.append(HumanVote(rater=name, verdict=label))
    return frozenset(columns), tuple(votes)


def _named(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return {str(name): said for name, said in cast("dict[object, object]", value).items()}
    if isinstance(value, list):
        return {f"human-{number}": said for number, said in enumerate(cast("list[object]", value), 1)}
    return {"human": value}


def _label(column: str, value: object, numbers: Mapping[str, Label]) -> Label | None:
    if value is None or value == "":
        return None
    text = str(value).strip().lower() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    label = LABELS.get(text) or numbers.get(text)
    if label is None:
        known = ", ".join((*dict.fromkeys(LABELS.values()), *numbers))
        raise LabelError(f"{column} is {_short(value)}: a label is one of {known}")
    return label


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _with_models(row: Row) -> Row:
    """Return a row of PandaLM's with who wrote the answers: its key joins their names by the one underscore."""
    names = str(row.get("cmp_key", "")).split("_")
    return {**row, "model_a": names[0], "model_b": names[1]} if len(names) == 2 else row


def _talks(row: Row) -> Row:
    """Return a row of the shape that has two whole conversations, up to the turn that was judged."""
    last = row.get("turn", 1)
    if isinstance(last, bool) or not isinstance(last, int) or last < 1:
        raise ValueError(f"turn is {last!r:.40}: it counts from 1")
    sides = {slot: _turns(f"conversation_{slot}", row[f"conversation_{slot}"], last) for slot in ("a", "b")}
    asked = [user for user, _ in sides["a"]]
    if asked != [user for user, _ in sides["b"]]:
        raise ValueError("the two conversations ask different things")
    names = [str(row[name]) for name in ("question_id", "model_a", "model_b") if row.get(name) is not None]
    known = {"id": "-".join([names[0], f"t{last}", *names[1:]])} if len(names) == 3 and "id" not in row else {}
    rest = {name: value for name, value in row.items() if name not in ("conversation_a", "conversation_b")}
    shown = {
        "prompt": _shown(asked),
        "a": _shown([answer for _, answer in sides["a"]]),
        "b": _shown([answer for _, answer in sides["b"]]),
    }
    return {**rest, **known, **shown}


def _turns(column: str, value: object, last: int) -> list[tuple[str, str]]:
    """Return what was asked and answered, turn by turn."""
    messages = cast("Sequence[dict[str, Any]]", value) if isinstance(value, (list, tuple)) else ()
    said = [(message.get("role"), message.get("content")) for message in messages if isinstance(message, dict)]  # pyright: ignore[reportUnnecessaryIsInstance]  # a file may hold anything
    said = [(role, text) for role, text in said if role != "system"][: 2 * last]
    roles = [role for role, _ in said]
    if roles != ["user", "assistant"] * last or not all(isinstance(text, str) for _, text in said):
        raise ValueError(f"{column} is no conversation of {last} {'turn' if last == 1 else 'turns'}")
    texts = [str(text) for _, text in said]
    return list(zip(texts[::2], texts[1::2], strict=True))


def _shown(texts: Sequence[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    last = len(texts)
    heads = (f"Turn {turn}" + (", the one to judge" if turn == last else "") for turn in range(1, last + 1))
    return "\n\n".join(f"[{head}]\n{text}" for head, text in zip(heads, texts, strict=True))


def _instructed(row: Row) -> Row:
    """Return a row of an instruction file: what it is about is never missing, and the answer is its reference.

    An answer that a `generator` wrote, and one of two, is none.
    """
    filled = {**row, **{name: row.get(name) or "" for name in ("input", "context")}}
    answers = [name for name in ("output", "response") if isinstance(row.get(name), str)]
    if len(answers) == 1 and "generator" not in row and "reference" not in row:
        filled["reference"] = filled.pop(answers[0])
    return with_system(filled)


def _without_prompt(row: Row) -> Row:
    """Return a row without its prompt, where that stands among the messages."""
    messages = cast("object", row["messages"])
    said = (
        [cast("Row", message).get("content") for message in cast("list[object]", messages) if isinstance(message, dict)]
        if isinstance(messages, list)
        else []
    )
    return {name: value for name, value in row.items() if name != "prompt"} if row["prompt"] in said else row


CONVERSATIONS = ("messages", "conversations", "conversation")
"""Columns of whole conversations."""
PASSAGES = frozenset({"context", "passage"})
"""Columns of what a question is about."""
NUMBERED: Mapping[str, Label] = {"0": "tie", "1": "a", "2": "b"}
SHAPES = (
    Shape(
        "pandalm",
        frozenset({"instruction", "input", "response1", "response2"}),
        {"id": "idx", "prompt": "instruction+input", "a": "response1", "b": "response2"},
        words=True,  # six answers of the published file, to questions such as "true or false?"
        people=re.compile(r"annotator_?\d+"),
        numbers=NUMBERED,
        plain=_with_models,
    ),
    Shape("mt-bench", frozenset({"question_id", "turns"}), {"id": "question_id", "prompt": "turns.0"}),
    Shape(
        "conversations",
        frozenset({"conversation_a", "conversation_b"}),
        people=re.compile(r"winner|annotator_?\d+"),
        numbers=NUMBERED,
        plain=_talks,
    ),
    Shape(
        "llmbar",
        frozenset({"input", "output_1", "output_2", "label"}),
        {"prompt": "input", "a": "output_1", "b": "output_2"},
        people=re.compile(r"label"),
        numbers={"1": "a", "2": "b"},
    ),
    Shape(
        "preference",
        frozenset({"chosen", "rejected"}),
        {"a": "chosen", "b": "rejected", "model_a": "chosen_model", "model_b": "rejected_model"},
        plain=compared,
        without=frozenset({"a", "b"}),
        beside_prompt=True,
        takes=("comparison",),
    ),
    Shape(
        "preference prompts",
        frozenset({"chosen", "rejected"}),
        plain=prompts,
        beside_prompt=True,
        takes=("instruction", "question"),
    ),
    Shape(
        "no-robots",
        frozenset({"prompt", "prompt_id", "messages"}),
        {"id": "prompt_id", "prompt": "messages"},
        plain=_without_prompt,
        beside_prompt=True,
    ),
    Shape(
        "prompt and completion",
        frozenset({"prompt", "completion"}),
        {"reference": "completion"},
        without=frozenset({"label", "reference"}),  # with a label it is any answer, good or bad
        beside_prompt=True,
    ),
    *(Shape(name, frozenset({name}), {"prompt": name}, plain=with_system) for name in CONVERSATIONS),
    Shape("instruction", frozenset({"instruction"}), {"prompt": "instruction+input+context"}, plain=_instructed),
    Shape(
        "gsm8k",
        frozenset({"question", "answer"}),
        {"prompt": "question"},
        plain=final,
        without=PASSAGES | {"choices", "options"},
        takes=("question",),
        looks=is_final,
    ),
    Shape(
        "math",
        frozenset({"problem", "solution"}),
        {"prompt": "problem"},
        plain=boxed,
        without=frozenset({"choices", "options"}),
        takes=("question",),
    ),
    Shape(
        "problem and solution",
        frozenset({"problem", "solution"}),
        {"prompt": "problem", "reference": "solution"},
        takes=("instruction",),
    ),
    Shape(
        "arc",
        frozenset({"question", "choices", "answerKey"}),
        {"prompt": "question", "reference": "answerKey"},
        without=PASSAGES,
    ),
    Shape(
        "mmlu",
        frozenset({"question", "choices", "answer"}),
        {"prompt": "question", "reference": "answer"},
        without=PASSAGES,
    ),
    Shape(
        "mmlu-pro",
        frozenset({"question", "options", "answer"}),
        {"prompt": "question", "choices": "options", "reference": "answer"},
        without=PASSAGES,
    ),
    Shape(
        "question and answer",
        frozenset({"question", "answer"}),
        {"prompt": "question", "reference": "answer"},
        without=PASSAGES | {"choices", "options"},  # which belong to the question, somehow
    ),
)
"""Shapes that are recognised; the first that fits."""
