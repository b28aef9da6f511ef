"""What is said of a step beside who speaks in it, in few words."""

from collections.abc import Callable, Iterable, Iterator

from ...protocols.judging import Judging
from .. import spec
from ..steps import AskStep, DecideStep, EachStep, Jury, PairStep, PickStep, RepeatStep

LONGEST = 150
"""Characters shown of instructions."""
OF_GRAPHS = {
    "complete": "everyone hears everyone",
    "ring": "a ring: each hears its two neighbours",
    "relay": "a relay: each hears the one before it",
    "star": "a star: the centre hears all, and all the centre",
    "tree": "a tree: parents and children hear one another",
    "small-world": "a small world: each hears its neighbours, some of them exchanged by chance",
    "random": "a random graph: each hears some of the others",
}
EXCLUDED = {
    "own": "nobody judges what is its own",
    "model": "nobody judges what its own model wrote",
    "family": "nobody judges what its own family wrote",
}
OF_WHAT = {"criteria": "the criteria", "drafts": "the drafts", "candidates": "a and b"}

Told = Callable[[Iterable[str]], str]
"""Says who some agents are."""


def of_asking(step: AskStep, *, hearing: bool) -> Iterator[str]:
    """Return the remarks of a step that asks; `hearing`: those asked one after another hear those before them."""
    if len(step.agents) > 1:
        yield _order(step, hearing=hearing)
    if isinstance(step.hears, spec.Graph):
        yield _graph(step.hears)
    if step.exclude is not None:
        yield EXCLUDED[step.exclude]
    words = {
        "anonymous": step.anonymous,
        f"for {step.side}": step.side is not None,
        f"on {step.on}": step.on is not None,
        "one for each feedback": step.apart,
        "in place of all before it": step.replaces,
        f"{step.most} at most": step.wanted == "criteria",
        of_judging(step.judging): step.wanted == "ballot",
        f"with a score out of {step.judging.scale}": step.wanted == "feedback",
        "with confidence": step.wanted == "answer" and step.judging.confidence,
        f"until {step.until}": step.until is not None,
    }
    yield from (told for told, is_so in words.items() if is_so)


def _order(step: AskStep, *, hearing: bool) -> str:
    if step.assign is not None:
        whose = {"round-robin": "one of them an item, in turns", "random": "one of them an item, drawn at random"}
        return whose.get(step.assign, "the one whose draft was picked")
    if not step.in_turn:
        return "together"
    order = "one after another, in random order" if step.shuffled else "one after another"
    if step.blind:
        return f"{order}, blind"
    return f"{order}, each hearing those before" if hearing else order


def _graph(graph: spec.Graph) -> str:
    told = OF_GRAPHS[graph.graph]
    if graph.graph == "random":
        told = f"a random graph: each hears {graph.k or 2} others"
    return f"{told} ({graph.centre})" if graph.centre else told


def of_judging(judging: Judging) -> str:
    """Return how ballots are cast, in words."""
    words = [judging.strategy if judging.strategy == "direct" else f"{judging.strategy}, out of {judging.scale}"]
    if judging.orders != "ab":
        words.append({"ba": "b first", "both": "both orders", "random": "random order"}[judging.orders])
    if judging.orders == "both" and judging.reconcile != "tie":
        words.append(f"their {judging.reconcile}")
    if judging.samples > 1:
        words.append(f"{judging.samples} samples")
    if judging.confidence:
        words.append("with confidence")
    return ", ".join(words)


def shortened(instructions: str | None) -> str:
    """Return the beginning of instructions, on one line."""
    line = " ".join((instructions or "").split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST].rsplit(' ', 1)[0]} …"


def of_repeat(step: RepeatStep) -> str:
    """Return the title of a repeat."""
    rounds = f"{step.times} round{'s' if step.times > 1 else ''}"
    if not step.until:
        return rounds
    return f"up to {rounds}, until {' or '.join(map(str, step.until))}"


def of_each(step: EachStep) -> str:
    """Return the title of an each."""
    if isinstance(step.of, tuple):
        listed = ", ".join(f"“{text}”" for text in step.of)
        what = listed if len(listed) <= LONGEST else f"{len(step.of)} texts, as in “{step.of[0]}”"
    elif step.of == "data":
        what = f"the data's {step.column}"
    else:
        what = OF_WHAT[step.of]
    words = [f"for each ${step.name} of {what}"]
    if step.sample is not None:
        words.append(f"{step.sample} of them drawn by chance")
    elif step.of in ("criteria", "data"):
        words.append(f"{step.most} at most")
    words.append("together, by agents of its own" if step.together else "one after another")
    return ", ".join(words)


def of_decision(step: DecideStep, told: Told) -> Iterator[str]:
    """Return the remarks of a decide."""
    if step.among is not None:
        yield f"among {told(step.among)}"
    if step.ties != "tie":
        yield f"ties: {step.ties}"
    if step.weights:
        yield "weights " + ", ".join(f"{name} {weight:g}" for name, weight in step.weights.items())


def of_pick(step: PickStep, told: Told) -> Iterator[str]:
    """Return the remarks of a pick."""
    if len(step.writers) > 1:
        yield f"among the drafts of {told(step.writers)}"
    yield from _jury(step.jury, told)
    yield from _excluded(step)


def of_pair(step: PairStep, told: Told) -> Iterator[str]:
    """Return the remarks of a pair."""
    if step.data == "generation":
        versions = step.selection.versions
        yield step.selection.name if versions is None else f"version {versions[0]} against {versions[1]}"
    if len(step.writers) > 1:
        yield f"of {told(step.writers)}"
    yield from _jury(step.jury, told)
    if step.filters.margin:
        yield f"margin {step.filters.margin:g}"
    if step.filters.quorum > 1:
        yield f"quorum {step.filters.quorum}"
    if step.filters.agreement:
        yield f"agreement {step.filters.agreement:g}"
    yield from _excluded(step)


def _jury(jury: Jury, told: Told) -> Iterator[str]:
    if jury.judges:
        yield f"by {told(jury.judges)}"
        yield of_judging(jury.judging)
    if len(jury.judges) > 1:
        yield jury.rule_name


def _excluded(step: PickStep | PairStep) -> Iterator[str]:
    if any(set(judges) != set(step.jury.judges) for judges in step.eligible.values()):
        yield "not every judge for every draft"
