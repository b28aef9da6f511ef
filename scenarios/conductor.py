"""The conductor: walks the flow of one conversation, and decides by rules over facts alone."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import nullcontext

from ..protocols.answering import key, right
from ..protocols.errors import AgentUnavailable, NothingToDecide
from ..protocols.generation import DraftWritten
from ..protocols.items import Item
from ..protocols.judging import MIRRORED, Order, Orders
from ..protocols.lifecycle import (
    AgentsExcused,
    AskingEnded,
    BranchesOpened,
    BranchTaken,
    ConditionMet,
    DecisionMade,
    ItemFinished,
)
from ..protocols.messages import Command, Fact, named
from ..protocols.moderation import CriteriaProposed
from ..protocols.review import FeedbackGiven
from ..protocols.stopping import Standing
from ..protocols.topology import neighbours
from ..runtime.conversation import Conversation
from . import spec
from .asking import DECISION, PICKED
from .commanding import command
from .counting import decision
from .drafts import Drafts
from .kin import excluded
from .lanes import Lane
from .listed import texts_of
from .steps import AskStep, DecideStep, EachStep, PairStep, PickStep, Plan, RepeatStep, Step, WhenStep

Answer = tuple[str, Fact | Exception | None]
"""Who was asked, and what it answered, what went wrong, or None where it is recused."""


class Conductor:
    """Plays a plan for one item. All it knows is what was said; the same facts lead to the same commands."""

    def __init__(
        self, plan: Plan, item: Item, number: int, conversation: Conversation, seed: int, turn: int | None = None
    ) -> None:
        """Begin with nothing said.

        Args:
            plan: What is played.
            item: For which item.
            number: Its place in the data set, from 0.
            conversation: Where.
            seed: For everything that is left to chance.
            turn: Its place among the items, those of other variants apart: whose turn it is where agents take turns.
        """
        self.culprit: str | None = None
        """The agent whose failure ended the conversation."""
        self._plan = plan
        self._item = item
        self._number = number
        self._turn = number if turn is None else turn
        self._conversation = conversation
        self._said: list[tuple[str, Fact]] = []
        self._decision: DecisionMade | None = None
        self._drafts = Drafts(conversation, self._said, self._ask_all, self._orders, self._alike)
        self._in_hand: dict[str, int] = {}
        """The version that a writer is to revise next, where it need not be its last."""
        self._round = 1
        self._dice = f"{seed}/{item.id}"
        self._masks: dict[str, str] = {}
        """What those who speak anonymously are known as."""

    async def play(self, opened: int) -> ItemFinished:
        """Walk the whole flow and return the outcome; `opened` is the sequence of the item's first event.

        Raises:
            ExecutionError: a step could not be carried out, or an agent failed.
        """
        await self._walk(self._plan.flow, [Lane()], opened)
        decision, picked = self._decision, self._drafts.picked
        match self._plan.scenario.gives:
            case "pairs":
                text = None if picked is None else picked.text
                return ItemFinished(number=self._number, text=text, pairs=self._drafts.pairs)
            case "draft":
                if picked is None:
                    raise NothingToDecide("no draft was picked")
                return ItemFinished(number=self._number, text=picked.text, pairs=self._drafts.pairs or None)
            case "answer":
                if decision is None:
                    raise NothingToDecide("no answer was decided on")
                return ItemFinished(
                    number=self._number,
                    answer=decision.answer,
                    correct=self._is_right(decision.answer),
                    pairs=self._drafts.pairs or None,
                )
            case "verdict":
                if decision is None:
                    raise NothingToDecide("no verdict was decided")
                return ItemFinished(
                    number=self._number,
                    verdict=decision.verdict,
                    score_a=decision.score_a,
                    score_b=decision.score_b,
                )

    def _is_right(self, answer: str | None) -> bool | None:
        known = self._item.reference
        if known is None:
            return None
        return answer is not None and right(answer, known, self._plan.scenario.answers, self._item.choices)

    def _alike(self, answer: str) -> str | None:
        """Return what tells an answer from others; None where it is none of the kind that is asked for."""
        return key(answer, self._plan.scenario.answers, self._item.choices)

    async def _walk(self, steps: Sequence[Step], lanes: Sequence[Lane], cause: int) -> None:
        """Play steps in some branches, each step in all of them before the next."""
        for step in steps:
            match step:
                case AskStep():
                    await self._ask(step, lanes, cause)
                case RepeatStep():
                    await self._repeat(step, lanes, cause)
                case WhenStep():
                    await self._when(step, lanes, cause)
                case EachStep():
                    await self._each(step, lanes, cause)
                case DecideStep():
                    self._decide(step, cause)
                case PickStep():
                    picked = await self._drafts.pick(step, self._round, cause)
                    self._in_hand[picked.writer] = picked.version
                case PairStep():
                    decided = None if self._decision is None else self._decision.answer
                    await self._drafts.pair(step, self._round, cause, decided)

    # ways

    def _standing(self) -> Standing:
        """Return how the conversation stands, for conditions."""
        spent = self._conversation.spent
        return Standing(self._round, spent.tokens, spent.calls, spent.cost_usd, key=self._alike)

    async def _repeat(self, step: RepeatStep, lanes: Sequence[Lane], cause: int) -> None:
        outer, going = self._round, list(lanes)
        for number in range(1, step.times + 1):
            self._round = number
            await self._walk(step.steps, going, cause)
            if number == step.times or not step.until:
                continue
            standing, left = self._standing(), list[Lane]()
            for lane in going:
                said = lane.said(self._said)
                met = next((each for each in step.until if each.met(said, standing)), None)
                if met is None:
                    left.append(lane)
                else:
                    ended = ConditionMet(round=number, until=str(met), branch=lane.label)
                    self._conversation.record(ended, cause=cause)
            going = left
            if not going:
                break
        self._round = outer

    async def _when(self, step: WhenStep, lanes: Sequence[Lane], cause: int) -> None:
        standing = self._standing()
        ways: dict[bool, list[Lane]] = {True: [], False: []}
        for lane in lanes:
            holds = step.condition.met(lane.said(self._said), standing)
            ways[holds].append(lane)
            taken = BranchTaken(
                step=step.place, round=self._round, when=str(step.condition), holds=holds, branch=lane.label
            )
            self._conversation.record(taken, cause=cause)
        for holds, steps in ((True, step.steps), (False, step.otherwise)):
            if ways[holds]:
                await self._walk(steps, ways[holds], cause)

    async def _each(self, step: EachStep, lanes: Sequence[Lane], cause: int) -> None:
        opened: list[tuple[Lane, tuple[str, ...]]] = []
        for lane in lanes:
            values = self._values(step, lane)
            taken = self._sampled(step, values)[: step.most]
            left_out = len(values) - len(taken) if step.sample is None else 0
            begun = BranchesOpened(step=step.place, round=self._round, each=step.name, values=taken, left_out=left_out)
            self._conversation.record(begun, cause=cause)
            opened.append((lane, taken))
        if step.together:
            branches = [branch for lane, values in opened for branch in lane.branched(step, values)]
            await self._walk(step.steps, branches, cause)
            return
        for number in range(max(len(values) for _, values in opened)):
            at = [lane.standing_at(step.name, values[number]) for lane, values in opened if number < len(values)]
            await self._walk(step.steps, at, cause)

    def _sampled(self, step: EachStep, values: tuple[str, ...]) -> tuple[str, ...]:
        if step.sample is None or step.sample >= len(values):
            return values
        dice = random.Random(f"{self._dice}/each/{step.place}/{self._round}")  # noqa: S311 - not a secret
        return tuple(values[place] for place in sorted(dice.sample(range(len(values)), step.sample)))

    def _values(self, step: EachStep, lane: Lane) -> tuple[str, ...]:
        """Return all that there is to go through; raises NothingToDecide where that is nothing."""
        said = lane.said(self._said, step.among)
        if isinstance(step.of, tuple):
            return step.of
        match step.of:
            case "candidates":
                return ("a", "b")
            case "drafts":
                last = {who: fact for who, fact in said if isinstance(fact, DraftWritten) and not fact.unread}
                values = tuple(named(who, self._in_hand.get(who, fact.version)) for who, fact in last.items())
            case "criteria":
                proposed = [fact for _, fact in said if isinstance(fact, CriteriaProposed)]
                values = proposed[-1].criteria if proposed else ()
            case "data":
                values = self._column(step.column or "")
        if not values:
            raise NothingToDecide(f"there is nothing to go through for ${step.name}: no {step.column or step.of}")
        return values

    def _column(self, column: str) -> tuple[str, ...]:
        """Return the texts of a column of the data; raises NothingToDecide where it is no list of texts."""
        try:
            return texts_of(self._item, column)
        except ValueError as error:
            raise NothingToDecide(str(error)) from error

    # asking

    async def _ask(self, step: AskStep, lanes: Sequence[Lane], cause: int) -> None:
        conversation = self._conversation
        turns: list[tuple[Lane, Sequence[str]]] = []
        for lane in lanes:
            names = self._turns(step, lane, cause)
            if step.hears:
                await self._listen(step, lane, names, cause)
            turns.append((lane, names))
        everyone = [name for _, names in turns for name in names]
        if step.anonymous:
            self._mask(everyone)
        conversation.bus.secret = step.secret
        held = step.blind or (len(lanes) > 1 and not step.in_turn)
        async with conversation.blind(everyone) if held else nullcontext():
            if step.apart:
                answers = await self._apart(everyone, step, lanes[0], cause)
            else:
                answers = await self._in_batches(step, turns, cause, held=held)
        conversation.bus.masks, conversation.bus.secret = {}, False
        self._take(answers)
        for name, answer in answers:
            if isinstance(answer, DraftWritten):
                self._in_hand.pop(name, None)
                if step.apart:  # those who review next are told one of the versions, not all
                    self._in_hand[name] = answer.version

    def _turns(self, step: AskStep, lane: Lane, cause: int) -> Sequence[str]:
        """Return who is asked in a branch, in the order in which they are asked and heard.

        One who takes a turn is one of those who may be asked: whoever is recused or left out has none.
        """
        names = tuple(name for name in lane.own(step.agents) if not self._conversation.unavailable(name))
        if step.exclude is not None:
            names = self._without_excluded(step, lane, names, cause)
        if step.assign is not None and names:
            names = self._assigned(step, names)
        if not step.shuffled:
            return names
        return self._chance("turns", step.place, self._round).sample(names, len(names))

    def _assigned(self, step: AskStep, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the one who is asked; raises NothingToDecide where none of these wrote the draft that was picked."""
        if step.assign == PICKED:
            picked = self._drafts.picked
            writer = tuple(name for name in names if picked is not None and name == picked.writer)
            if not writer:
                raise NothingToDecide(f"assign: picked: the draft that was picked is by none of {', '.join(names)}")
            return writer
        turn = self._turn % len(names)
        if step.assign == "random":
            turn = self._chance("assign", step.place).randrange(len(names))
        return names[turn : turn + 1]

    def _chance(self, *what: object) -> random.Random:
        """Return chance by seed and item, the same for the same thing."""
        return random.Random("/".join([self._dice, *map(str, what)]))  # noqa: S311 - not a secret

    def _without_excluded(self, step: AskStep, lane: Lane, names: tuple[str, ...], cause: int) -> tuple[str, ...]:
        """Return who may be asked about the candidates, or about a draft; raises NothingToDecide where nobody may."""
        draft = self._picked if step.on == PICKED else lane.words(step.on)
        writer = None if draft is None else draft.rpartition("/")[0]
        out = [name for name in names if excluded(step.exclude, name, writer, self._plan, self._item)]
        if not out:
            return names
        reason = f"exclude: {step.exclude}"
        excused = AgentsExcused(step=step.place, round=self._round, agents=tuple(out), reason=reason)
        self._conversation.record(excused, cause=cause)
        left = tuple(name for name in names if name not in out)
        if not left:
            raise NothingToDecide(f"{reason} leaves nobody to ask for {step.wanted}")
        return left

    async def _listen(self, step: AskStep, lane: Lane, names: Sequence[str], cause: int) -> None:
        """Let those who are asked listen to whom the step says."""
        if isinstance(step.hears, spec.Graph):
            graph, cast = step.hears, lane.own(step.agents)
            dice = self._chance("graph", step.place)
            centre = None if graph.centre is None else lane.own([graph.centre])[0]
            hears = neighbours(graph.graph, cast, k=graph.k, centre=centre, rewired=graph.rewired, dice=dice)
        else:
            own = zip(lane.own(tuple(step.hears)), step.hears.values(), strict=True)
            hears = {name: lane.own(speakers) for name, speakers in own}
        for name in names:
            if name in hears:
                await self._conversation.listen(name, hears[name], cause=cause)

    def _mask(self, names: Sequence[str]) -> None:
        """Let nobody who hears these know who they are, the same ones by the same names all through."""
        new = sorted({name for name in names if name not in self._masks})
        for name in self._chance("masks", len(self._masks)).sample(new, len(new)):
            self._masks[name] = f"Speaker {len(self._masks) + 1}"
        self._conversation.bus.masks = {name: self._masks[name] for name in names}

    async def _in_batches(
        self, step: AskStep, turns: Sequence[tuple[Lane, Sequence[str]]], cause: int, *, held: bool
    ) -> list[Answer]:
        """Ask all at once, or one of each branch after another; nobody after a failure, nor when it is enough.

        Args:
            step: What for.
            turns: Who, in each branch.
            cause: Sequence of what led to it.
            held: Whether what is said is held back until the step is over.
        """
        if not step.in_turn:
            return await self._together([(lane, name) for lane, names in turns for name in names], step, cause)
        answers: list[Answer] = []
        going = list(turns)
        turn = 0
        while going:
            batch = [(lane, names[turn]) for lane, names in going if turn < len(names)]
            if held or len(batch) < 2:
                said = await self._together(batch, step, cause)
            else:
                async with self._conversation.blind([name for _, name in batch]):
                    said = await self._together(batch, step, cause)
            answers += said
            turn += 1
            if any(isinstance(answer, Exception) for _, answer in said):
                break
            going = [
                (lane, names)
                for lane, names in going
                if turn < len(names) and not self._enough(step, lane, names[turn:], answers, cause)
            ]
        return answers

    def _enough(self, step: AskStep, lane: Lane, waiting: Sequence[str], answers: Sequence[Answer], cause: int) -> bool:
        """Whether those who wait in a branch need not be asked; notes it where it is so."""
        if step.until is None:
            return False
        said = lane.said([*self._said, *((who, fact) for who, fact in answers if isinstance(fact, Fact))])
        if not step.until.enough(said, waiting, self._standing()):
            return False
        ended = AskingEnded(
            step=step.place,
            round=self._round,
            until=str(step.until),
            wanted=step.wanted,
            spared=tuple(waiting),
            calls=len(waiting) * (step.judging.calls if step.wanted == "ballot" else 1),
        )
        self._conversation.record(ended, cause=cause)
        return True

    async def _together(self, jobs: Sequence[tuple[Lane, str]], step: AskStep, cause: int) -> list[Answer]:
        if len(jobs) == 1:
            lane, name = jobs[0]
            return [(name, await self._answered(name, self._command(name, step, lane), cause))]
        async with asyncio.TaskGroup() as asked:
            tasks = [
                asked.create_task(self._answered(name, self._command(name, step, lane), cause)) for lane, name in jobs
            ]
        return [(name, task.result()) for (_, name), task in zip(jobs, tasks, strict=True)]

    async def _ask_all(self, names: Sequence[str], command: Command[Fact], cause: int) -> None:
        """Ask agents together for the same, and add what they said."""
        present = [name for name in names if not self._conversation.unavailable(name)]
        async with self._conversation.blind(present), asyncio.TaskGroup() as asked:
            tasks = [asked.create_task(self._answered(name, command, cause)) for name in present]
        self._take([(name, task.result()) for name, task in zip(present, tasks, strict=True)])

    def _take(self, answers: Sequence[Answer]) -> None:
        """Add answers to what was said; raises the first failure.

        All have answered or failed before the first failure counts: what was paid for is in the log.
        """
        for name, answer in answers:
            if isinstance(answer, Exception):
                self.culprit = name
                raise answer
        self._said.extend((name, answer) for name, answer in answers if isinstance(answer, Fact))

    async def _answered(self, name: str, command: Command[Fact], cause: int) -> Fact | Exception | None:
        """Return what an agent answers, what went wrong, or None where it is recused."""
        try:
            return await self._conversation.ask(name, command, cause=cause)
        except AgentUnavailable as error:
            return None if self._conversation.unavailable(name) and not self._conversation.stopped else error
        except Exception as error:  # noqa: BLE001 - raised by the caller once all have answered
            return error

    # revising apart

    async def _apart(self, names: Sequence[str], step: AskStep, lane: Lane, cause: int) -> list[Answer]:
        """Ask each writer for a draft for each feedback, one after another; nobody is asked after a failure."""
        answers: list[Answer] = []
        for name in names:
            onto = self._version_of(name)
            reviewers: list[str | None] = [*self._reviewers(name, onto)]
            for reviewer in reviewers or [None]:
                command = self._command(name, step, lane).model_copy(update={"onto": onto, "hearing": reviewer})
                answers.append((name, await self._answered(name, command, cause)))
                if isinstance(answers[-1][1], Exception):
                    return answers
        return answers

    def _version_of(self, writer: str) -> int | None:
        """Return the version that a writer is to revise; None where it has written none."""
        versions = [fact.version for who, fact in self._said if who == writer and isinstance(fact, DraftWritten)]
        return self._in_hand.get(writer, versions[-1] if versions else None)

    def _reviewers(self, writer: str, version: int | None) -> list[str]:
        """Return those whose feedback on a version the writer hears and has not followed in a draft of its own yet."""
        if version is None:
            return []
        draft, heard = named(writer, version), self._conversation.bus.hears(writer) or ()
        drafts = [fact for who, fact in self._said if who == writer and isinstance(fact, DraftWritten)]
        followed = {name for draft in drafts for name in draft.by or ()}
        fresh = [
            who
            for who, fact in self._said
            if isinstance(fact, FeedbackGiven)
            and who in heard
            and draft in (fact.on or ())
            and (fact.number is None or named(who, fact.number) not in followed)
        ]
        return list(dict.fromkeys(fresh))

    def _in_hand_of_others(self, reviewer: str) -> str | None:
        """Return the draft that a reviewer is to review, where it need not be the last one it has heard."""
        heard = self._conversation.bus.hears(reviewer) or ()
        drafts = [named(writer, version) for writer, version in self._in_hand.items() if writer in heard]
        return drafts[0] if len(drafts) == 1 else None

    def _command(self, name: str, step: AskStep, lane: Lane) -> Command[Fact]:
        """Return what an agent is sent."""
        onto, reviewed = self._in_hand.get(name), None
        if step.wanted == "feedback":
            reviewed = self._in_hand_of_others(name)
        return command(
            step,
            lane.knowing(self._known()) if step.instructions else lane,
            self._round,
            orders=self._orders(step.judging.orders),
            onto=onto,
            reviewed=reviewed,
            picked=self._picked,
            known_as=self._drafts_known_as(),
        )

    @property
    def _picked(self) -> str | None:
        """The draft that was picked last."""
        return None if self._drafts.picked is None else self._drafts.picked.name

    def _known(self) -> dict[str, str]:
        """Return what `$decision` stands for: in the order in which the discussion is shown the candidates."""
        decision = self._decision
        if decision is None:
            return {}
        if self._plan.scenario.takes == "question":
            return {DECISION: decision.answer or "no answer: the votes are split"}
        ab = self._orders(self._plan.scenario.judging.orders)[0] == "ab"
        verdict = decision.verdict if ab else MIRRORED[decision.verdict]
        words = {"tie": "a tie", "unread": "no verdict: no vote could be read"}
        return {DECISION: words.get(verdict, f"answer {verdict.upper()} is better")}

    def _drafts_known_as(self) -> dict[str, str]:
        """Return what the drafts of those who have spoken anonymously are called where others are told of them."""
        if not self._masks:
            return {}
        drafts = [(who, fact.version) for who, fact in self._said if isinstance(fact, DraftWritten)]
        return {named(who, version): named(self._masks[who], version) for who, version in drafts if who in self._masks}

    def _orders(self, orders: Orders) -> tuple[Order, ...]:
        if orders == "both":
            return ("ab", "ba")
        if orders == "random":
            choices: tuple[Order, Order] = ("ab", "ba")
            return (self._chance("order").choice(choices),)
        return (orders,)

    # ends

    def _decide(self, step: DecideStep, cause: int) -> None:
        dice = (
            self._chance("ties", step.place, self._round) if step.ties == "random" else None
        )  # to seed one costs 10 us
        self._decision = decision(step, self._said, self._alike, dice)
        self._conversation.record(self._decision, cause=cause)
