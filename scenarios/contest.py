"""The steps in which judges compare drafts, `pick` and `pair`: resolved and proven."""

from collections.abc import Iterator, Mapping
from itertools import combinations_with_replacement

from ..agents import Agent
from ..protocols.aggregation import RULES
from ..protocols.comparing import DraftsCompared
from ..protocols.errors import nearest
from ..protocols.material import Selection
from ..protocols.pairing import Filters
from ..protocols.selection import AS_PUBLISHED, PICKS, Pick
from . import spec
from .problems import Problems
from .source import Path
from .steps import Jury, PairStep, PickStep


class Contest:
    """Plans such steps of one scenario."""

    def __init__(
        self,
        scenario: spec.Scenario,
        roles: Mapping[str, type[Agent] | None],
        families: Mapping[str, str],
        problems: Problems,
    ) -> None:
        """Make one; the arguments are those of a Flow."""
        self._scenario = scenario
        self._cast = tuple(scenario.agents)
        self._roles = roles
        self._families = families
        self._problems = problems

    def _wrong(self, what: str, path: Path) -> None:
        self._problems.add(what, path)

    def pick(
        self, step: spec.Pick, at: Path, place: str, written: tuple[str, ...], unscored: str | None
    ) -> Iterator[PickStep]:
        """Plan a pick; nothing where its way to pick is not known, which is noted.

        Args:
            step: What is declared.
            at: Where.
            place: The same, in the flow.
            written: Who has written drafts.
            unscored: Why reviewers have given no scores; None where they have.
        """
        pick = self._problems.resolved(PICKS, step.pick, (*at, "pick"))
        if pick is None:
            return
        name = step.pick
        self._prove_judged(pick, step, at, unscored)
        if step.as_published:
            if name != "knock-out":
                self._wrong(f"as_published is about a knock-out, and this step picks {name}", (*at, "as_published"))
            name, pick = f"{name} as published", AS_PUBLISHED
            # The paper's judge saw each match in one order.
            step = step if step.orders is not None or step.by is None else step.model_copy(update={"orders": "ab"})
        yield PickStep(place, name, pick, self._writers(step, at, written), self._jury(step, at), {})

    def _prove_judged(self, pick: Pick, step: spec.Pick, at: Path, unscored: str | None) -> None:
        """Check that who is to judge is there where someone is to, and only there."""
        if pick.needs == "matches" and step.by is None:
            judges = ", ".join(self._able()) or "there is no agent that could"
            self._wrong(f"{step.pick} is decided by judges: say `by` ({judges})", at)
        elif pick.needs == "scores" and step.by is None and unscored:
            self._wrong(f"{step.pick} goes by scores: {unscored}, and no judge is named in `by`", at)
        elif pick.needs == "nothing" and step.by is not None:
            self._wrong(f"by means nothing here: pick: {step.pick} asks nobody", (*at, "by"))

    def _able(self) -> list[str]:
        """Return who can compare drafts."""
        return [name for name, kind in self._roles.items() if kind and DraftsCompared in kind.gives]

    def _writers(self, step: spec.Pick | spec.Pair, at: Path, written: tuple[str, ...]) -> tuple[str, ...]:
        """Return the writers whose drafts count."""
        for number, name in enumerate(step.among or ()):
            if name not in self._cast:
                self._wrong(f"unknown agent {name!r}{nearest(name, written or self._cast)}", (*at, "among", number))
            elif name not in written:
                self._wrong(f"{name!r} writes no draft before this step", (*at, "among", number))
        return step.among or written

    def _jury(self, step: spec.Pick | spec.Pair, at: Path) -> Jury:
        judging = step.judging(self._scenario.judging)
        if step.by is None:
            for option in spec.JUDGING_OPTIONS:
                if getattr(step, option) is not None:
                    self._wrong(f"{option} means nothing here: no judge is named in `by`", (*at, option))
        for number, name in enumerate(step.by or ()):
            where: Path = (*at, "by", number)
            role = self._roles.get(name)
            if name not in self._cast:
                self._wrong(f"unknown agent {name!r}{nearest(name, self._able())}", where)
            elif name in (step.by or ())[:number]:
                self._wrong(f"agent {name!r} is named twice", where)
            elif role is not None and DraftsCompared not in role.gives:
                able, sort = ", ".join(self._able()), self._scenario.agents[name].role
                self._wrong(f"{name!r} is a {sort} and compares no drafts{f'; {able} can' if able else ''}", where)
        rule = self._problems.resolved(RULES, step.rule, (*at, "rule"))
        if rule is not None and rule.needs_scores and judging.strategy == "direct":
            self._wrong(f"{step.rule} needs scores, and strategy: direct gives none", (*at, "rule"))
        return Jury(step.by or (), judging, step.rule, rule or RULES["unique-mode"])

    def pair(
        self, step: spec.Pair, at: Path, place: str, written: tuple[str, ...], judges: tuple[str, ...]
    ) -> PairStep:
        """Plan a pair.

        Args:
            step: What is declared.
            at: Where.
            place: The same, in the flow.
            written: Who has written drafts.
            judges: Whose votes there are, or will be.
        """
        if step.pair == "workflow" and (step.select or step.versions):
            what = "versions" if step.versions else "select"
            self._wrong(
                f"{what} is for pair: generation; workflow sets revisions against what they revise", (*at, what)
            )
        elif step.select and step.versions:
            self._wrong("say select or versions, not both", (*at, "versions"))
        elif step.versions and (step.versions[0] == step.versions[1] or min(step.versions) < 1):
            self._wrong("versions are two different ones, from 1, as in [3, 1]", (*at, "versions"))
        writers, jury = self._writers(step, at, written), self._jury(step, at)
        if not judges:
            self._wrong("nobody says which is better: name judges in `by`", at)
        if jury.judging.strategy == "direct" and step.margin > 0:
            self._wrong("margin needs scores, and strategy: direct gives none", (*at, "margin"))
        if step.quorum > len(judges) > 0:
            there = "there is 1 judge" if len(judges) == 1 else f"there are {len(judges)} judges"
            self._wrong(f"quorum is {step.quorum}, and {there}", (*at, "quorum"))
        eligible = self._eligible(step, at, writers, judges)
        selection = Selection("versions", step.versions) if step.versions else Selection(step.select or "best-all")
        filters = Filters(margin=step.margin, quorum=step.quorum, agreement=step.agreement)
        return PairStep(place, step.pair, selection, filters, writers, jury, eligible)

    def _eligible(
        self, step: spec.Pair, at: Path, writers: tuple[str, ...], judges: tuple[str, ...]
    ) -> dict[frozenset[str], tuple[str, ...]]:
        """Return the judges of each one or two writers' drafts: no judge labels what its own family wrote."""
        found: dict[frozenset[str], tuple[str, ...]] = {}
        alone: dict[str, None] = {}
        """Families of writers whom nobody may judge."""
        for one, other in combinations_with_replacement(writers, 2):
            families = {self._families.get(name) for name in (one, other)} - {None}
            able = tuple(name for name in judges if step.own_family or self._families.get(name) not in families)
            found[frozenset({one, other})] = able
            if judges and not able:
                judging = {self._families.get(name) for name in judges}
                alone.update(dict.fromkeys(sorted(filter(None, families & judging))))
        if alone and all(name in self._families for name in (*judges, *writers)):
            alias = self._scenario.agents[judges[0]].model if judges[0] in self._scenario.agents else None
            judge = f"{alias}=" if alias in self._scenario.models else ""
            what = f"{', '.join(judges)} would judge answers of its own family ({', '.join(alone)}), and judges favour "
            what += f"their own: give the judge a model of another family (--model {judge}PROVIDER/MODEL), or say "
            what += "--set own_family=true" if "own_family" in self._scenario.chosen else "own_family: true"
            self._problems.only_if_asked(what, (*at, "by") if step.by else at)
        return found
