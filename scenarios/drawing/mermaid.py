"""A picture as a sequence diagram of Mermaid."""

import re
import textwrap
from collections.abc import Iterator, Sequence

from .picture import Bar, Column, Frame, Hearing, Picture, Row, Turn, Voice
from .style import Theme
from .text import clean

_OURS = str.maketrans({each: f"#{ord(each)};" for each in '#;<>{}%\\`"&'})
"""What means something to Mermaid, or to the page around it, as the entities that it takes for the characters."""
_WORD = re.compile(r"\b(end)\b", re.IGNORECASE)
"""A word that Mermaid takes for its own, wherever it stands."""
_WRAP = re.compile(r"^((?:no)?wrap):", re.IGNORECASE)
BREAK = "<br/>"
LONGEST = 48
"""Characters of a line in a note."""
MOST_ARROWS = 3
"""Of one step; more are a note."""


def mermaid(pictures: Sequence[Picture], *, theme: Theme = "auto") -> str:
    """Return pictures as one diagram; of several, each has its participants in a box, and its rows in turn."""
    found = [] if theme == "auto" else [f'%%{{init: {{"theme": "{"dark" if theme == "dark" else "default"}"}}}}%%']
    found.append("sequenceDiagram")
    several = len(pictures) > 1
    drawn = [_Diagram(picture, f"p{number}_" if several else "p") for number, picture in enumerate(pictures, 1)]
    for each in drawn:
        found += [f"    {line}" for line in each.participants(boxed=several)]
    for each in drawn:
        if several:
            found.append(f"    Note over {each.all}: {said(each.picture.title)}")
        found += [f"    {line}" for line in each.rows(each.picture.rows)]
    return "\n".join(found) + "\n"


def markdown(pictures: Sequence[Picture], *, theme: Theme = "auto") -> str:
    """Return a page with the diagram, as GitHub and others show it."""
    names = ", ".join(dict.fromkeys(picture.name for picture in pictures))
    abouts = dict.fromkeys(f"{clean(picture.about)}\n\n" for picture in pictures if picture.about)
    return f"# {names}\n\n{''.join(abouts)}```mermaid\n{mermaid(pictures, theme=theme)}```\n"


def said(text: str) -> str:
    """Return a text as it may stand in a diagram."""
    plain = clean(text).translate(_OURS).replace("$$", "#36;#36;")  # two of them begin a formula
    return _WORD.sub(_spelled, _WRAP.sub(r"\1#58;", plain))


def lines(*texts: str) -> str:
    """Return texts, each on lines of its own, as they may stand in a note: Mermaid breaks none."""
    return BREAK.join(said(line) for text in texts if text for line in textwrap.wrap(clean(text), LONGEST))


def _spelled(match: re.Match[str]) -> str:
    word = match[1]
    return f"#{ord(word[0])};{word[1:]}"


class _Diagram:
    def __init__(self, picture: Picture, prefix: str) -> None:
        self.picture = picture
        self._ids = [f"{prefix}{number}" for number in range(1, len(picture.columns) + 1)]
        self.all = self._over(range(len(self._ids)))

    def participants(self, *, boxed: bool) -> Iterator[str]:
        if boxed:
            yield f"box transparent {said(self.picture.title)}"
        for name, column in zip(self._ids, self.picture.columns, strict=True):
            more = (column.role if column.role != column.title else "", *column.about)
            yield f"participant {name} as {lines(column.title, *more)}"
        if boxed:
            yield "end"

    def rows(self, rows: Sequence[Row]) -> Iterator[str]:
        for row in rows:
            match row:
                case Turn():
                    yield from self._turn(row)
                case Bar():
                    yield f"Note over {self.all}: {lines(row.text, _joined(row.remarks))}"
                    yield from (self._note((voice,)) for voice in row.voices)
                case Frame():
                    yield from self._frame(row)

    def _over(self, columns: Sequence[int]) -> str:
        """Return the outermost of some participants: a note spans what is between."""
        ends = (min(columns), max(columns))
        return ",".join(dict.fromkeys(self._ids[column] for column in ends))

    def _note(self, voices: Sequence[Voice]) -> str:
        """Return a note over one who speaks."""
        column = voices[0].column
        return f"Note over {self._ids[column]}: {BREAK.join(said(voice.text) for voice in voices)}"

    def _turn(self, turn: Turn) -> Iterator[str]:
        columns = [voice.column for voice in turn.voices]
        for hearing in turn.hearing:
            yield from self._heard(hearing)
        quoted = f"“{turn.instructions}”" if turn.instructions else ""
        told = (_joined(turn.remarks), quoted)
        if len(turn.voices) == 1:
            yield f"Note over {self._ids[columns[0]]}: {lines(turn.voices[0].text, *told)}"
            return
        if any(told):
            yield f"Note over {self._over(columns)}: {lines(*told)}"
        for before, voice in zip((None, *turn.voices), turn.voices, strict=False):
            if before is not None and turn.chained and turn.aloud:
                yield f"{self._ids[before.column]}->>{self._ids[voice.column]}: {said(before.text)}"
            yield self._note((voice,))

    def _heard(self, hearing: Hearing) -> Iterator[str]:
        """Return an arrow from each who is heard to each who hears; of many, a note."""
        late = ", from the second round on" if hearing.later else ""
        arrows = [
            (speaker, facts, listener)
            for speaker, facts in zip(hearing.heard, hearing.facts, strict=True)
            for listener in hearing.by
            if listener != speaker or hearing.heard == hearing.by
        ]
        if len(arrows) > MOST_ARROWS:
            facts = ", ".join(dict.fromkeys(fact for _, facts, _ in arrows for fact in facts))
            told = f"{_who(hearing, self.picture.columns)}: {facts}{late}"
            yield f"Note over {self._over((*hearing.heard, *hearing.by))}: {lines(told)}"
            return
        arrow = "-->>" if hearing.later else "->>"
        for speaker, stated, listener in arrows:
            yield f"{self._ids[speaker]}{arrow}{self._ids[listener]}: {said(', '.join(stated) + late)}"

    def _frame(self, frame: Frame) -> Iterator[str]:
        first, *others = frame.parts
        # a `par` with one branch: the others are the same
        word = {"repeat": "loop", "when": "alt" if others else "opt", "each": "par" if frame.together else "loop"}
        yield f"{word[frame.verb]} {said(first.title)}"
        yield from (f"    {line}" for line in self.rows(first.rows))
        for part in others:
            yield f"else {'' if part.title == 'else' else said(part.title)}".rstrip()
            yield from (f"    {line}" for line in self.rows(part.rows))
        yield "end"


def _who(hearing: Hearing, columns: Sequence[Column]) -> str:
    """Return in words who hears whom."""
    if len(hearing.by) == len(columns) and set(hearing.heard) == set(hearing.by):
        return "all hear one another"
    others = ", ".join(columns[number].title for number in hearing.heard if number not in hearing.by)
    listeners = ", ".join(columns[number].title for number in hearing.by)
    if set(hearing.by) <= set(hearing.heard):
        return f"{listeners} hear one another{f' and {others}' if others else ''}"
    speakers = ", ".join(columns[number].title for number in hearing.heard)
    return f"{listeners} {'hears' if len(hearing.by) == 1 else 'hear'} {speakers}"


def _joined(remarks: Sequence[str]) -> str:
    return " · ".join(remarks)
