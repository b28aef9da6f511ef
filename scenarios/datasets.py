"""Data sets: rows of a file become items. All that is wrong with a file is reported before anything is spent."""

import json
from collections.abc import Collection, Container, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from hashlib import file_digest
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, cast

from ..protocols.answering import Answers
from ..protocols.errors import DeclarationError, Problem, nearest
from ..protocols.identity import ItemId
from ..protocols.items import Candidate, HumanVote, Item, Turn
from .columns import MISSING, lookup, parts
from .conversations import Asked, Turns, asked, is_talk, turns_of
from .listed import texts_of
from .questions import Choices, choices_of, known_answer, why_unscored
from .rows import Row, rows
from .shapes import SHAPES, LabelError, Shape, people
from .spec import Takes

TEXTS = ("id", "a", "b", "model_a", "model_b")
FIELDS = (*TEXTS, "prompt", "history", "reference", "choices", "human")
"""What an item is made of; everything else is metadata."""
MOST_PROBLEMS = 20
"""Problems reported of one file."""

Columns = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A file of rows, and how they become items. Iterating reads the file anew."""

    path: Path
    mapping: Columns
    takes: Takes
    """What every item must offer: a comparison the candidates a and b."""
    limit: int | None = None
    shape: Shape | None = None
    """The published shape that was recognised."""
    size: int = field(default=0)
    """Items it gives."""
    later_turns: int = 0
    """Messages of its conversations that are left out: they come after the first turn, which was asked for."""
    unknown: int = 0
    """Questions whose answer is not known: what is answered to them is neither right nor wrong."""
    turns: Turns = "last"
    """Of a conversation: which of the user's turns is the prompt."""
    answers: tuple[Answers, ...] = ()
    """How answers to questions are compared: every known one must be of each of these kinds."""
    lists: tuple[str, ...] = ()
    """Columns in which every row must have a list of texts."""
    mark: str = ""
    """All that decides what its items are, the file's content included: with the same mark they are the same.

    A JSON object."""

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Item]:
        return (item for _, item in self.numbered())

    def numbered(self, but: Container[str] = ()) -> Iterator[tuple[int, Item]]:
        """Return items with their place among all, from 0, but those of some ids; these are passed over quickly."""
        with closing(rows(self.path)) as all_rows:
            for number, (place, row) in enumerate(islice(all_rows, self.limit)):
                if but and self._id(place, row) in but:
                    continue
                item = self._item(place, row, [])
                if item is None:
                    what = "the row has changed while the run was reading it"
                    raise DeclarationError([Problem(what, str(self.path), place)])
                yield number, item

    def problems(self) -> "tuple[Dataset, list[Problem]]":
        """Return the data set with what there is to count in it, and what is wrong with its rows."""
        problems: list[Problem] = []
        ids: dict[str, int] = {}
        size = later = unknown = 0
        for place, row in islice(rows(self.path), self.limit):
            size += 1
            item = self._item(place, row, problems)
            if size == 1 and problems:
                break  # a column that the first row lacks is one mistake, not one a row
            if item is not None and item.id in ids:
                what = f"id {item.id!r} stands in row {ids[item.id]} already"
                problems.append(Problem(what, str(self.path), place))
            elif item is not None:
                ids[item.id] = place
                later += len(self._asked(self._plain(place, row, [])).later) if self.turns == "first" else 0
                unknown += self.takes == "question" and item.reference is None
            if len(problems) >= MOST_PROBLEMS:
                break
        return replace(self, size=size, later_turns=later, unknown=unknown), problems

    def item(self, row: Row, place: int = 1) -> Item:
        """Return the item of one row; raises DeclarationError with all that is wrong with it."""
        problems: list[Problem] = []
        item = self._item(place, row, problems)
        if item is None:
            raise DeclarationError(problems)
        return item

    def _item(self, place: int, row: Row, problems: list[Problem]) -> Item | None:
        values: dict[str, str | None] = {}
        talk = Asked((), "")
        wrong = len(problems)
        row = self._plain(place, row, problems)
        choices: Choices | None = None
        for name in (*TEXTS, "choices", "prompt") if row else ():
            try:
                if name == "prompt":
                    talk = self._asked(row, choices)
                elif name == "choices":
                    choices = self._choices(row)
                else:
                    values[name] = self._value(name, row)
            except ValueError as error:
                problems.append(Problem(str(error), str(self.path), place))
        if len(problems) > wrong:
            return None
        try:
            item = self._made(place, row, values, talk, choices)
        except LabelError as error:
            problems.append(Problem(str(error), str(self.path), place))
            return None
        except ValueError as error:  # pydantic's, for what is not JSON
            problems.append(
                Problem(f"the row cannot be kept: {' '.join(str(error).split())[:120]}", str(self.path), place)
            )
            return None
        why = next(filter(None, (why_unscored(item, how) for how in self.answers)), None) or self._unlisted(item)
        if why is not None:
            problems.append(Problem(why, str(self.path), place))
        return item if why is None else None

    def _unlisted(self, item: Item) -> str | None:
        """Return what is wrong with the columns that must hold lists."""
        for column in self.lists:
            try:
                texts_of(item, column)
            except ValueError as error:
                return str(error)
        return None

    def _plain(self, place: int, row: Row, problems: list[Problem]) -> Row:
        """Return the row with columns of our own names, where its shape needs more than a mapping."""
        if self.shape is None or self.shape.plain is None:
            return row
        try:
            return self.shape.plain(row)
        except ValueError as error:
            problems.append(Problem(str(error), str(self.path), place))
            return {}

    def _id(self, place: int, row: Row) -> str:
        """Return the id of a row that was looked at before."""
        value = lookup(self.mapping.get("id", "id"), self._plain(place, row, []))
        return str(place) if value is MISSING or value is None else str(value)

    def _asked(self, row: Row, choices: Choices | None = None) -> Asked:
        """Return what is asked: the prompt, what was said before it, and the answer that came with it."""
        column = self.mapping.get("prompt", "prompt")
        value: object = lookup(column, row)
        if isinstance(value, list):
            turns = turns_of(column, cast("object", value))
            talk = asked(column, turns, self.turns, answered=column != "prompt")
        else:
            talk = Asked((), self._value("prompt", row) or "")
        if not talk.prompt.strip():
            raise ValueError(f"prompt is empty (column {column!r})")
        own = talk.reference is None or self._named("reference")
        reference = self._reference(row, choices) if own else talk.reference
        return replace(talk, history=(*self._history(row), *talk.history), reference=reference)

    def _history(self, row: Row) -> tuple[Turn, ...]:
        column = self.mapping.get("history", "history")
        value = lookup(column, row)
        if value is MISSING and self._named("history"):
            raise ValueError(f"no column {column!r} for history{nearest(column, row)}")
        return turns_of(column, value) if is_talk(value) or (value and self._named("history")) else ()

    def _choices(self, row: Row) -> Choices | None:
        """Return what may be answered; of other items than questions, choices that cannot be read are metadata."""
        column = self.mapping.get("choices", "choices")
        value = lookup(column, row)
        if value is MISSING:
            if self._named("choices"):
                raise ValueError(f"no column {column!r} for choices{nearest(column, row)}")
            return None
        try:
            return choices_of(column, value)
        except ValueError:
            if self.takes == "question" or self._named("choices"):
                raise
            return None

    def _column(self, name: str, row: Row) -> str:
        """Return what column a field is; the known answer of a question may be called answer, too."""
        called = name == "reference" and name not in row and "answer" in row and self.takes == "question"
        return self.mapping.get(name, "answer" if called else name)

    def _reference(self, row: Row, choices: Choices | None) -> str | None:
        """Return the column's text, or what its one message says; a value that is neither is no reference."""
        column = self._column("reference", row)
        value = lookup(column, row)
        if (self.takes == "question" or choices) and value is not MISSING and not is_talk(value):
            return known_answer(column, value, choices)
        if is_talk(value):
            turns = turns_of(column, value)
            if [turn.role for turn in turns] == ["assistant"]:
                return turns[0].content
        return self._value("reference", row) if isinstance(value, str) or self._named("reference") else None

    def _made(self, place: int, row: Row, values: dict[str, str | None], talk: Asked, choices: Choices | None) -> Item:
        taken = [*TEXTS, "prompt"]
        taken += ["history"] if self._history(row) else []
        taken += ["choices"] if choices is not None else []
        own = talk.reference is not None and self._reference(row, choices) == talk.reference
        taken += ["reference"] if own else []
        used = {part for name in taken for part in parts(self._column(name, row), row)}
        labelled: frozenset[str] = frozenset()
        human: tuple[HumanVote, ...] = ()
        if self.takes == "comparison":
            labelled, human = people(self.shape, self.mapping.get("human"), row)
        rest = {column: value for column, value in row.items() if column not in used and column not in labelled}
        return Item(
            id=ItemId(values["id"] or str(place)),
            prompt=talk.prompt,
            history=talk.history,
            reference=talk.reference,
            choices=choices.texts if choices is not None else (),
            candidates=tuple(
                Candidate(slot=slot, text=text, model=values[f"model_{slot}"])
                for slot in ("a", "b")
                if (text := values[slot]) is not None
            ),
            human=human,
            metadata={"later_turns": len(talk.later), **rest} if talk.later else rest,
        )

    def _named(self, name: str) -> bool:
        """Whether the user has said which column a field is."""
        return name in self.mapping and (self.shape is None or self.shape.mapping.get(name) != self.mapping[name])

    def _value(self, name: str, row: Row) -> str | None:
        column = self.mapping.get(name, name)
        needed = name == "prompt" or (self.takes == "comparison" and name in ("a", "b"))
        mapped = self._named(name)
        value = lookup(column, row)
        if value is MISSING:
            if needed or mapped:
                hint = "" if mapped else f" (--map {name}=COLUMN names another)"
                raise ValueError(f"no column {column!r} for {name}{nearest(column, row)}{hint}")
            return None
        if value is None and not needed:
            return None
        if name == "id" and isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, bool) and self.shape is not None and self.shape.words:
            return str(value)
        if not isinstance(value, str):
            what = f"{name} must be text, and column {column!r} has {type(value).__name__} {value!r:.60}"
            raise ValueError(what)  # noqa: TRY004 - the row is at fault, not the caller
        if name == "id" and not value.strip():
            raise ValueError(f"id is empty (column {column!r})")
        return value


