"""The step in which agents are asked: resolved and proven."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..protocols.aggregation import RULES
from ..protocols.debate import ArgumentMade
from ..protocols.errors import DeclarationError, nearest
from ..protocols.generation import DraftWritten
from ..protocols.judging import Judging
from ..protocols.jury import VoteCast
from ..protocols.messages import Fact
from ..protocols.moderation import ApprovalGiven, CriteriaProposed, QuestionAsked, SummaryWritten
from ..protocols.review import FeedbackGiven
from ..protocols.sparing import WORD, Decided
from ..protocols.stopping import Condition
from ..protocols.topology import EVERYONE, NOBODY, WORDS
from . import spec
from .fanning import UNKNOWN
from .foresight import Rest, decision_after
from .ground import Ground
from .source import Path
from .steps import AskStep

FACTS: dict[spec.Wanted, type[Fact]] = {
    "draft": DraftWritten,
    "answer": DraftWritten,
    "feedback": FeedbackGiven,
    "argument": ArgumentMade,
    "ballot": VoteCast,
    "summary": SummaryWritten,
    "approval": ApprovalGiven,
    "criteria": CriteriaProposed,
    "question": QuestionAsked,
}
"""The fact that each word of `for` asks for."""
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "strategy": ("ballot",),
    "scale": ("ballot", "feedback"),
    "orders": ("ballot",),
    "reconcile": ("ballot",),
    "samples": ("ballot",),
    "confidence": ("ballot", "answer"),
    "apart": ("draft",),
    "side": ("argument",),
    "replaces": ("summary",),
    "most": ("criteria",),
}
"""What each option of a step is for."""
IN_ONE_ORDER = ("argument", "summary", "approval", "criteria", "question")
"""What is said in the order in which the whole discussion is shown the candidates."""
FOR_OTHERS = ("argument", "question")
"""What is said for others to hear, and is worth nothing where nobody does."""
PICKED = "picked"
"""The draft that was picked last, and, of writers, who wrote it."""
DECISION = "decision"
"""The name, in instructions, of what was decided last."""
NAMED = re.compile(r"\$(\$|[a-z][a-z0-9_-]*)")
"""A name that an `each` binds, or `$$` for a dollar sign."""


class Asking:
    """Plans such steps."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def plan(self, step: spec.Ask, at: Path, place: str, rest: Rest) -> AskStep:
        """Plan a step that is followed by others."""
        ground = self._ground
        agents = self._agents(step, at)
        hears = self._hears(step, agents, at)
        self._prove_options(step, agents, at)
        judging = step.judging(ground.scenario.judging)
        self._prove_takes(step, at)
        if step.for_ in IN_ONE_ORDER and ground.scenario.takes == "comparison":
            ground.seen.spoke.update(agents)
        if step.for_ == "ballot":
            self._prove_ballots(step, agents, at, judging)
        if step.for_ == "criteria":
            ground.criteria = max(ground.criteria, step.most or 5)
        if step.for_ in ("ballot", "answer"):
            ground.seen.confident &= judging.confidence
            ground.seen.ever_confident |= judging.confidence
        if step.for_ in ("draft", "answer"):
            again = step.apart or any(step.for_ in asked for asked in ground.around)
            ground.seen.revised.update(name for name in agents if again or name in ground.writers())
        for fact in {step.for_, self._meant(step.for_)}:
            ground.seen.facts.add(fact)
            ground.seen.maybe.add(fact)
            ground.seen.asked.setdefault(fact, set()).update(agents)
        ground.ever.update(agents)
        for inside in ground.inside:
            inside.update(agents)
        self._note_unheard(step, agents, at)
        return AskStep(
            place=place,
            agents=agents,
            wanted=step.for_,
            in_turn=step.order != "together",
            shuffled=step.order == "random",
            blind=len(agents) > 1 and (step.blind or step.order == "together"),
            apart=step.apart,
            hears=hears,
            judging=judging,
            until=None if step.until is None else self._enough(step, agents, at, rest),
            anonymous=step.anonymous,
            assign=step.assign,
            exclude=step.exclude,
            instructions=step.instructions,
            side=step.side,
            on=step.on,
            secret=step.secret,
            replaces=step.replaces,
            most=step.most or 5,
        )

    def _agents(self, step: spec.Ask, at: Path) -> tuple[str, ...]:
        """Return who is asked, each once, in order."""
        ground = self._ground
        agents = ground.named(step.ask, (*at, "ask"))
        if step.order == "alternating":
            sides = [ground.scope.resolved(name) or () for name in step.ask]
            if len(sides) < 2:
                self._wrong("alternating takes turns between groups or agents: name two of them", (*at, "order"))
            longest = max(map(len, sides))
            turns = [side[turn] for turn in range(longest) for side in sides if turn < len(side)]
            agents = tuple(dict.fromkeys(turns))
        for number, name in enumerate(step.ask):
            for member in ground.scope.resolved(name) or ():
                if not self._prove_able(member, step, (*at, "ask", number)):
                    break  # all of one name are alike
        return agents

    def _prove_able(self, name: str, step: spec.Ask, where: Path) -> bool:
        """Check that an agent gives what is wanted; returns whether it does."""
        ground = self._ground
        role = ground.roles.get(name)
        if role is None or FACTS[step.for_] in role.gives:
            return True
        able = [
            each
            for each in ground.scope.everyone
            if (kind := ground.roles.get(each)) is not None and FACTS[step.for_] in kind.gives
        ]
        ground.problems.misnamed = True
        hint = f"; {', '.join(able)} can" if able else ""
        self._wrong(f"{name!r} is a {ground.role(name)} and gives no {step.for_}{hint}", where)
        return False

    def _wrong(self, what: str, path: Path) -> None:
        self._ground.wrong(what, path)

    def _meant(self, wanted: spec.Wanted) -> spec.Wanted:
        """Return what is likely meant by a ballot, or an answer, that there cannot be; else the same."""
        takes = self._ground.scenario.takes
        if wanted == "ballot" and takes == "question":
            return "answer"
        return "ballot" if wanted == "answer" and takes == "comparison" else wanted

    # hearing

    def _hears(self, step: spec.Ask, agents: tuple[str, ...], at: Path) -> Mapping[str, tuple[str, ...]] | spec.Graph:
        """Return whom each agent listens to from now on; nothing where that stays as it is."""
        ground, hears = self._ground, step.hears
        if hears is None:
            return {}
        if isinstance(hears, spec.Graph):
            return self._graph(hears, agents, at)
        if len(hears) == 1 and hears[0] in WORDS:
            heard = () if hears[0] == NOBODY else ground.scope.everyone
        else:
            for number, name in enumerate(hears):
                if name in WORDS:
                    ground.problems.misnamed = True
                    self._wrong(f"{name!r} stands alone, not among names", (*at, "hears", number))
                    return {}
            heard = ground.named(hears, (*at, "hears"), (*ground.scope.known, EVERYONE, NOBODY))
        found = {name: tuple(each for each in heard if each != name) for name in agents}
        for name, speakers in found.items():
            ground.seen.hears[name] = speakers or (NOBODY,)
            self._told(speakers)
        return found

    def _graph(self, graph: spec.Graph, agents: tuple[str, ...], at: Path) -> spec.Graph:
        where: Path = (*at, "hears")
        if len(agents) < 2:
            self._wrong(f"a {graph.graph} needs two agents or more, and this step asks {len(agents)}", where)
        if graph.k is not None and graph.graph not in ("tree", "small-world", "random"):
            self._wrong(f"k means nothing for a {graph.graph}", (*where, "k"))
        if graph.graph == "small-world" and graph.k is not None and (graph.k % 2 or graph.k >= len(agents)):
            limit = f"an even number below {len(agents)}, the agents that are asked"
            self._wrong(f"k of a small world must be {limit}", (*where, "k"))
        if graph.graph == "random" and graph.k is not None and graph.k >= len(agents):
            self._wrong(f"k is {graph.k}, and each can hear {len(agents) - 1} others at the most", (*where, "k"))
        if "rewired" in graph.model_fields_set and graph.graph != "small-world":
            self._wrong(f"rewired means nothing for a {graph.graph}", (*where, "rewired"))
        if graph.centre is not None:
            if graph.graph != "star":
                self._wrong(f"centre means nothing for a {graph.graph}", (*where, "centre"))
            else:
                graph = graph.model_copy(update={"centre": self._centre(graph.centre, agents, where)})
        for name in agents:
            self._ground.seen.hears[name] = tuple(each for each in agents if each != name)
        self._told(agents)
        return graph

    def _centre(self, named: str, agents: tuple[str, ...], where: Path) -> str:
        """Return who is in the middle, as it is called in the conversation."""
        found = self._ground.scope.resolved(named) or ()
        if len(found) > 1:
            self._wrong(f"centre {named!r} stands for several: name one of {', '.join(found)}", (*where, "centre"))
        elif not set(found) & set(agents):
            self._ground.problems.misnamed = True
            self._wrong(f"centre {named!r} is not among those asked{nearest(named, agents)}", (*where, "centre"))
        return found[0] if found else named

    def _told(self, speakers: Iterator[str] | tuple[str, ...]) -> None:
        """Note that somebody listens to these."""
        for name in speakers:
            self._ground.seen.unheard.pop(name, None)

    def _note_unheard(self, step: spec.Ask, agents: tuple[str, ...], at: Path) -> None:
        """Note whose words nobody is told: an agent that is asked again for something else has thought aloud."""
        seen = self._ground.seen
        if step.for_ not in FOR_OTHERS:
            self._told(agents)
            return
        for name in agents:
            if not any(name in heard for listener, heard in seen.hears.items() if listener != name):
                seen.unheard[name] = (step.for_, at)

    # options

    def _prove_options(self, step: spec.Ask, agents: tuple[str, ...], at: Path) -> None:
        """Check that a step says nothing that means nothing for it, and that reviewers have something to review."""
        for option, wanted in OPTIONS.items():
            if getattr(step, option) not in (None, False) and step.for_ not in wanted:
                self._wrong(f"{option} means nothing for a step that asks for {step.for_}", (*at, option))
        if step.assign is not None and step.order != "together" and step.until is None:
            self._wrong(f"order means nothing here: assign: {step.assign} asks one of them alone", (*at, "order"))
        seen = self._ground.seen
        for name in agents:
            deaf = seen.hears.get(name, (NOBODY,)) == (NOBODY,)
            if step.apart and deaf:
                self._wrong(f"{name!r} hears nobody, so that there is no feedback to follow apart: say `hears`", at)
            if step.for_ == "feedback" and deaf:
                self._wrong(f"{name!r} hears nobody, so that there is nothing to review: say `hears`", at)
        self._prove_assigned(step, agents, at)
        if step.apart and self._ground.together:
            self._wrong("apart is not for branches that are played together: say order: in-turn", (*at, "apart"))
        self._prove_names(step, at)
        self._prove_exclusion(step, at)

    def _prove_assigned(self, step: spec.Ask, agents: tuple[str, ...], at: Path) -> None:
        where: Path = (*at, "assign")
        if step.assign == PICKED:
            self._prove_picked(at, "assign")
            if not set(agents) & set(self._ground.writers()):
                self._wrong("assign: picked is for writers, and none of these has written a draft", where)
        elif step.assign is not None and len(agents) < 2:
            self._wrong(f"assign: {step.assign} chooses one of several, and one agent is asked", where)

    def _prove_names(self, step: spec.Ask, at: Path) -> None:
        """Check that every `$name` is that of an `each` around the step, and stands for the right kind of thing."""
        bound = self._ground.bound
        for key, wanted in (("on", "draft"), ("side", "candidate")):
            said: str | None = getattr(step, key)
            name = None if said is None else said.removeprefix("$")
            if said is None or (key == "side" and said in ("a", "b")):
                continue
            if key == "on" and said == PICKED:
                self._prove_picked(at, key)
                continue
            if not said.startswith("$") or name not in bound:
                names = ", ".join(f"${each}" for each, kind in bound.items() if kind == wanted) or "there is none here"
                also = "a, b, or " if key == "side" else ""
                self._wrong(f"{key} is {also}the $name of an `each` of {wanted}s: {names}", (*at, key))
            elif bound[name] not in (wanted, UNKNOWN):
                self._wrong(f"{key}: {said} stands for a {bound[name]}, not for a {wanted}", (*at, key))
        for name in NAMED.findall(step.instructions or ""):
            if name == DECISION and "decide" in self._ground.seen.verbs:
                continue
            if name != "$" and name not in bound:
                hint = nearest(f"${name}", [f"${each}" for each in bound]) if bound else ": no `each` is around it"
                told = f"${name} is filled by nobody{hint}; $$ stands for a dollar sign"
                self._wrong(told, (*at, "instructions"))

    def _prove_picked(self, at: Path, key: str) -> None:
        if "pick" not in self._ground.seen.verbs:
            self._wrong(f"{key}: {PICKED} needs a `pick` before this step, on every way", (*at, key))

    def _prove_exclusion(self, step: spec.Ask, at: Path) -> None:
        if step.exclude is None:
            return
        where: Path = (*at, "exclude")
        if step.on is None and step.for_ != "ballot":
            what = f"exclude is for ballots, or for what is about the draft in `on`; this step asks for {step.for_}"
            self._wrong(what, where)
        elif step.exclude == "own" and step.on is None:
            self._wrong("exclude: own is about a draft in `on`; who wrote candidates is told by model or family", where)

    def _prove_takes(self, step: spec.Ask, at: Path) -> None:
        takes = self._ground.scenario.takes
        if step.for_ == "ballot" and takes != "comparison":
            self._wrong("ballot: there are no two answers to compare: takes must be comparison", (*at, "for"))
        if step.for_ == "answer" and takes != "question":
            self._wrong("answer: there is no known answer to compare with: takes must be question", (*at, "for"))
        if step.side is not None and takes != "comparison":
            self._wrong("side: there are no two answers to argue for: takes must be comparison", (*at, "side"))

    def _prove_ballots(self, step: spec.Ask, agents: tuple[str, ...], at: Path, judging: Judging) -> None:
        """Check what only ballots need: orders that can still be changed."""
        seen = self._ground.seen
        seen.strategies.add(judging.strategy)
        argued = [name for name in agents if name in seen.spoke]
        if judging.orders == "both" and argued:
            who = ", ".join(argued)
            self._wrong(f"orders: both is for fresh jurors; {who} took part in a discussion in one order", at)
        elif argued and step.orders not in (None, self._ground.scenario.judging.orders):
            self._wrong("who has argued votes in the order of the discussion: set orders under judging", at)

    # ending early

    def _enough(self, step: spec.Ask, agents: tuple[str, ...], at: Path, rest: Rest) -> Condition | Decided | None:
        where: Path = (*at, "until")
        until = step.until or ""
        if step.assign is not None:
            self._wrong(f"until means nothing here: assign: {step.assign} asks one of them alone", where)
        elif step.order == "together":
            self._wrong("until is for agents that are asked one after another: say order: in-turn or random", where)
        elif len(agents) == 1:
            self._wrong(f"until means nothing here: nobody is asked after {agents[0]!r}", where)
        if until.strip() != WORD:
            return self.condition(until, "until", where, WORD)
        if step.for_ != "ballot":
            self._wrong(f"until: {WORD} is about votes, and this step asks for {step.for_}", where)
            return None
        if self._ground.together:
            what = "branches that are played together vote for one decision, and know nothing of one another"
            self._wrong(f"until: {WORD}: {what}", where)
            return None
        decision = decision_after(rest, at)
        if isinstance(decision, str):
            self._wrong(f"until: {WORD}: {decision}", where)
            return None
        if decision.decide not in RULES:  # which is told where it stands
            return None
        scale = step.judging(self._ground.scenario.judging).scale
        among = self._ground.scope.everyone if self._ground.using else None  # as of the decision
        return Decided(decision.decide, RULES[decision.decide], scale, among=among)

    def _unfed(self, condition: Condition) -> str | None:
        """Return what votes and answers lack that a condition looks at; those of later rounds are among them."""
        ground = self._ground
        steps = [step for step in spec.within(ground.scenario.flow) if isinstance(step, spec.Ask)]
        judged = [step.judging(ground.scenario.judging) for step in steps if step.for_ in ("ballot", "answer")]
        if condition.name == "confidence" and not ground.seen.ever_confident:
            if not any(judging.confidence for judging in judged):
                return "no ballot or answer says how sure it is: say confidence: true"
        elif condition.name == "margin" and ground.seen.strategies | {each.strategy for each in judged} == {"direct"}:
            return "margin needs scores, and strategy: direct gives none"
        return None

    def condition(
        self, text: str, key: str, where: Path, *more: str, otherwise: Path | None = None
    ) -> Condition | None:
        """Return a condition, where it is one, something before it feeds it, and it can hold.

        Args:
            text: As it is declared.
            key: Of the step: until or when.
            where: Where it stands.
            more: Words that may stand in its place.
            otherwise: Where the steps stand that are played where it does not hold; None where there are none.
        """
        ground = self._ground
        if text.strip() == WORD:
            self._wrong(f"{key}: {WORD} is for a step that asks for ballots in turn", where)
            return None
        try:
            condition = replace(Condition.from_str(text, *more), among=ground.among)
        except DeclarationError as error:
            self._wrong(str(error), where)
            return None
        fed_by = condition.fed_by
        if fed_by and not fed_by & ground.seen.maybe.union(*ground.around):
            wanted = " or ".join(sorted(fed_by))
            self._wrong(f"{key}: {condition.name} needs {wanted}, and none is asked for", where)
            return condition
        if (lacking := self._unfed(condition)) is not None:
            self._wrong(f"{key}: {lacking}", where)
            return condition
        steps = spec.within(ground.scenario.flow)
        scales = [step.scale for step in steps if isinstance(step, spec.Ask) and step.scale is not None]
        scale = float(max([ground.scenario.judging.scale, *scales]))
        highest = {"score": scale, "margin": scale, "round": float(ground.rounds)}
        never, always = condition.never(highest), condition.always(highest)
        if never is not None:
            self._wrong(f"{key}: {never}", where)
        elif always is not None and otherwise is not None:
            self._wrong(f"else is never reached: {always}", otherwise)
        elif always is not None:
            ground.problems.warn(f"{ground.using}{key}: {always}", where)
        return condition
