"""The drafts of one conversation: judges compare and score them, one is picked, preference pairs are made of them.

What judges have said of two drafts is not asked for again, whichever step wants it next, unless that one wants them
judged in another way.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import combinations

from ..protocols.comparing import CompareDrafts, DraftScored, MatchDecided, ScoreDraft
from ..protocols.errors import NothingToDecide
from ..protocols.judging import Order, Orders, Verdict
from ..protocols.lifecycle import DraftPicked
from ..protocols.material import Material, identical
from ..protocols.messages import Command, Fact
from ..protocols.pairing import Data, PairCandidate, PairsMade, Preference, why_not
from ..protocols.review import FeedbackGiven
from ..protocols.selection import standings
from ..runtime.conversation import Conversation
from .steps import PairStep, PickStep

Asking = Callable[[Sequence[str], Command[Fact], int], Awaitable[None]]
"""Asks agents together, waits until all have answered, and adds what they said to what was said."""


class Drafts:
    """What was written in one conversation, and what judges said of it."""

    def __init__(
        self,
        conversation: Conversation,
        said: Sequence[tuple[str, Fact]],
        ask: Asking,
        orders: Callable[[Orders], tuple[Order, ...]],
        alike: Callable[[str], str | None],
    ) -> None:
        """Begin with what was said so far, which grows.

        Args:
            conversation: Where.
            said: Speaker and fact, in the order they were said.
            ask: Asks agents.
            orders: Says in which orders two drafts are shown.
            alike: Says what tells an answer to the question from others.
        """
        self.picked: DraftPicked | None = None
        self._made: dict[str, PairsMade] = {}
        """What each step makes, by its place; of a step played again the last time counts."""
        self._conversation = conversation
        self._said = said
        self._ask = ask
        self._orders = orders
        self._alike = alike
        self._told_alike: set[frozenset[str]] = set()
        """Drafts of which it is noted that they are the same."""

    @property
    def pairs(self) -> dict[Data, int]:
        """Return how many are kept, by data set; what two steps make of the same texts is one."""
        kept: dict[Data, set[tuple[str, str | None]]] = {}
        for made in self._made.values():
            of_these = kept.setdefault(made.data, set())
            of_these.update((each.first, each.second) for each in made.candidates if each.dropped is None)
        return {data: len(names) for data, names in kept.items()}

    async def pick(self, step: PickStep, number: int, cause: int) -> DraftPicked:
        """Pick a draft; `number` is the round.

        Raises:
            NothingToDecide: there is no draft, none of them has a score, or nobody is left to judge.
        """
        material = Material(self._said, step.writers)
        names = list(material.drafts)
        if not names:
            raise NothingToDecide("there is no draft to pick from")
        scores: dict[str, float] = {}
        if step.pick.needs == "scores":
            scores = await self._scores(names, step, number, cause)
        picking = step.pick.rule(names, scores)
        try:
            match = next(picking)
            while True:
                judges = step.eligible[frozenset(material.drafts[each][0] for each in match)]
                match = picking.send(await self._compared(*match, judges, step, number, cause))
        except StopIteration as end:
            name: str = end.value
        writer, draft = material.drafts[name]
        self.picked = DraftPicked(rule=step.name, writer=writer, version=draft.version, text=draft.text)
        self._conversation.record(self.picked, cause=cause)
        return self.picked

    async def _scores(self, names: Sequence[str], step: PickStep, number: int, cause: int) -> dict[str, float]:
        """Return the mean score of each draft that has any, from 0 to 1."""
        judges, scale = step.jury.judges, step.jury.judging.scale
        if judges:
            await self._listen(judges, cause)
        drafts = Material(self._said).drafts
        for name in names if judges else ():
            able = step.eligible[frozenset({drafts[name][0]})]
            scored = {who for who, fact in self._said if isinstance(fact, DraftScored) and fact.draft == name}
            missing = [judge for judge in able if judge not in scored]
            await self._ask(missing, ScoreDraft(round=number, step=step.place, draft=name, scale=scale), cause)
        found: dict[str, dict[str, float]] = {}
        for who, fact in self._said:
            if judges and isinstance(fact, DraftScored) and who in judges and fact.score is not None:
                found.setdefault(fact.draft, {})[who] = fact.score / fact.scale
            elif not judges and isinstance(fact, FeedbackGiven):
                for name in fact.on or ():
                    found.setdefault(name, {})[who] = fact.score / fact.scale
        means = {name: sum(scores.values()) / len(scores) for name, scores in found.items() if name in names}
        if not means:
            raise NothingToDecide("no draft has a score")
        return means

    async def _listen(self, judges: Sequence[str], cause: int) -> None:
        """Let judges know the drafts they are to judge; whom they hear beside the writers they hear as before."""
        writers = Material(self._said).writers
        for judge in judges:
            if not self._conversation.unavailable(judge):
                heard = self._conversation.bus.hears(judge) or ()
                await self._conversation.listen(judge, tuple(dict.fromkeys((*heard, *writers))), cause=cause)

    async def _compared(
        self, first: str, second: str, judges: Sequence[str], step: PickStep | PairStep, number: int, cause: int
    ) -> Preference:
        """Return what these judges say of two drafts; those who have said it in this way are not asked again."""
        jury, material = step.jury, Material(self._said)
        if identical(material.text(first), material.text(second)):
            same = Preference(first=first, second=second, verdict="tie")
            if frozenset({first, second}) not in self._told_alike:
                self._told_alike.add(frozenset({first, second}))
                self._record(same, "identical", 1, cause)
            return same
        missing = [judge for judge in judges if judge not in material.compared(first, second, jury.judging)]
        if missing:
            await self._listen(missing, cause)
            command = CompareDrafts(
                round=number,
                step=step.place,
                first=first,
                second=second,
                judging=jury.judging,
                orders=self._orders(jury.judging.orders),
            )
            await self._ask(missing, command, cause)
        known = Material(self._said).preference(first, second, jury.rule, judges)
        if known is None:
            raise NothingToDecide(f"nobody is left to compare {first} and {second}")
        if missing:
            self._record(known, jury.rule_name, jury.rule.version, cause)
        return known

    def _record(self, known: Preference, rule: str, version: int, cause: int) -> None:
        decided = MatchDecided(
            first=known.first,
            second=known.second,
            rule=rule,
            version=version,
            verdict=known.verdict,
            score_a=known.score_first,
            score_b=known.score_second,
            votes=sum(known.votes[:3]),
            unread=known.votes[3],
        )
        self._conversation.record(decided, cause=cause)

    # pairs

    async def pair(self, step: PairStep, number: int, cause: int, decided: str | None = None) -> None:
        """Make candidates for preference data, and note which are kept.

        Args:
            step: Which.
            number: The round.
            cause: Sequence of what led to it.
            decided: The answer that was decided on.

        Raises:
            NothingToDecide: nobody is left to judge.
        """
        if step.selection.name == "consensus":
            candidates = self._agreeing(step, decided)
        elif step.data == "generation":
            candidates = await self._answers(step, number, cause)
        else:
            candidates = [*await self._revisions(step, number, cause), *await self._feedback(step, number, cause)]
        judged = tuple(self._judged(candidate, step) for candidate in candidates)
        made = PairsMade(step=step.place, data=step.data, candidates=judged)
        self._made[step.place] = made
        self._conversation.record(made, cause=cause)

    async def _answers(self, step: PairStep, number: int, cause: int) -> list[PairCandidate]:
        pairs = Material(self._said, step.writers).answers(step.selection, await self._ranked(step, number, cause))
        return [
            PairCandidate(
                of="answer", first=one, second=other, preference=await self._known(one, other, step, number, cause)
            )
            for one, other in pairs
        ]

    def _agreeing(self, step: PairStep, decided: str | None) -> list[PairCandidate]:
        """Return each answer that agrees with the decision against each that does not; votes are last answers."""
        wanted = None if decided is None else self._alike(decided)
        material = Material(self._said, step.writers)
        answers = {name: fact.answer for name, (_, fact) in material.drafts.items() if fact.answer is not None}
        keys = {name: self._alike(answer) for name, answer in answers.items()}
        last = {writer: keys.get(name) for name, (writer, _) in material.drafts.items()}
        held = Counter(last.values())
        found: list[PairCandidate] = []
        for one, other in combinations(keys, 2):
            if wanted is None or (keys[one] == wanted) == (keys[other] == wanted):
                continue
            votes = (held[keys[one]], 0, held[keys[other]], held[None])
            verdict: Verdict = "a" if keys[one] == wanted else "b"
            preference = Preference(first=one, second=other, verdict=verdict, votes=votes)
            found.append(PairCandidate(of="answer", first=one, second=other, preference=preference))
        return found

    async def _ranked(self, step: PairStep, number: int, cause: int) -> list[str]:
        """Return the drafts, the best first: one that was picked is the best, the others by what judges said."""
        material = Material(self._said, step.writers)
        names = list(material.drafts)
        if not step.selection.name.startswith("best"):
            return names
        best = f"{self.picked.writer}/{self.picked.version}" if self.picked is not None else None
        known: list[Preference | None] = []
        if best not in names or step.selection.name == "best-worst":
            known = [await self._known(*match, step, number, cause) for match in combinations(names, 2)]
        ranked = standings(names, [each for each in known if each is not None])
        return sorted(ranked, key=lambda name: name != best)

    async def _known(self, one: str, other: str, step: PairStep, number: int, cause: int) -> Preference | None:
        """Return what judges say of two drafts who may; None where nobody has compared them and nobody is asked to."""
        material = Material(self._said)
        judges = step.eligible[frozenset({material.drafts[one][0], material.drafts[other][0]})]
        if step.jury.judges and judges:
            return await self._compared(one, other, judges, step, number, cause)
        return material.preference(one, other, step.jury.rule, judges)

    async def _revisions(self, step: PairStep, number: int, cause: int) -> list[PairCandidate]:
        """Return each revision against what it revises, and the feedback it follows, which led to better or worse."""
        found: list[PairCandidate] = []
        material = Material(self._said, step.writers)
        for earlier, later, followed in material.revisions():
            known = await self._known(later, earlier, step, number, cause)
            found.append(PairCandidate(of="revision", first=later, second=earlier, preference=known))
            feedback = [name for name in followed if material.is_on(name, earlier)]
            found += [PairCandidate(of="feedback", first=name, preference=known) for name in feedback]
        return found

    async def _feedback(self, step: PairStep, number: int, cause: int) -> list[PairCandidate]:
        """Return every two feedbacks on one draft that were followed apart."""
        found: list[PairCandidate] = []
        for (one, led_to), (other, led_elsewhere) in Material(self._said, step.writers).alternatives():
            known = await self._known(led_to, led_elsewhere, step, number, cause)
            found.append(PairCandidate(of="feedback", first=one, second=other, preference=known))
        return found

    def _judged(self, candidate: PairCandidate, step: PairStep) -> PairCandidate:
        """Return a candidate with the reason why it is no pair, where it is none."""
        material, second = Material(self._said), candidate.second
        same = second is not None and identical(material.text(candidate.first), material.text(second))
        alike = candidate.of != "feedback" or second is None or self._asked_alike(candidate.first, second)
        reason = why_not(candidate, step.filters, identical=same, same_prompt=alike)
        return candidate if reason is None else candidate.model_copy(update={"dropped": reason})

    def _asked_alike(self, *feedback: str) -> bool:
        """Whether both reviewers were sent the same."""
        material = Material(self._said)
        one, other = (material.feedback[name].asked for name in feedback)
        return one is not None and one == other
