"""What a rehearsal came to: who said what, having heard whom; what each was told and asked; how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeVar, cast

from ...protocols.errors import DeclarationError, nearest
from ...protocols.hearing import Heard
from ...protocols.identity import ConversationId
from ...protocols.items import Item
from ...protocols.judging import Verdict
from ...protocols.lifecycle import DecisionMade, ItemFailed, ItemFinished, ModelCalled
from ...protocols.messages import Fact
from ...protocols.models import ChatMessage
from ...protocols.pairing import PairsMade
from ...runtime.log.memory import MemoryLog
from .asked import Prompt, word_for

if TYPE_CHECKING:
    from ...runtime.log import LogReader

FactT = TypeVar("FactT", bound=Fact)
WIDTH = 100
"""Of a transcript, in columns."""
SHOWN = 12
"""Turns that a rehearsal's repr shows."""


class _Turn(NamedTuple):
    agent: str
    word: str
    heard: tuple[str, ...]


class Spoken(_Turn):
    """Something said: equal to the tuple of who said it, its word, and whom they had heard since they spoke last.

    Speakers stand in order of delivery, one for each thing that they said; what says nothing, such as a vote that could
    not be read, is not told.
    """

    round: int
    """In which it was asked for, from 1."""
    fact: Fact

    def __new__(cls, agent: str, word: str, heard: tuple[str, ...], round_: int, fact: Fact) -> Self:
        """Make one."""
        made = super().__new__(cls, agent, word, heard)
        made.round = round_
        made.fact = fact
        return made

    @property
    def text(self) -> str:
        """Return the words that those who hear it are told, candidates in the item's own order."""
        return self.fact.said()

    def __repr__(self) -> str:
        return repr(tuple(self))


class Told(NamedTuple):
    """Something an agent was told: who said it, its word, its text."""

    speaker: str
    """By the name under which the agent knows it: of an anonymous one, `Speaker 1` or the like."""
    word: str
    """As the scenario calls it: draft, argument, ballot, …"""
    text: str
    """Candidates in the item's own order."""


class Paired(NamedTuple):
    """A preference pair, or a text labelled alone, that was made and is kept; texts by name, as in `writer/2`."""

    sort: str
    chosen: str | None
    """None of a text that is labelled bad alone."""
    rejected: str | None
    """None of a text that is labelled good alone."""


