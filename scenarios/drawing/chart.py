"""From a plan to its picture: the flow is walked as a conductor would, for what is known where."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from .. import spec
from ..steps import (
    AskStep,
    DecideStep,
    EachStep,
    PairStep,
    PickStep,
    Plan,
    Playable,
    RepeatStep,
    Step,
    Swept,
    Variant,
    WhenStep,
)
from . import remarks
from .columns import Columns
from .picture import TIMES, Bar, Frame, Hearing, Part, Picture, Row, Turn, Voice

Ears = dict[str, dict[str, bool]]
"""Whom each agent listens to; True: from the second round on only."""
Said = dict[int, tuple[str, ...]]
"""The kinds of facts that each column has stated."""


def pictures(plan: Playable) -> tuple[Picture, ...]:
    """Return the picture of a scenario; of a sweep, one of each leg, or more where its variants differ in more than
    models and judging."""  # noqa: D205, D209 - one sentence
    if isinstance(plan, Plan):
        return (picture(plan),)
    return tuple(_swept(plan))


def picture(plan: Plan) -> Picture:
    """Return the picture of a scenario."""
    scenario, columns = plan.scenario, Columns(plan)
    rows = _Walk(columns).rows(plan.flow)
    name = scenario.scenario
    return Picture(name, name, scenario.about, scenario.takes, scenario.gives, columns.columns, rows)


def _swept(plan: Swept) -> Iterator[Picture]:
    alike: dict[object, list[tuple[Picture, Variant]]] = {}
    for variant in plan.variants.values():
        drawn = picture(variant.plan)
        bare = tuple(replace(column, about=()) for column in drawn.columns)
        alike.setdefault(replace(drawn, columns=bare, rows=tuple(map(_unjudged, drawn.rows))), []).append(
            (drawn, variant)
        )
    for group in alike.values():
        drawn = group[0][0]
        varied: dict[str, dict[str, None]] = {}
        for _, variant in group:
            for path, value in variant.over.items():
                if path != "play" and not path.startswith("models."):
                    varied.setdefault(path, {})[str(value)] = None
        told = "; ".join(f"{path.removeprefix('judging.')} {', '.join(values)}" for path, values in varied.items())
        rows = drawn.rows if len(group) == 1 else tuple(map(_unjudged, drawn.rows))
        yield replace(drawn, title=f"{drawn.title}: {told}" if told else drawn.title, rows=rows)


def _unjudged(row: Row) -> Row:
    """Return a row without a word on how ballots are cast."""
    if isinstance(row, Frame):
        parts = tuple(replace(part, rows=tuple(map(_unjudged, part.rows))) for part in row.parts)
        return replace(row, parts=parts)
    ways = tuple(text for text in row.remarks if not text.startswith(("direct", "independent", "combined")))
    return replace(row, remarks=ways)


class _Walk:
    """What is known on the way through a flow."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._ears: Ears = {}
        self._said: Said = {}
        self._later: Said = {}
        """What will have been said when the repeats around begin another round."""

    def rows(self, steps: Sequence[Step]) -> tuple[Row, ...]:
        """Return the rows of steps."""
        return tuple(map(self._row, steps))

    def _row(self, step: Step) -> Row:
        match step:
            case AskStep():
                return self._turn(step)
            case RepeatStep():
                return self._repeat(step)
            case WhenStep():
                return self._when(step)
            case EachStep():
                return self._each(step)
            case _:
                return self._bar(step)

    def _bar(self, step: DecideStep | PickStep | PairStep) -> Bar:
        told = self._columns.told
        match step:
            case DecideStep():
                text = f"decide: {step.name}" if step.of == "ballot" else f"decide on an answer: {step.name}"
                return Bar(text, tuple(remarks.of_decision(step, told)))
            case PickStep():
                return Bar(f"pick: {step.name}", tuple(remarks.of_pick(step, told)), self._judges(step))
            case PairStep():
                return Bar(f"pair: {step.data}", tuple(remarks.of_pair(step, told)), self._judges(step))

    def _judges(self, step: PickStep | PairStep) -> tuple[Voice, ...]:
        what = "scores" if isinstance(step, PickStep) and step.pick.needs == "scores" else "compares"
        return tuple(Voice(column, what) for column in self._columns.numbers(step.jury.judges))

    # ways

    def _repeat(self, step: RepeatStep) -> Frame:
        if step.times > 1:
            ears, said, later = self._copied(), dict(self._said), self._later
            self.rows(step.steps)  # what another round begins with
            again, self._ears = self._ears, ears
            for name, heard in again.items():
                own = self._ears.setdefault(name, {})
                own.update({other: True for other in heard if other not in own})
            self._later, self._said = _merged(later, self._said), said
            rows = self.rows(step.steps)
            self._later = later
        else:
            rows = self.rows(step.steps)
        return Frame("repeat", (Part(remarks.of_repeat(step), rows),))

    def _when(self, step: WhenStep) -> Frame:
        ears, said = self._copied(), dict(self._said)
        parts = [Part(f"when {step.condition}", self.rows(step.steps))]
        one, self._ears, told, self._said = self._ears, ears, self._said, said
        if step.otherwise:
            parts.append(Part("else", self.rows(step.otherwise)))
        self._ears, self._said = _either(one, self._ears), _merged(told, self._said)
        return Frame("when", tuple(parts))

    def _each(self, step: EachStep) -> Frame:
        for name in step.own:  # a branch's own agents begin afresh
            self._ears.pop(name, None)
        rows = self.rows(step.steps)
        for name, own in step.own.items():
            heard = self._ears.pop(name, {})
            for branch, agent in enumerate(own):
                self._ears[agent] = {_branched(other, step.own, branch): late for other, late in heard.items()}
        return Frame("each", (Part(remarks.of_each(step), rows),), together=step.together)

    def _copied(self) -> Ears:
        return {name: dict(heard) for name, heard in self._ears.items()}

    # asking

    def _turn(self, step: AskStep) -> Turn:
        for name in step.agents:
            if isinstance(step.hears, spec.Graph):
                self._ears[name] = dict.fromkeys((other for other in step.agents if other != name), False)
            elif name in step.hears:
                self._ears[name] = dict.fromkeys(step.hears[name], False)
        chained = step.in_turn and not step.shuffled and len(step.agents) > 1 and step.assign is None
        aloud = step.in_turn and not step.blind and self._hear_one_another(step.agents)
        turn = Turn(
            voices=tuple(self._voices(step)),
            chained=chained,
            aloud=aloud,
            hearing=tuple(self._hearing(step)),
            remarks=tuple(remarks.of_asking(step, hearing=aloud)),
            instructions=remarks.shortened(step.instructions),
            one=step.assign is not None,
        )
        for number in self._columns.numbers(step.agents):
            self._said = _merged(self._said, {number: (step.wanted,)})
        return turn

    def _hear_one_another(self, names: Sequence[str]) -> bool:
        return any(other in self._ears.get(name, {}) for name in names for other in names)

    def _voices(self, step: AskStep) -> Iterator[Voice]:
        columns = [self._columns.of(name) for name in step.agents]
        if not step.in_turn or step.shuffled:  # those of a column need not stand together
            columns.sort()
        for column, several in groupby(columns):
            count = len(tuple(several))
            yield Voice(column, step.wanted if count == 1 or step.assign else f"{step.wanted} {TIMES}{count}")

    def _hearing(self, step: AskStep) -> Iterator[Hearing]:
        """Return who of those asked hears what was said before the step."""
        now: dict[int, set[int]] = {}
        late: dict[int, set[int]] = {}
        for name in step.agents:
            listener = self._columns.of(name)
            for other, later in self._ears.get(name, {}).items():
                speaker = self._columns.of(other)
                if speaker in self._said and not later:
                    now.setdefault(listener, set()).add(speaker)
                elif speaker in self._said or speaker in self._later:
                    late.setdefault(listener, set()).add(speaker)
        late = {listener: heard - now.get(listener, set()) for listener, heard in late.items()}
        asked = self._columns.numbers(step.agents)
        yield from self._rails(now, asked, self._said)
        yield from (replace(each, later=True) for each in self._rails(late, asked, self._later))

    def _rails(self, heard: Mapping[int, set[int]], asked: Iterable[int], said: Said) -> Iterator[Hearing]:
        """Return who hears whom: in one where everyone hears the same, but for itself."""
        listening = {column: speakers for column, speakers in heard.items() if speakers}
        with_self = {frozenset(speakers | {column}) for column, speakers in listening.items()}
        if len(listening) > 1 and len(with_self) == 1 and set(listening) == set(asked):
            listening = {column: {*speakers, column} for column, speakers in listening.items()}
        by_heard: dict[tuple[int, ...], list[int]] = {}
        for column, speakers in sorted(listening.items()):
            by_heard.setdefault(tuple(sorted(speakers)), []).append(column)
        known = _merged(self._said, said)
        for several, listeners in by_heard.items():
            yield Hearing(several, tuple(listeners), tuple(known.get(column, ()) for column in several))


def _branched(name: str, own: Mapping[str, tuple[str, ...]], branch: int) -> str:
    return own[name][branch] if branch < len(own.get(name, ())) else name


def _merged(one: Said, other: Said) -> Said:
    columns = sorted({*one, *other})
    return {column: tuple(dict.fromkeys((*one.get(column, ()), *other.get(column, ())))) for column in columns}


def _either(one: Ears, other: Ears) -> Ears:
    """Return whom agents may listen to after one way or another."""
    ears: Ears = {}
    for name in dict.fromkeys((*one, *other)):
        heard = {**one.get(name, {}), **other.get(name, {})}
        ears[name] = {who: one.get(name, {}).get(who, True) and other.get(name, {}).get(who, True) for who in heard}
    return ears
