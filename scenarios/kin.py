"""Who is not asked to judge: whose own work, or whose model's or family's, it is."""

from ..protocols.items import Item
from . import spec
from .measures.families import family_of
from .steps import Plan


def excluded(exclude: spec.Exclusion | None, name: str, writer: str | None, plan: Plan, item: Item) -> bool:
    """Return whether an agent is not asked about a draft, or about the item's candidates.

    Candidates of which nobody knows who wrote them exclude nobody.

    Args:
        exclude: Who is left out.
        name: The agent.
        writer: Who wrote the draft; none: it is about the candidates.
        plan: What is played.
        item: For which item.
    """
    if exclude is None:
        return False
    if exclude == "own":
        return name == writer
    if writer is not None:
        if exclude == "model":
            return plan.profiles[name].settings.model == plan.profiles[writer].settings.model
        return plan.families[name] == plan.families[writer]
    wrote = [candidate.model for candidate in item.candidates if candidate.model is not None]
    if exclude == "model":
        own = _bare(plan.profiles[name].settings.model)
        return any(_bare(model) == own for model in wrote)
    return plan.families[name] in {family_of(model) for model in wrote}


def _bare(model: str) -> str:
    """Return a model's own name: who serves it does not make it another one."""
    return model.rpartition("/")[2].casefold()
