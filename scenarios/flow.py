"""The steps of a scenario, resolved and proven: what each needs must have been asked for on every way to it."""

from collections.abc import Iterator, Mapping, Sequence

from ..agents import Agent
from . import spec
from .asking import DECISION, Asking
from .branching import heard
from .cast import Cast
from .contest import Contest
from .deciding import Deciding
from .fanning import UNKNOWN, fanned
from .foresight import Rest
from .ground import Ground
from .problems import Problems
from .source import Path
from .steps import AskStep, DecideStep, EachStep, PairStep, PickStep, RepeatStep, Step, WhenStep

MOST_AGENTS = 1_000
"""That branches played together, and those within them, may have."""
MOST_QUOTED = 3
"""Names that a sentence lists."""


class Flow:
    """The steps of one scenario, in the making."""

    def __init__(
        self,
        cast: Cast,
        roles: Mapping[str, type[Agent] | None],
        families: Mapping[str, str],
        models: Mapping[str, str],
        problems: Problems,
    ) -> None:
        """Begin with no step.

        Args:
            cast: Who takes part, and in what scenario.
            roles: The class of each agent by its name; None where it could not be found.
            families: Of what family each agent's model is, where that is known.
            models: The own name of each agent's model, where that is known.
            problems: Where to note what is wrong.
        """
        self._ground = Ground(cast, cast.scope, roles, families, models, problems)
        self._asking = Asking(self._ground)
        self._contest = Contest(self._ground)
        self._deciding = Deciding(self._ground, self._asking)
        self.branches: dict[str, tuple[str, ...]] = {}
        """The agents that branches played together have, by the agent they have them in place of."""
        self._bases: dict[str, str] = {}
        """The agent in whose place each of a branch is."""

    def planned(self) -> tuple[Step, ...]:
        """Return all steps; some are missing where something is wrong with them."""
        steps = tuple(self._steps(self._ground.scenario.flow, ("flow",), "", ()))
        unheard = {} if self._ground.problems.misnamed else self._ground.seen.unheard
        for fact, at in dict.fromkeys(unheard.values()):
            who = _quoted([name for name, told in unheard.items() if told == (fact, at)])
            self._ground.wrong(f"nobody hears the {fact} of {who}: say `hears` where others are asked", at)
        return heard(steps, self.branches)

    @property
    def verbs(self) -> frozenset[str]:
        """Verbs that are on every way through the flow."""
        return frozenset(self._ground.seen.verbs)

    @property
    def involved(self) -> set[str]:
        """Return who is asked for anything, or judges; of branches those in whose place they have others."""
        names = self._ground.seen.agents | self._ground.seen.judges
        return names | {self._origin(name) for name in names}

    def _wrong(self, what: str, path: Path) -> None:
        self._ground.wrong(what, path)

    def _steps(self, steps: Sequence[spec.Step], path: Path, outer: str, then: Rest) -> Iterator[Step]:
        """Plan steps that are followed by others, in the list around them."""
        placed = tuple((step, (*path, index)) for index, step in enumerate(steps))
        for index, (step, at) in enumerate(placed):
            place = f"{outer}.{index}" if outer else str(index)
            rest = (*placed[index + 1 :], *then)
            match step:
                case spec.Ask():
                    yield self._ask(step, at, place, rest)
                case spec.Repeat():
                    yield self._repeat(step, at, place, rest)
                case spec.When():
                    yield from self._when(step, at, place, rest)
                case spec.Each():
                    yield from self._each(step, at, place, rest)
                case spec.Use():
                    yield from self._use(step, at, place, rest)
                case spec.Decide() | spec.Pick() | spec.Pair():
                    yield from self._end(step, at, place, rest)

    def _ask(self, step: spec.Ask, at: Path, place: str, rest: Rest) -> AskStep:
        for name in step.ask:
            for member in self._ground.scope.resolved(name) or ():
                self._ground.seen.unheard.pop(member, None)  # what it said before it has in mind now
        return self._asking.plan(step, at, place, rest)

    # ways

    def _repeat(self, step: spec.Repeat, at: Path, place: str, rest: Rest) -> RepeatStep:
        again: Rest = ((step, at),) if step.repeat > 1 else ()
        several = not isinstance(step.until, str)
        with self._ground.within(rounds=step.repeat), self._round(step, again=step.repeat > 1):
            steps = tuple(self._steps(step.do, (*at, "do"), place, (*again, *rest)))
        with self._ground.within(rounds=step.repeat):
            conditions = [
                self._asking.condition(text, "until", (*at, "until", number) if several else (*at, "until"))
                for number, text in enumerate(step.conditions)
            ]
        return RepeatStep(place, step.repeat, steps, tuple(each for each in conditions if each is not None))

    def _round(self, step: spec.Repeat | spec.Each, *, again: bool) -> "_Round":
        return _Round(self._ground.around, step if again else None)

    def _when(self, step: spec.When, at: Path, place: str, rest: Rest) -> Iterator[WhenStep]:
        ground = self._ground
        otherwise_at = (*at, "else") if step.else_ else None
        condition = self._asking.condition(step.when, "when", (*at, "when"), otherwise=otherwise_at)
        before, unheard = ground.seen.copy(), dict(ground.seen.unheard)
        steps = tuple(self._steps(step.do, (*at, "do"), f"{place}.do", rest))
        one, ground.seen = ground.seen, before
        otherwise = tuple(self._steps(step.else_, (*at, "else"), f"{place}.else", rest))
        ground.seen = one.merged(ground.seen, unheard)
        if condition is not None:
            yield WhenStep(place, condition, steps, otherwise)

    def _each(self, step: spec.Each, at: Path, place: str, rest: Rest) -> Iterator[EachStep]:
        ground, together = self._ground, step.order == "together"
        fan = fanned(self._ground, step, at)
        if step.each == DECISION:
            self._wrong("$decision stands for what was decided: give the `each` another name", (*at, "each"))
        if step.each in ground.bound:
            self._wrong(f"${step.each} is the name of an `each` around this one already", (*at, "each"))
        kind = {"drafts": "draft", "candidates": "candidate"}.get(str(step.of), "text") if fan else UNKNOWN
        again: Rest = () if together else ((step, at),)
        before, inside = set(ground.ever), set[str]()
        with (
            ground.within(
                bound={**ground.bound, step.each: kind},
                together=ground.together or together,
                inside=[*ground.inside, inside],
            ),
            self._round(step, again=not together),
        ):
            steps = tuple(self._steps(step.do, (*at, "do"), place, (*again, *rest)))
        if fan is None:
            return
        own: dict[str, tuple[str, ...]] = {}
        within = dict(self.branches)
        if together:
            own = self._branches(sorted(inside, key=self._declared), before, fan.most, at)
        tails = {name: tuple(each.removeprefix(name) for each in within[name]) for name in own if name in within}
        yield EachStep(
            place, step.each, fan.of, fan.column, fan.most, step.sample, together, steps, own, ground.among, tails
        )

    def _branches(self, asked: Sequence[str], before: set[str], most: int, at: Path) -> dict[str, tuple[str, ...]]:
        """Return the agents of each branch; from here on their names stand for those of all branches."""
        ground = self._ground
        own: dict[str, tuple[str, ...]] = {}
        origins = tuple(dict.fromkeys(map(self._origin, asked)))
        again = [name for name in origins if before & {name, *self.branches.get(name, ())}]
        if again:
            has = "has" if len(again) == 1 else "have"
            self._wrong(
                f"{_quoted(again)} {has} been asked before: branches that are played together have agents of their "
                "own; name another one, or say order: in-turn",
                at,
            )
            return own
        count = most * sum(len(self.branches.get(name, (name,))) for name in origins)
        if count > MOST_AGENTS:
            what = f"{count:,} agents of {most} branches' own are more than {MOST_AGENTS:,}: say `most` or `sample`"
            self._wrong(what, at)
            return own
        for name in origins:
            inner = self.branches.get(name, (name,))
            tails = [each.removeprefix(name) for each in inner]
            own[name] = tuple(f"{name}-{number}" for number in range(1, most + 1))
            self.branches[name] = tuple(f"{each}{tail}" for each in own[name] for tail in tails)
            self._bases |= dict.fromkeys((*own[name], *self.branches[name]), name)
            taken = next((each for each in self.branches[name] if each in ground.cast.declared), None)
            if taken is not None:
                self._wrong(f"the branches' agents in place of {name!r} would be called {taken!r}, as another is", at)
        several = {inner: tuple(dict.fromkeys(self.branches[self._origin(inner)])) for inner in asked}
        for names in ground.inside:
            names.update([each for name in names & several.keys() for each in several[name]])
            names.difference_update(several.keys() - {each for every in several.values() for each in every})
        ground.cast.branched(several)
        ground.seen = ground.seen.branched(several)
        return own

    def _declared(self, name: str) -> tuple[int, str]:
        """Return what agents are sorted by: where they are declared."""
        return list(self._ground.cast.declared).index(self._origin(name)), name

    def _origin(self, name: str) -> str:
        """Return the agent in whose place a branch has one; the same where it is none of a branch."""
        return self._bases.get(name, name)

    # other scenarios

    def _use(self, step: spec.Use, at: Path, place: str, rest: Rest) -> Iterator[Step]:
        ground = self._ground
        scope = ground.cast.used(step)
        if scope is None:
            return
        used, ours = scope.scenario, ground.scenario
        if used.takes not in (ours.takes, "instruction"):
            self._wrong(f"{step.use} takes a {used.takes}, and this scenario {_a(ours.takes)}", (*at, "use"))
        if used.takes == ours.takes == "question" and used.answers != ours.answers:
            what = f"{step.use} compares answers as {used.answers}, and this scenario as {ours.answers}"
            self._wrong(what, (*at, "use"))
        using = f"{ground.using}{used.scenario}: "
        with ground.within(scope=scope, using=using, bound={}):
            yield from self._steps(used.flow, (*at, "flow"), place, rest)

    # ends

    def _end(
        self, step: spec.Decide | spec.Pick | spec.Pair, at: Path, place: str, rest: Rest
    ) -> Iterator[AskStep | DecideStep | PickStep | PairStep]:
        verb = (spec.verb_of(step) or "").strip("<>")
        self._ground.seen.verbs.add(verb)
        if self._ground.together:
            self._wrong(f"{verb} is not for branches that are played together: it follows the `each`", at)
        match step:
            case spec.Decide():
                yield from self._deciding.plan(step, at, place, rest)
            case spec.Pick():
                yield from self._pick(step, at, place)
            case spec.Pair():
                yield from self._pair(step, at, place)

    def _pick(self, step: spec.Pick, at: Path, place: str) -> Iterator[PickStep]:
        ground = self._ground
        if not ground.seen.facts & {"draft", "answer"}:
            self._wrong(f"nothing to pick from: {ground.missing('draft')}", at)
        scored = None if "feedback" in ground.seen.facts else ground.missing("feedback")
        yield from self._contest.pick(step, at, place, scored)

    def _pair(self, step: spec.Pair, at: Path, place: str) -> Iterator[PairStep]:
        ground = self._ground
        needed = {"draft", "answer"}
        if not ground.seen.facts & needed:
            self._wrong(f"nothing to make pairs of: {ground.missing('draft')}", at)
        if step.pair == "workflow" and "feedback" not in ground.seen.facts:
            self._wrong(f"nothing to make pairs of: {ground.missing('feedback')}", at)
        if step.select == "consensus" and ground.scenario.takes == "question" and "decide" not in ground.seen.verbs:
            self._wrong("select: consensus needs a `decide` before it: which answers agree with it", (*at, "select"))
        yield self._contest.pair(step, at, place)


class _Round:
    """Steps that are played again: what is asked for in them may have been asked for before, in the round before."""

    def __init__(self, around: list[set[str]], step: spec.Repeat | spec.Each | None) -> None:
        self._around = around
        inside = spec.within(step.do) if step is not None else ()
        self._asked: set[str] = {each.for_ for each in inside if isinstance(each, spec.Ask)}

    def __enter__(self) -> None:
        self._around.append(self._asked)

    def __exit__(self, *error: object) -> None:
        self._around.pop()


def _quoted(names: Sequence[str]) -> str:
    """Return names for a sentence; of many the first ones."""
    more = f" and {len(names) - MOST_QUOTED} more" if len(names) > MOST_QUOTED else ""
    return ", ".join(map(repr, names[:MOST_QUOTED])) + more


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