def open_dataset(
    path: Path,
    *,
    takes: Takes,
    mapping: Columns | None = None,
    limit: int | None = None,
    known: str | None = None,
    turns: Turns = "last",
    answers: Collection[Answers] = (),
    lists: Collection[str] = (),
) -> Dataset:
    """Return the data set of a JSONL, JSON, CSV or Parquet file, every row that will be used looked at.

    Args:
        path: The file; its ending names the format.
        takes: What every row must offer: a comparison the candidates a and b, a question no choices but such as can be
            read. A question's answer need not be known; see `Dataset.unknown`.
        mapping: Field of the item to column: a name, a path such as `turns.0`, or a sum such as `instruction+input`.
            Without one, the columns have the fields' own names, or those of a published shape.
        limit: The most rows to use, from the top.
        known: The mark of a data set that was looked at before: where nothing has changed, no row is looked at again.
        turns: Where the prompt is a conversation: which of the user's turns is asked. What was said before it is
            history; an answer right after it is the reference; with `first`, what follows is left out and counted.
        answers: Of questions: how answers are compared. A known answer that is none of its kind is told as a problem,
            and so are choices that are not there.
        lists: Columns in which every row must have a list of texts.

    Raises:
        DeclarationError: first turns are asked for where answers to the last are compared, or the file cannot be read,
            is empty, or has rows that are no items: all of them, up to twenty.
    """
    for name in mapping or {}:
        if name not in FIELDS:
            raise DeclarationError(f"--map: unknown field {name!r}{nearest(name, FIELDS)}")
    if takes == "comparison" and turns == "first":
        raise DeclarationError("--turns first is for instructions: the answers of a comparison are to the last turn")
    with closing(rows(path)) as from_the_top:
        first = next(from_the_top, None)
    if first is None:
        raise DeclarationError(f"{path} has no rows")
    shape = None
    if "prompt" not in (mapping or {}):
        shape = next((shape for shape in SHAPES if shape.fits(first[1], takes)), None)
    dataset = Dataset(
        path,
        {**(shape.mapping if shape else {}), **(mapping or {})},
        takes,
        limit,
        shape,
        turns=turns,
        answers=tuple(sorted(answers)) if takes == "question" else (),
        lists=tuple(sorted(lists)),
    )
    facts: dict[str, Any] = {
        "content": _content(path),
        "mapping": dict(dataset.mapping),
        "takes": takes,
        "limit": limit,
        "turns": turns,
        "answers": list(dataset.answers),
        "lists": list(dataset.lists),
        "read by": version("llm-fellowship"),
    }
    noted: Any = json.loads(known) if known else {}
    before = cast("dict[str, Any]", noted) if isinstance(noted, dict) else {}  # sweeps once noted a list
    if before | facts == before:
        counted = {"size": before["size"], "later_turns": before["later turns"], "unknown": before["unknown"]}
        return replace(dataset, **counted, mark=known or "")
    dataset, problems = dataset.problems()
    if problems:
        raise DeclarationError(problems)
    counts = {"size": dataset.size, "later turns": dataset.later_turns, "unknown": dataset.unknown}
    return replace(dataset, mark=json.dumps({**facts, **counts}))


def _content(path: Path) -> str:
    """Return the digest of a file's content, and of its ending, which says how it is read."""
    with path.open("rb") as file:
        return f"{path.suffix.lower()} {file_digest(file, 'blake2b').hexdigest()[:32]}"


def read_mapping(text: str) -> dict[str, str]:
    """Read `prompt=instruction,a=response1`.

    Raises:
        DeclarationError: it is not of that form.
    """
    mapping: dict[str, str] = {}
    for part in text.split(","):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not column:
            raise DeclarationError(f"--map takes FIELD=COLUMN,…, as in prompt=instruction,a=response1, not {part!r}")
        if name in mapping:
            raise DeclarationError(f"--map names {name!r} twice")
        mapping[name] = column
    return mapping
