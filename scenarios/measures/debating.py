"""What debates come to: who changed an opinion and after whom, how opinions came together, and whether that helped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from .alpha import METHOD as ALPHA
from .clustered import MEAN
from .converging import Converged, Convergence
from .estimate import SHARE, holm
from .opinions import Debate, Sort
from .paired import METHODS as PAIRED
from .recovering import Recovered, Recovery
from .swaying import Sway, Swayed

METHODS = {
    "share": SHARE,
    "mean": MEAN,
    "alpha": ALPHA,
    "difference": PAIRED["difference_ci"],
    "p": PAIRED["p"],
    "p_holm": "p, adjusted for all ways of a sweep, or all agents, that stand beside it (Holm 1979)",
    "wording": "one less Jaccard's share of runs of five words that two texts have in common, small letters",
}
ONE_WAVE = (
    "Everybody was asked for an opinion once, so that there is nothing to compare: no changes, nobody moved, no before "
    "and after. Ask for ballots, or answers, in each round (an `ask ... for: ballot` inside the `repeat`, and one "
    "before it) to see them."
)


class Debating(BaseModel):
    """What the debates of one run come to, or of one way in which a sweep played its items."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    variant: str
    """Of a sweep; else empty."""
    sort: Sort
    """What opinions are: ballots on two candidates, or answers to a question."""
    items: int
    """Items that have an outcome and an opinion."""
    agents: tuple[str, ...]
    """Who gave opinions."""
    waves: int
    """How often opinions were asked for, at the most: wave 1 is everybody's first, until somebody is asked again."""
    why: str | None
    """Why there is nothing about changes, where there is not."""
    failed: int
    """Items that failed; nothing of them is in any figure."""
    beside: int
    """Opinions in no wave: of someone asked once, over what two or more others had come to, such as a chair."""
    of_parts: int
    """Opinions in no wave: asked for inside an `each`, so that they are about different things."""
    converged: Converged
    swayed: Swayed | None
    """None where nobody was asked twice."""
    recovered: Recovered | None
    """None where no truth is known."""


class Debates(BaseModel):
    """The debates of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ways: tuple[Debating, ...]
    """One for each way in which items were played, and sort of opinions."""
    methods: dict[str, str] = METHODS
    """How intervals and figures are found, by what they are of."""


@dataclass(slots=True)
class _Found:
    """Debates of one way and sort, as they are taken in."""

    agents: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """By the first item that each took part in, and its place there."""
    items: int = 0
    waves: int = 0
    beside: int = 0
    of_parts: int = 0
    talked: bool = False
    sway: Sway = field(default_factory=Sway)
    convergence: Convergence = field(default_factory=Convergence)
    recovery: Recovery = field(default_factory=Recovery)

    def add(self, debate: Debate) -> None:
        for place, agent in enumerate(debate.agents):
            first = (debate.number, place)
            self.agents[agent] = min(self.agents.get(agent, first), first)
        self.waves = max(self.waves, len(debate.waves))
        self.beside += debate.beside
        self.of_parts += debate.of_parts
        self.talked = self.talked or debate.talked
        for each in (self.sway, self.convergence, self.recovery):
            each.add(debate)
        self.items += 1

    def found(self, variant: str, sort: Sort, failed: int) -> Debating:
        agents = sorted(self.agents, key=self.agents.__getitem__)
        return Debating(
            variant=variant,
            sort=sort,
            items=self.items,
            agents=tuple(agents),
            waves=self.waves,
            why=None if self.waves > 1 else ONE_WAVE,
            failed=failed,
            beside=self.beside,
            of_parts=self.of_parts,
            converged=self.convergence.found(),
            swayed=self.sway.found(agents) if self.waves > 1 else None,
            recovered=self.recovery.found(agents),
        )


class Debated:
    """Takes in debates one by one; what is held of each are a few numbers a wave, and none of its texts."""

    def __init__(self, variants: Sequence[str] = ()) -> None:
        """Begin with none.

        Args:
            variants: The ways of a sweep, in the order in which they are to be told.
        """
        self._variants = tuple(variants)
        self._found: dict[tuple[str, Sort], _Found] = {}
        self._failed: dict[str, int] = {}

    def add(self, debate: Debate) -> None:
        """Take in the debate about an item."""
        self._found.setdefault((debate.variant, debate.sort), _Found()).add(debate)

    def failed(self, variant: str) -> None:
        """Count an item that failed."""
        self._failed[variant] = self._failed.get(variant, 0) + 1

    def found(self) -> Debates | None:
        """Return what they come to; None where nobody had heard anybody before giving an opinion: these are votes."""
        debates = [
            found.found(variant, sort, self._failed.get(variant, 0))
            for (variant, sort), found in sorted(self._found.items(), key=lambda pair: self._place(*pair[0]))
            if found.talked
        ]
        return Debates(ways=_adjusted(debates)) if debates else None

    def _place(self, variant: str, sort: Sort) -> tuple[int, str, str]:
        known = variant in self._variants
        return self._variants.index(variant) if known else len(self._variants), variant, sort


def debating(debates: Iterable[Debate]) -> Debates | None:
    """Return what debates come to; None where nobody had heard anybody before giving an opinion."""
    debated = Debated()
    for debate in debates:
        debated.add(debate)
    return debated.found()


def _adjusted(debates: list[Debating]) -> tuple[Debating, ...]:
    """Return debates with the p of before and after adjusted for how many ways were compared."""
    tested = [
        (place, recovered)
        for place, each in enumerate(debates)
        if (recovered := each.recovered) is not None and recovered.plurality.p is not None
    ]
    p_holm = holm([recovered.plurality.p or 0.0 for _, recovered in tested]) if tested else []
    for (place, recovered), p in zip(tested, p_holm, strict=True):
        plurality = recovered.plurality.model_copy(update={"p_holm": p})
        update = {"recovered": recovered.model_copy(update={"plurality": plurality})}
        debates[place] = debates[place].model_copy(update=update)
    return tuple(debates)
