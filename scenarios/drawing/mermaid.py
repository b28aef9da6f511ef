"""A picture as a sequence diagram of Mermaid."""

import re
from collections.abc import Iterator, Sequence

from .picture import Bar, Frame, Hearing, Picture, Row, Turn, Voice
from .style import Theme
from .text import clean

_OURS = str.maketrans({each: f"#{ord(each)};" for each in '#;<>{}%\\`"$&'})
"""What means something to Mermaid, or to the page around it, as the entities that it takes for the characters."""
_WORD = re.compile(r"\b(end)\b", re.IGNORECASE)
"""A word that Mermaid takes for its own, wherever it stands."""
_WRAP = re.compile(r"^((?:no)?wrap):", re.IGNORECASE)
BREAK = "<br/>"


def mermaid(pictures: Sequence[Picture], *, theme: Theme = "auto") -> str:
    """Return pictures as one diagram; of several, each has its participants in a box, and its rows after the others'."""
    lines = [] if theme == "auto" else [f'%%{{init: {{"theme": "{"dark" if theme == "dark" else "default"}"}}}}%%']
    lines.append("sequenceDiagram")
    several = len(pictures) > 1
    drawn = [_Diagram(picture, f"p{number}_" if several else "p") for number, picture in enumerate(pictures, 1)]
    for each in drawn:
        lines += [f"    {line}" for line in each.participants(boxed=several)]
    for each in drawn:
        if several:
            lines.append(f"    Note over {each.all}: {_said(each.picture.title)}")
        lines += [f"    {line}" for line in each.rows(each.picture.rows)]
    return "\n".join(lines) + "\n"


def markdown(pictures: Sequence[Picture], *, theme: Theme = "auto") -> str:
    """Return a page with the diagram, as GitHub and others show it."""
    names = ", ".join(dict.fromkeys(picture.name for picture in pictures))
    abouts = "\n\n".join(dict.fromkeys(clean(picture.about) for picture in pictures if picture.about))
    return f"# {names}\n\n{abouts}{'\n\n' if abouts else ''}```mermaid\n{mermaid(pictures, theme=theme)}```\n"


def _said(text: str) -> str:
    """Return a text as it may stand in a diagram."""
    return _WORD.sub(_spelled, _WRAP.sub(r"\1#58;", clean(text).translate(_OURS)))


def _spelled(match: re.Match[str]) -> str:
    word = match[1]
    return f"#{ord(word[0])};{word[1:]}"


class _Diagram:
    def __init__(self, picture: Picture, prefix: str) -> None:
        self.picture = picture
        self._ids = [f"{prefix}{number}" for number in range(1, len(picture.lanes) + 1)]
        self.all = self._over(range(len(self._ids)))

    def participants(self, *, boxed: bool) -> Iterator[str]:
        if boxed:
            yield f"box transparent {_said(self.picture.title)}"
        for name, lane in zip(self._ids, self.picture.lanes, strict=True):
            more = (lane.role if lane.role != lane.title else "", *lane.about)
            yield f"participant {name} as {BREAK.join(_said(line) for line in (lane.title, *more) if line)}"
        if boxed:
            yield "end"

    def rows(self, rows: Sequence[Row]) -> Iterator[str]:
        for row in rows:
            match row:
                case Turn():
                    yield from self._turn(row)
                case Bar():
                    yield f"Note over {self.all}: {BREAK.join(map(_said, filter(None, (row.text, _joined(row.remarks)))))}"
                    yield from (self._note((voice,)) for voice in row.voices)
                case Frame():
                    yield from self._frame(row)

    def _over(self, lanes: Sequence[int]) -> str:
        """Return the outermost of some participants: a note spans what is between."""
        ends = (min(lanes), max(lanes))
        return ",".join(dict.fromkeys(self._ids[lane] for lane in ends))

    def _note(self, voices: Sequence[Voice]) -> str:
        """Return a note over one who speaks."""
        lane = voices[0].lane
        return f"Note over {self._ids[lane]}: {BREAK.join(_said(voice.text) for voice in voices)}"

    def _turn(self, turn: Turn) -> Iterator[str]:
        lanes = [voice.lane for voice in turn.voices]
        for hearing in turn.hearing:
            yield from self._heard(hearing)
        quoted = f"“{turn.instructions}”" if turn.instructions else ""
        told = [*filter(None, (_joined(turn.remarks), quoted))]
        if len(turn.voices) == 1:
            yield f"Note over {self._ids[lanes[0]]}: {BREAK.join(_said(line) for line in (turn.voices[0].text, *told))}"
            return
        if told:
            yield f"Note over {self._over(lanes)}: {BREAK.join(map(_said, told))}"
        for before, voice in zip((None, *turn.voices), turn.voices, strict=False):
            if before is not None and turn.chained and turn.aloud:
                yield f"{self._ids[before.lane]}->>{self._ids[voice.lane]}: {_said(before.text)}"
            yield self._note((voice,))

    def _heard(self, hearing: Hearing) -> Iterator[str]:
        facts = _said(", ".join(hearing.facts)) or "heard"
        if hearing.later:
            facts = f"{facts}, from the second round on"
        arrow = "-->>" if hearing.later else "->>"
        if len(hearing.heard) > 1 and hearing.heard == hearing.by:
            yield f"Note over {self._over(hearing.by)}: all hear one another: {facts}"
            return
        for speaker in hearing.heard:
            for listener in hearing.by:
                if listener != speaker or hearing.heard == hearing.by:
                    yield f"{self._ids[speaker]}{arrow}{self._ids[listener]}: {facts}"

    def _frame(self, frame: Frame) -> Iterator[str]:
        first, *others = frame.parts
        # a `par` with one branch: the others are the same
        word = {"repeat": "loop", "when": "alt" if others else "opt", "each": "par" if frame.together else "loop"}
        yield f"{word[frame.verb]} {_said(first.title)}"
        yield from (f"    {line}" for line in self.rows(first.rows))
        for part in others:
            yield f"else {'' if part.title == 'else' else _said(part.title)}".rstrip()
            yield from (f"    {line}" for line in self.rows(part.rows))
        yield "end"


def _joined(remarks: Sequence[str]) -> str:
    return " · ".join(remarks)
