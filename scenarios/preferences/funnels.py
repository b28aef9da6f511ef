"""From the items of a run to the pairs that are kept: what was lost at each step."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...protocols.pairing import REASONS, Data, Reason
from .candidates import DUPLICATE, OVERLAP, Candidates, Repeats
from .exported import Funnel, Options, Step
from .pair import Pair

UNLOOKED = "not looked for"


@dataclass(slots=True)
class Count:
    """Candidates of one data set, as they come."""

    pairs: int = 0
    labels: int = 0
    dropped: Counter[Reason] = field(default_factory=Counter[Reason])

    def add(self, pair: Pair, reason: Reason | None) -> None:
        """Count a candidate and why it is dropped, where it is."""
        if pair.chosen and pair.rejected:
            self.pairs += 1
        else:
            self.labels += 1
        if reason is not None:
            self.dropped[reason] += 1


def looked(options: Options, repeats: Repeats | None) -> tuple[str, str]:
    """Return in words how overlaps and duplicates were looked for."""
    near = options.near_duplicates
    duplicates = "only where texts are the same" if near is None else f"likeness of {near:g} or more"
    return (
        UNLOOKED if repeats is None or not options.not_in else f"with {', '.join(options.not_in)}",
        UNLOOKED if repeats is None else duplicates,
    )


def funnel(
    data: Data, candidates: Candidates, count: Count, repeated: Mapping[str, int], words: tuple[str, str]
) -> Funnel:
    """Return the funnel of a data set.

    Args:
        data: The data set.
        candidates: The run's, gone through.
        count: What came of them.
        repeated: Pairs that are left out with their items, by why these are.
        words: How overlaps and duplicates were looked for.
    """
    overlaps = {why.removeprefix(OVERLAP): number for why, number in sorted(repeated.items()) if why != DUPLICATE}
    named = ", ".join(f"{name}: {number:,}" for name, number in overlaps.items())
    drops = [
        *((reason, count.dropped[reason], "") for reason in REASONS),
        ("overlaps", sum(overlaps.values()), named or words[0]),
        ("duplicates", repeated.get(DUPLICATE, 0), words[1]),
    ]
    steps: list[Step] = []
    left = count.pairs + count.labels
    for name, number, why in drops:
        left -= number
        steps.append(Step(step=name, lost=number, left=left, why=why))
    return Funnel(
        data=data,
        items=candidates.items,
        items_failed=candidates.failed,
        items_open=candidates.open,
        items_without=candidates.without.get(data, 0),
        candidates=count.pairs,
        labels=count.labels,
        steps=tuple(steps),
        kept=left,
    )
