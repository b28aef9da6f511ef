"""The conductor: walks the flow of one conversation, and decides by rules over facts alone."""

import asyncio
import random
from collections.abc import Sequence

from ..protocols.debate import MakeArgument
from ..protocols.errors import AgentUnavailable, NothingToDecide
from ..protocols.generation import DraftWritten, WriteDraft
from ..protocols.items import Item
from ..protocols.judging import Order, Orders, Verdict
from ..protocols.jury import CastVote, VoteCast
from ..protocols.lifecycle import AskingEnded, BranchTaken, ConditionMet, DecisionMade, ItemFinished
from ..protocols.messages import Command, Fact, named
from ..protocols.review import FeedbackGiven, GiveFeedback
from ..runtime.conversation import Conversation
from .drafts import Drafts
from .steps import AskStep, DecideStep, PairStep, PickStep, Plan, RepeatStep, Step, WhenStep

Answer = tuple[str, Fact | Exception | None]
"""Who was asked, and what it answered, what went wrong, or None where it is recused."""


class Conductor:
    """Plays a plan for one item. All it knows is what was said; the same facts lead to the same commands."""

    def __init__(self, plan: Plan, item: Item, number: int, conversation: Conversation, seed: int) -> None:
        self.culprit: str | None = None
        """The agent whose failure ended the conversation."""
        self._plan = plan
        self._number = number
        self._conversation = conversation
        self._said: list[tuple[str, Fact]] = []
        self._decision: DecisionMade | None = None
        self._drafts = Drafts(conversation, self._said, self._ask_all, self._orders)
        self._in_hand: dict[str, int] = {}
        """The version that a writer is to revise next, where it need not be its last."""
        self._round = 1
        self._dice = f"{seed}/{item.id}"

    async def play(self, opened: int) -> ItemFinished:
        """Walk the whole flow and return the outcome; `opened` is the sequence of the item's first event.

        Raises:
            ExecutionError: a step could not be carried out, or an agent failed.
        """
        await self._walk(self._plan.flow, opened)
        decision, picked = self._decision, self._drafts.picked
        if self._plan.scenario.gives == "pairs":
            text = None if picked is None else picked.text
            return ItemFinished(number=self._number, text=text, pairs=self._drafts.pairs)
        if self._plan.scenario.gives == "draft":
            if picked is None:
                raise NothingToDecide("no draft was picked")
            return ItemFinished(number=self._number, text=picked.text, pairs=self._drafts.pairs or None)
        if decision is None:
            raise NothingToDecide("no verdict was decided")
        return ItemFinished(
            number=self._number,
            verdict=decision.verdict,
            score_a=decision.score_a,
            score_b=decision.score_b,
        )

    async def _walk(self, steps: Sequence[Step], cause: int) -> None:
        for step in steps:
            match step:
                case AskStep():
                    await self._ask(step, cause)
                case RepeatStep():
                    await self._repeat(step, cause)
                case WhenStep():
                    await self._when(step, cause)
                case DecideStep():
                    self._decide(step, cause)
                case PickStep():
                    picked = await self._drafts.pick(step, self._round, cause)
                    self._in_hand[picked.writer] = picked.version
                case PairStep():
                    await self._drafts.pair(step, self._round, cause)

    async def _repeat(self, step: RepeatStep, cause: int) -> None:
        outer = self._round
        for number in range(1, step.times + 1):
            self._round = number
            await self._walk(step.steps, cause)
            met = next((each for each in step.until if each.met(self._said)), None)
            if met is not None and number < step.times:
                self._conversation.record(ConditionMet(round=number, until=str(met)), cause=cause)
                break
        self._round = outer

    async def _when(self, step: WhenStep, cause: int) -> None:
        holds = step.condition.met(self._said)
        taken = BranchTaken(step=step.place, round=self._round, when=str(step.condition), holds=holds)
        self._conversation.record(taken, cause=cause)
        await self._walk(step.steps if holds else step.otherwise, cause)

    async def _ask(self, step: AskStep, cause: int) -> None:
        conversation = self._conversation
        turns = self._turns(step)
        present = [name for name in turns if not conversation.unavailable(name)]
        for name in present:
            if name in step.hears:
                await conversation.listen(name, step.hears[name], cause=cause)
        ask = self._apart if step.apart else self._in_turn if step.in_turn or len(present) == 1 else self._together
        if step.blind:
            async with conversation.blind(turns):
                answers = await ask(present, step, cause)
        else:
            answers = await ask(present, step, cause)
        self._take(answers)
        for name, answer in answers:
            if isinstance(answer, DraftWritten):
                self._in_hand.pop(name, None)
                if step.apart:  # those who review next are told one of the versions, not all
                    self._in_hand[name] = answer.version

    def _take(self, answers: Sequence[Answer]) -> None:
        """Add answers to what was said; raises the first failure.

        All have answered or failed before the first failure counts: what was paid for is in the log.
        """
        for name, answer in answers:
            if isinstance(answer, Exception):
                self.culprit = name
                raise answer
        self._said.extend((name, answer) for name, answer in answers if isinstance(answer, Fact))

    async def _ask_all(self, names: Sequence[str], command: Command[Fact], cause: int) -> None:
        """Ask agents together for the same, and add what they said."""
        present = [name for name in names if not self._conversation.unavailable(name)]
        async with asyncio.TaskGroup() as asked:
            tasks = [asked.create_task(self._answered(name, command, cause)) for name in present]
        self._take([(name, task.result()) for name, task in zip(present, tasks, strict=True)])

    def _turns(self, step: AskStep) -> Sequence[str]:
        """Return the order in which agents are asked and heard."""
        if not step.shuffled:
            return step.agents
        dice = random.Random(f"{self._dice}/turns/{step.place}/{self._round}")  # noqa: S311 - not a secret
        return dice.sample(step.agents, len(step.agents))

    async def _together(self, names: Sequence[str], step: AskStep, cause: int) -> list[Answer]:
        async with asyncio.TaskGroup() as asked:
            tasks = [asked.create_task(self._answer(name, step, cause)) for name in names]
        return [(name, task.result()) for name, task in zip(names, tasks, strict=True)]

    async def _apart(self, names: Sequence[str], step: AskStep, cause: int) -> list[Answer]:
        """Ask each writer for a draft for each feedback, one after another; nobody is asked after a failure."""
        answers: list[Answer] = []
        for name in names:
            onto = self._version_of(name)
            reviewers: list[str | None] = [*self._reviewers(name, onto)]
            for reviewer in reviewers or [None]:
                command = WriteDraft(round=self._round, step=step.place, onto=onto, hearing=reviewer)
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

    async def _in_turn(self, names: Sequence[str], step: AskStep, cause: int) -> list[Answer]:
        """Ask one after another; nobody is asked after a failure, nor when it is enough."""
        answers: list[Answer] = []
        for number, name in enumerate(names, start=1):
            answer = await self._answer(name, step, cause)
            answers.append((name, answer))
            if isinstance(answer, Exception):
                break
            waiting = tuple(names[number:])
            if step.until is not None and waiting:
                said = [*self._said, *((who, fact) for who, fact in answers if isinstance(fact, Fact))]
                if step.until.enough(said, waiting):
                    ended = AskingEnded(
                        step=step.place,
                        round=self._round,
                        until=str(step.until),
                        wanted=step.wanted,
                        spared=waiting,
                        calls=len(waiting) * (step.judging.calls if step.wanted == "ballot" else 1),
                    )
                    self._conversation.record(ended, cause=cause)
                    break
        return answers

    async def _answer(self, name: str, step: AskStep, cause: int) -> Fact | Exception | None:
        """Return what an agent answers, what went wrong, or None where it is recused."""
        return await self._answered(name, self._command(name, step), cause)

    async def _answered(self, name: str, command: Command[Fact], cause: int) -> Fact | Exception | None:
        try:
            return await self._conversation.ask(name, command, cause=cause)
        except AgentUnavailable as error:
            return None if self._conversation.unavailable(name) and not self._conversation.stopped else error
        except Exception as error:  # noqa: BLE001 - raised by the caller once all have answered
            return error

    def _command(self, name: str, step: AskStep) -> Command[Fact]:
        judging = step.judging
        match step.wanted:
            case "draft":
                return WriteDraft(round=self._round, step=step.place, onto=self._in_hand.get(name))
            case "feedback":
                draft = self._in_hand_of_others(name)
                return GiveFeedback(round=self._round, step=step.place, scale=judging.scale, on=draft)
            case "argument":
                order = self._orders(self._plan.scenario.judging.orders)[0]
                return MakeArgument(round=self._round, step=step.place, order=order)
            case "ballot":
                orders = self._orders(judging.orders)
                return CastVote(round=self._round, step=step.place, judging=judging, orders=orders)

    def _orders(self, orders: Orders) -> tuple[Order, ...]:
        if orders == "both":
            return ("ab", "ba")
        if orders == "random":
            choices: tuple[Order, Order] = ("ab", "ba")
            return (random.Random(f"{self._dice}/order").choice(choices),)  # noqa: S311 - not a secret
        return (orders,)

    def _decide(self, step: DecideStep, cause: int) -> None:
        last: dict[str, VoteCast] = {name: fact for name, fact in self._said if isinstance(fact, VoteCast)}
        tally = step.rule.tally(tuple(last.values()))
        verdict: Verdict = tally.verdict
        self._decision = DecisionMade(
            rule=step.name,
            version=step.rule.version,
            verdict=verdict,
            score_a=tally.score_a,
            score_b=tally.score_b,
            votes=tally.votes,
            unread=tally.unread,
        )
        self._conversation.record(self._decision, cause=cause)

    def _in_hand_of_others(self, reviewer: str) -> str | None:
        """Return the draft that a reviewer is to review, where it need not be the last one it has heard."""
        heard = self._conversation.bus.hears(reviewer) or ()
        drafts = [named(writer, version) for writer, version in self._in_hand.items() if writer in heard]
        return drafts[0] if len(drafts) == 1 else None
