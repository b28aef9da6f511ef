"""The step in which votes, or answers, become one: resolved and proven."""

from collections.abc import Iterator, Sequence
from typing import Literal

from ..protocols.aggregation import RULES, Rule
from . import spec
from .asking import Asking
from .foresight import Rest
from .ground import Ground
from .source import Path
from .steps import AskStep, DecideStep

META = "meta-judge"
Counted = Literal["ballot", "answer"]


class Deciding:
    """Plans such steps."""

    def __init__(self, ground: Ground, asking: Asking) -> None:
        self._ground = ground
        self._asking = asking

    def _wrong(self, what: str, path: Path) -> None:
        self._ground.wrong(what, path)

    def plan(self, step: spec.Decide, at: Path, place: str, rest: Rest) -> Iterator[AskStep | DecideStep]:
        """Plan a step that is followed by others; before one by a meta-judge, that it is asked."""
        ground = self._ground
        rule = ground.problems.resolved(RULES, step.decide, (*at, "decide"))
        wanted: Counted = "answer" if ground.scenario.takes == "question" else "ballot"
        voters = tuple(name for name in ground.scope.everyone if name in ground.seen.asked.get(wanted, ()))
        among = self._among(step, at, voters, wanted)
        if wanted not in ground.seen.facts:
            self._wrong(f"nothing to decide: {ground.missing(wanted)}", at)
        elif rule is not None:
            self._prove_rule(rule, step, at, wanted)
        weights = self._weights(step, at, voters if among is None else among)
        if step.decide == META:
            by = ground.named([step.by], (*at, "by")) if step.by else ()
            yield from self._meta(step, at, place, rest, voters if among is None else among)
            among = by or among
        elif step.by is not None:
            self._wrong(f"by is for {META}, and this step decides by {step.decide}", (*at, "by"))
        if rule is not None:
            yield DecideStep(place, step.decide, rule, among, step.ties, weights, wanted)

    def _among(self, step: spec.Decide, at: Path, voters: tuple[str, ...], wanted: Counted) -> tuple[str, ...] | None:
        """Return whose votes count; None for everyone's."""
        ground = self._ground
        if step.among is None:  # what a used scenario decides, it decides by itself
            return ground.scope.everyone if ground.using else None
        among = ground.named(step.among, (*at, "among"), voters)
        for name in among:
            if name not in voters:
                where = ground.placed(name, step.among, (*at, "among"))
                self._wrong(f"{name!r} gives no {wanted} before this step", where)
        return among

    def _prove_rule(self, rule: Rule, step: spec.Decide, at: Path, wanted: Counted) -> None:
        ground, where = self._ground, (*at, "decide")
        if rule.needs_scores and "direct" in ground.seen.strategies:
            self._wrong(f"{step.decide} needs scores, and strategy: direct gives none", where)
        if wanted == "answer" and not rule.takes_answers:
            self._wrong(f"{step.decide} is for two candidates, not for answers", where)
        if rule.needs_confidence and not ground.seen.confident:
            self._wrong(f"{step.decide} needs confidence: say confidence: true", where)

    def _weights(self, step: spec.Decide, at: Path, voters: Sequence[str]) -> dict[str, float]:
        """Return what each agent's vote counts, where that is said."""
        ground = self._ground
        if step.weights and step.decide != "weighted":
            self._wrong(f"weights are for weighted, and this step decides by {step.decide}", (*at, "weights"))
        elif step.decide == "weighted" and not step.weights:
            self._wrong("weighted needs weights: say whose vote counts what", at)
        found: dict[str, float] = {}
        for name, weight in step.weights.items():
            for member in ground.named([name], (*at, "weights", name), voters):
                found[member] = weight
                if member not in voters:
                    self._wrong(f"{member!r} has no vote in this decision", (*at, "weights", name))
            if weight < 0:
                self._wrong(f"a weight is 0 or more, not {weight:g}", (*at, "weights", name))
        return found

    def _meta(self, step: spec.Decide, at: Path, place: str, rest: Rest, voters: tuple[str, ...]) -> Iterator[AskStep]:
        """Plan the asking of the one who hears the votes, and whose vote is the verdict."""
        if step.by is None:
            self._ground.problems.misnamed = True
            self._wrong(f"{META} needs `by`: who hears the votes and decides", at)
            return
        if self._ground.scope.resolved(step.by) is None:  # which is told already
            return
        if set(self._ground.scope.resolved(step.by) or ()) & set(voters):
            self._wrong(f"{step.by!r} would hear its own vote: name another one", (*at, "by"))
        wanted: Counted = "answer" if self._ground.scenario.takes == "question" else "ballot"
        asked = spec.Ask.model_validate({"ask": step.by, "for": wanted, "hears": voters or "everyone"})
        yield self._asking.plan(asked, at, f"{place}.by", rest)
