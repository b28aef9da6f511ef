"""What was played, as far as preference data is concerned: whose models, which steps make pairs, of which prompts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ...protocols.pairing import Data, Filters
from ..declared import declaration
from ..measures.families import kin_of


@dataclass(frozen=True, slots=True)
class Played:
    """One scenario, or one variant of a sweep."""

    variant: str
    """Empty where it is no sweep's."""
    models: Mapping[str, str]
    """Of each agent."""
    families: Mapping[str, str]
    """Of each agent's model."""
    prompts: Mapping[str, str]
    """Digest of each agent's prompt template."""
    filters: Mapping[Data, Filters]
    """Of each data set that it makes, what its pairs must have; where several steps make it, those of the first."""
    steps: Mapping[str, Filters]
    """The same of each `pair`, by its place in the flow."""
    compares: bool
    """Whether it gives verdicts on answers that came with the data."""
    scale: int | None
    """The best score possible in such a verdict; None where there are no scores."""

    @classmethod
    def of(cls, variant: str, record: dict[str, Any]) -> "Played":
        """Read it from what a run has noted."""
        scenario: dict[str, Any] = record["scenario"]
        models = {agent: str(settings["model"]) for agent, settings in record["models"].items()}
        families = {agent: kin_of(model, declaration(record, agent).get("family")) for agent, model in models.items()}
        filters: dict[Data, Filters] = {}
        steps: dict[str, Filters] = {}
        for place, step in _steps(scenario["flow"]):
            if "pair" in step:
                said = {name: step[name] for name in Filters.model_fields if name in step}
                steps[place] = Filters.model_validate(said)
                filters.setdefault(cast("Data", step["pair"]), steps[place])
        compares = scenario["gives"] == "verdict" and scenario["takes"] == "comparison"
        judging: dict[str, Any] = scenario.get("judging", {})
        direct = judging.get("strategy") == "direct"
        return cls(
            variant=variant,
            models=models,
            families=families,
            prompts={agent: str(digest) for agent, digest in record["prompts"].items()},
            steps=steps,
            filters=filters or ({"generation": Filters()} if compares else {}),
            compares=compares,
            scale=None if direct else int(judging.get("scale", 10)),
        )


def makes_pairs(played: Mapping[str, Any]) -> bool:
    """Return whether a step of what was played makes preference pairs; `played` is as a run has noted it."""
    records: Mapping[str, Any] = played.get("variants", {"": played})
    return any("pair" in step for record in records.values() for _, step in _steps(record["scenario"]["flow"]))


def _steps(flow: list[dict[str, Any]], outer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Return steps with their places, as a run notes them, each followed by those inside it."""
    for index, step in enumerate(flow):
        place = f"{outer}.{index}" if outer else str(index)
        yield place, step
        yield from _steps(step.get("do", []), f"{place}.do" if "when" in step else place)
        yield from _steps(step.get("else", []), f"{place}.else")
