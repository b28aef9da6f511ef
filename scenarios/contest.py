"""The steps in which judges compare drafts, `pick` and `pair`: resolved and proven."""

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement

from ..protocols.aggregation import RULES
from ..protocols.comparing import DraftsCompared
from ..protocols.material import Selection
from ..protocols.pairing import Filters
from ..protocols.selection import AS_PUBLISHED, PICKS, Pick
from . import spec
from .ground import Ground
from .source import Path
from .steps import Jury, PairStep, PickStep

Eligible = dict[frozenset[str], tuple[str, ...]]
"""The judges whose votes count, by the one or two writers of the drafts that are compared."""


class Contest:
    """Plans such steps of one scenario."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def _wrong(self, what: str, path: Path) -> None:
        self._ground.wrong(what, path)

    def pick(self, step: spec.Pick, at: Path, place: str, unscored: str | None) -> Iterator[PickStep]:
        """Plan a pick; nothing where its way to pick is not known, which is noted.

        Args:
            step: What is declared.
            at: Where.
            place: The same, in the flow.
            unscored: Why reviewers have given no scores; None where they have.
        """
        pick = self._ground.problems.resolved(PICKS, step.pick, (*at, "pick"))
        if pick is None:
            self._jury(step, at)
            return
        name = step.pick
        self._prove_judged(pick, step, at, unscored)
        if step.as_published:
            if name != "knock-out":
                self._wrong(f"as_published is about a knock-out, and this step picks {name}", (*at, "as_published"))
            name, pick = f"{name} as published", AS_PUBLISHED
            # The paper's judge saw each match in one order.
            step = step if step.orders is not None or step.by is None else step.model_copy(update={"orders": "ab"})
        writers, jury = self._writers(step, at), self._jury(step, at)
        yield PickStep(place, name, pick, writers, jury, self._not_excluded(step, at, writers, jury.judges))

    def _not_excluded(self, step: spec.Pick, at: Path, writers: Sequence[str], judges: tuple[str, ...]) -> Eligible:
        """Return who judges each one or two writers' drafts."""
        ground = self._ground
        if step.exclude is not None and not judges:
            self._wrong("exclude means nothing here: no judge is named in `by`", (*at, "exclude"))
        own = {name: name for name in (*writers, *judges)}
        kin = {"own": own, "model": ground.models, "family": ground.families}.get(step.exclude or "", {})
        found: Eligible = {}
        for one, other in combinations_with_replacement(writers, 2):
            theirs = {kin.get(one), kin.get(other)} - {None}
            found[frozenset({one, other})] = tuple(name for name in judges if kin.get(name) not in theirs)
        met = [sorted(pair) for pair in found if len(pair) == 2 or pair <= ground.seen.revised]
        alone = [pair for pair in met if judges and not found[frozenset(pair)]]
        if alone:
            names = " and ".join(alone[0])
            self._wrong(f"exclude: {step.exclude} leaves nobody to judge the drafts of {names}", (*at, "exclude"))
        kin_of = ground.families
        if judges and step.exclude is None and all(name in kin_of for name in (*judges, *writers)):
            partial = [name for name in judges if kin_of[name] in {kin_of[each] for each in writers}]
            if partial and len({kin_of[each] for each in writers}) > 1:
                what = f"{', '.join(partial)} would judge answers of its own family among others', and judges favour"
                ground.problems.warn(f"{ground.using}{what} their own: exclude: family leaves it out", (*at, "by"))
        return found

    def _prove_judged(self, pick: Pick, step: spec.Pick, at: Path, unscored: str | None) -> None:
        """Check that who is to judge is there where someone is to, and only there."""
        if pick.needs == "matches" and step.by is None:
            self._ground.problems.misnamed = True
            judges = ", ".join(self._able()) or "there is no agent that could"
            self._wrong(f"{step.pick} is decided by judges: say `by` ({judges})", at)
        elif pick.needs == "scores" and step.by is None and unscored:
            self._ground.problems.misnamed = True
            self._wrong(f"{step.pick} goes by scores: {unscored}, and no judge is named in `by`", at)
        elif pick.needs == "nothing" and step.by is not None:
            self._wrong(f"by means nothing here: pick: {step.pick} asks nobody", (*at, "by"))
        if step.by is None and "rule" in step.model_fields_set:
            self._wrong("rule means nothing here: no judge is named in `by`", (*at, "rule"))

    def _able(self) -> list[str]:
        """Return who can compare drafts."""
        roles = ((name, self._ground.roles.get(name)) for name in self._ground.scope.everyone)
        return [name for name, kind in roles if kind and DraftsCompared in kind.gives]

    def _writers(self, step: spec.Pick | spec.Pair, at: Path) -> tuple[str, ...]:
        """Return the writers whose drafts count."""
        written = self._ground.writers()
        if step.among is None:
            return written
        among = self._ground.named(step.among, (*at, "among"), written)
        for name in among:
            if name not in written:
                where = self._ground.placed(name, step.among, (*at, "among"))
                self._wrong(f"{name!r} writes no draft before this step", where)
        return among

    def _jury(self, step: spec.Pick | spec.Pair, at: Path) -> Jury:
        ground = self._ground
        judging = step.judging(ground.scenario.judging)
        if step.by is None:
            for option in spec.JUDGING_OPTIONS:
                if getattr(step, option) is not None:
                    self._wrong(f"{option} means nothing here: no judge is named in `by`", (*at, option))
        judges = ground.named(step.by, (*at, "by"), self._able())
        for name in judges:
            role = ground.roles.get(name)
            if role is not None and DraftsCompared not in role.gives:
                ground.problems.misnamed = True
                able = ", ".join(self._able())
                what = f"{name!r} is a {ground.role(name)} and compares no drafts{f'; {able} can' if able else ''}"
                self._wrong(what, ground.placed(name, step.by, (*at, "by")))
        ground.seen.judges.update(judges)
        ground.ever.update(judges)
        rule = ground.problems.resolved(RULES, step.rule, (*at, "rule"))
        if rule is not None and rule.needs_scores and judging.strategy == "direct":
            self._wrong(f"{step.rule} needs scores, and strategy: direct gives none", (*at, "rule"))
        if rule is not None and (step.rule in ("weighted", "meta-judge")):
            self._wrong(f"{step.rule} is for decide: judges of drafts have one vote each", (*at, "rule"))
        if rule is not None and rule.needs_confidence and not judging.confidence:
            self._wrong(f"{step.rule} needs confidence: say confidence: true", (*at, "rule"))
        return Jury(judges, judging, step.rule, rule or RULES["unique-mode"])

    def pair(self, step: spec.Pair, at: Path, place: str) -> PairStep:
        """Plan a pair; `place` is where it stands in the flow."""
        ground = self._ground
        if step.pair == "workflow" and (step.select or step.versions):
            what = "versions" if step.versions else "select"
            self._wrong(
                f"{what} is for pair: generation; workflow sets revisions against what they revise", (*at, what)
            )
        elif step.select and step.versions:
            self._wrong("say select or versions, not both", (*at, "versions"))
        elif step.versions and (step.versions[0] == step.versions[1] or min(step.versions) < 1):
            self._wrong("versions are two different ones, from 1, as in [3, 1]", (*at, "versions"))
        writers, jury = self._writers(step, at), self._jury(step, at)
        judges = jury.judges or tuple(name for name in ground.scope.everyone if name in ground.seen.judges)
        if step.select == "consensus":
            self._prove_consensus(step, at)
        elif not judges and step.by is None:
            self._ground.problems.misnamed = True
            self._wrong("nobody says which is better: name judges in `by`", at)
        if jury.judging.strategy == "direct" and step.margin > 0:
            self._wrong("margin needs scores, and strategy: direct gives none", (*at, "margin"))
        if step.quorum > len(judges) > 0:
            there = "there is 1 judge" if len(judges) == 1 else f"there are {len(judges)} judges"
            self._wrong(f"quorum is {step.quorum}, and {there}", (*at, "quorum"))
        eligible = self._eligible(step, at, writers, judges) if step.select != "consensus" else {}
        selection = Selection("versions", step.versions) if step.versions else Selection(step.select or "best-all")
        filters = Filters(margin=step.margin, quorum=step.quorum, agreement=step.agreement)
        return PairStep(place, step.pair, selection, filters, writers, jury, eligible)

    def _prove_consensus(self, step: spec.Pair, at: Path) -> None:
        """Check that nobody is to judge what the decision has judged."""
        if step.by is not None:
            self._wrong("by means nothing here: which answers agree with the decision asks nobody", (*at, "by"))
        if self._ground.scenario.takes != "question":
            what = "select: consensus is about answers to questions: takes must be question"
            self._wrong(what, (*at, "select"))
        if step.margin > 0:
            self._wrong("margin means nothing for select: consensus: answers have no scores", (*at, "margin"))

    def _eligible(self, step: spec.Pair, at: Path, writers: tuple[str, ...], judges: tuple[str, ...]) -> Eligible:
        """Return the judges of each one or two writers' drafts: no judge labels what its own family wrote."""
        ground, kin = self._ground, self._ground.families
        found: Eligible = {}
        alone: dict[str, None] = {}
        """Families of writers whom nobody may judge."""
        for one, other in combinations_with_replacement(writers, 2):
            families = {kin.get(name) for name in (one, other)} - {None}
            able = tuple(name for name in judges if step.own_family or kin.get(name) not in families)
            found[frozenset({one, other})] = able
            if judges and not able:
                judging = {kin.get(name) for name in judges}
                alone.update(dict.fromkeys(sorted(filter(None, families & judging))))
        if alone and all(name in kin for name in (*judges, *writers)):
            alias = ground.cast.declared[judges[0]].model
            judge = f"{alias}=" if alias in ground.scenario.models else ""
            what = f"{', '.join(judges)} would judge answers of its own family ({', '.join(alone)}), and judges favour "
            what += f"their own: give the judge a model of another family (--model {judge}PROVIDER/MODEL), or say "
            what += "--set own_family=true" if "own_family" in ground.scenario.chosen else "own_family: true"
            ground.problems.only_if_asked(ground.using + what, (*at, "by") if step.by else at)
        return found