@dataclass(frozen=True, slots=True, repr=False)
class Rehearsal:
    """A scenario, played for one item."""

    scenario: str
    item: Item
    status: Literal["done", "failed", "stopped"]
    """stopped: a model failed in such a way that no other item could succeed either."""
    outcome: ItemFinished | ItemFailed | None
    """None where it was stopped."""
    error: str | None
    """Why it failed or was stopped: the class of the error, and its sentence."""
    turns: tuple[Spoken, ...]
    """Everything that agents said when they were asked, in order."""
    agents: tuple[str, ...]
    """Everyone who could be asked."""
    unused: Mapping[str, int]
    """By the key of `answers`: how many of a list's answers were not asked for; of several agents, by the one that took
    the most."""
    log: MemoryLog = field(compare=False)
    """Every event, as a run's log has it."""
    noted: tuple[tuple[str, Fact], ...] = field(compare=False)
    """Every fact, and who stated it: an agent, or the conductor."""
    told: Mapping[str, tuple[Heard, ...]] = field(compare=False)
    """What each agent was told, in order."""
    conversation: ConversationId

    @property
    def sequence(self) -> list[Spoken]:
        """Return who said what, having heard whom since it spoke last: comparable with tuples of these three."""
        return list(self.turns)

    def said(self, agent: str) -> list[Spoken]:
        """Return what an agent said; raises DeclarationError where there is no such agent."""
        self._prove(agent)
        return [turn for turn in self.turns if turn.agent == agent]

    def heard(self, agent: str) -> list[Told]:
        """Return what an agent was told, in order; raises DeclarationError where there is no such agent."""
        self._prove(agent)
        told = self.told.get(agent, ())
        return [Told(each.name, word_for(each.fact), text) for each in told if (text := each.fact.said())]

    def prompts(self, agent: str) -> list[Prompt]:
        """Return the messages that an agent's model was sent, call by call.

        Raises:
            DeclarationError: there is no such agent.
        """
        self._prove(agent)
        return [
            Prompt(ChatMessage(role, self.log.text(digest)) for role, digest in called.messages)  # type: ignore[arg-type]
            for who, called in self._noted(ModelCalled)
            if who == agent
        ]

    def facts(self, kind: type[FactT]) -> list[FactT]:
        """Return all facts of a kind, in order: those of the conductor, too, such as BranchTaken."""
        return [fact for _, fact in self._noted(kind)]

    @property
    def calls(self) -> int:
        """Return how often models were asked."""
        return len(self._noted(ModelCalled))

    @property
    def decisions(self) -> list[DecisionMade]:
        """Return what was decided, in order."""
        return self.facts(DecisionMade)

    @property
    def rounds(self) -> int:
        """Return the last round of a repeat in which somebody said something; 1 where nothing is repeated."""
        return max((turn.round for turn in self.turns), default=0)

    @property
    def verdict(self) -> Verdict | None:
        """Return the verdict; none where the scenario gives none, or failed."""
        return self.outcome.verdict if isinstance(self.outcome, ItemFinished) else None

    @property
    def scores(self) -> tuple[float | None, float | None]:
        """Return the scores of a and b that go with the verdict; none where it has none."""
        end = self.outcome
        return (end.score_a, end.score_b) if isinstance(end, ItemFinished) else (None, None)

    @property
    def text(self) -> str | None:
        """Return the draft that was picked; none where there is none."""
        return self.outcome.text if isinstance(self.outcome, ItemFinished) else None

    @property
    def answer(self) -> str | None:
        """Return the answer to a question; none where there is none."""
        return self.outcome.answer if isinstance(self.outcome, ItemFinished) else None

    @property
    def correct(self) -> bool | None:
        """Return whether the answer is the known one; none where there is none to compare."""
        return self.outcome.correct if isinstance(self.outcome, ItemFinished) else None

    @property
    def pairs(self) -> list[Paired]:
        """Return the preference pairs that were made and are kept, in order."""
        kept = [each for made in self.facts(PairsMade) for each in made.candidates if each.dropped is None]
        found: list[Paired] = []
        for each in kept:
            both = (each.first, each.second)
            first_is_better = each.preference is None or each.preference.verdict != "b"
            found.append(Paired(each.of, *(both if first_is_better else both[::-1])))
        return found

    def transcript(self) -> str:
        """Return the conversation as `fellowship trace` shows it, in 100 columns."""
        from rich.console import Console  # noqa: PLC0415 - for those who look

        from ..traces.talk import fold  # noqa: PLC0415 - as above
        from ..traces.transcript import transcript  # noqa: PLC0415 - as above

        reader = cast("LogReader", self.log)  # of which it takes the events only
        console = Console(width=WIDTH, color_system=None, force_terminal=False)
        with console.capture() as shown:
            console.print(transcript(fold(reader, self.conversation)))
        return "\n".join(line.rstrip() for line in shown.get().splitlines())

    def _noted(self, kind: type[FactT]) -> list[tuple[str, FactT]]:
        return [(who, fact) for who, fact in self.noted if isinstance(fact, kind)]

    def _prove(self, agent: str) -> None:
        if agent not in self.agents:
            raise DeclarationError(f"{self.scenario} has no agent {agent!r}{nearest(agent, self.agents)}")

    def __repr__(self) -> str:
        words: list[str] = [self.status]
        words += [f"verdict {self.verdict}"] if self.verdict else []
        words += [f"answer {self.answer!r}"] if self.answer is not None else []
        words += [f"{len(self.pairs)} pairs"] if self.pairs else []
        words += [self.error] if self.error else []
        turns = [
            f"{turn.agent} {turn.word}" + (f" < {' '.join(turn.heard)}" if turn.heard else "") for turn in self.turns
        ]
        more = f"; and {len(turns) - SHOWN} more" if len(turns) > SHOWN else ""
        return f"<{self.scenario} on {self.item.id}: {', '.join(words)}; {'; '.join(turns[:SHOWN])}{more}>"
