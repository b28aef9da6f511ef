"""Who is not asked to judge: whose own work, or whose model's or family's, it is."""

from ..protocols.items import Item
from . import spec
from .measures.families import kin_of, own_name
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
    if exclude == "family":
        own = plan.families[name]
        return own == plan.families[writer] if writer is not None else own in map(kin_of, _wrote(item))
    models = [plan.profiles[writer].settings.model] if writer is not None else _wrote(item)
    return own_name(plan.profiles[name].settings.model) in map(own_name, models)


def _wrote(item: Item) -> list[str]:
    """Return the models that wrote the candidates, as far as they are known."""
    return [candidate.model for candidate in item.candidates if candidate.model is not None]
