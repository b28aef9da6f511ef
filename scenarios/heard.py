"""One conversation while it is gone through: who was asked for opinions when, and what they had heard by then."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any, cast

from ..protocols.answering import Answers
from ..protocols.events import Event
from .measures.opinions import Debate, Opinion, Sort, Wave
from .placed import placed

VERDICTS = ("a", "b", "tie")
PAIR = 2
META = ".by"
"""How the place ends at which a meta-judge is asked."""
SORTS: dict[str, Sort] = {"vote_cast": "ballot", "draft_written": "answer"}

Key = Callable[[str, Answers, Sequence[str]], str | None]


@dataclass(frozen=True, slots=True)
class Played:
    """What a scenario says that the log does not."""

    answers: Answers
    """How answers are compared."""
    blind: frozenset[str]
    """Places of steps in which those who speak in turn hear one another only when the step is over."""

    @classmethod
    def of(cls, scenario: Mapping[str, Any]) -> "Played":
        """Read it from a scenario as it was noted."""
        blind = frozenset(each.place for each in placed(scenario) if each.said.get("blind"))
        return cls(cast("Answers", scenario.get("answers", "exact")), blind)


@dataclass(slots=True)
class _Asked:
    """A command for an opinion or an argument, and what came of it."""

    command: int
    agent: str
    step: str
    round: int
    fact: int = 0
    kind: str = ""
    body: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class _Given:
    """An opinion, with all that decides where it belongs."""

    asked: _Asked
    block: int
    """Of those who were asked in one step."""
    opinion: Opinion


@dataclass(slots=True)
class Talk:
    """What a conversation has come to so far."""

    played: Played
    opened: dict[str, Any]
    """The first fact of it."""
    variant: str
    _asked: dict[int, _Asked] = field(default_factory=dict[int, _Asked])
    """By the sequence of the command."""
    _speakers: dict[int, str] = field(default_factory=dict[int, str])
    """Who said what, by its sequence."""
    _heard: dict[str, list[tuple[int, int]]] = field(default_factory=dict[str, list[tuple[int, int]]])
    """For each listener: from which event on it had been told, and of what."""
    _parts: set[str] = field(default_factory=set[str])
    """Places of `each`."""

    def take(self, event: Event, content: dict[str, Any]) -> None:
        """Take in what happened."""
        match event.kind:
            case "cast_vote" | "give_answer" | "write_draft" | "make_argument":
                step, number = content.get("step", ""), content.get("round", 1)
                self._asked[event.sequence] = _Asked(event.sequence, event.recipients[0], step, number)
            case "hearing_changed":
                told = self._heard.setdefault(content["agent"], [])
                told += [(event.sequence, said) for said in content.get("caught_up", ())]
            case "branches_opened":
                self._parts.add(content["step"])
            case "item_resumed":
                for command in content.get("set_aside", ()):
                    if command in self._asked:
                        self._asked[command].fact = 0
            case _:
                self._said(event, content)

    def _said(self, event: Event, content: dict[str, Any]) -> None:
        self._speakers[event.sequence] = event.sender
        for listener in event.recipients:
            self._heard.setdefault(listener, []).append((event.sequence, event.sequence))
        asked = self._asked.get(event.cause or 0)
        if asked is not None and event.kind in ("vote_cast", "draft_written", "argument_made"):
            asked.fact, asked.kind, asked.body = event.sequence, event.kind, content

    @property
    def item(self) -> dict[str, Any]:
        """Return what it is about."""
        item: dict[str, Any] = self.opened["item"]
        return item

    def debates(self, key: Key) -> Iterator[Debate]:
        """Return the debate, as one of ballots and one of answers where there were both; none without opinions."""
        answered = [asked for asked in self._asked.values() if asked.fact]
        for kind, sort in SORTS.items():
            mine = [asked for asked in answered if asked.kind == kind and _is_opinion(asked)]
            parts = [asked for asked in mine if self._of_part(asked)]
            whole = [asked for asked in mine if not self._of_part(asked)]
            waves, beside = self._waves(whole, sort, key)
            if not waves:
                continue
            truth, values = self._known(sort, key)
            yield Debate(
                item=str(self.item["id"]).removeprefix(f"{self.variant}/" if self.variant else ""),
                number=self.opened["number"],
                variant=self.variant,
                sort=sort,
                waves=waves,
                truth=truth,
                possible=len(values) or None,
                values=values,
                said=_texts(answered, whole if sort == "answer" else []),
                beside=beside,
                of_parts=len(parts),
            )

    def _of_part(self, asked: _Asked) -> bool:
        return any(asked.step.startswith(f"{place}.") for place in self._parts)

    def _known(self, sort: Sort, key: Key) -> tuple[str | None, tuple[str, ...]]:
        """Return the truth, where it is known, and what opinions there are to choose from."""
        if sort == "ballot":
            votes = Counter(str(vote["verdict"]) for vote in self.item.get("human", ())).most_common(PAIR)
            split = len(votes) == PAIR and votes[0][1] == votes[1][1]
            return ("tie" if split else votes[0][0]) if votes else None, VERDICTS
        reference, choices = self.item.get("reference"), tuple(self.item.get("choices", ()))
        truth = None if reference is None else key(reference, self.played.answers, choices)
        if self.played.answers != "choice":
            return truth, ()
        return truth, tuple(ascii_uppercase[: len(choices)])

    def _waves(self, asked: Sequence[_Asked], sort: Sort, key: Key) -> tuple[tuple[Wave, ...], int]:
        """Return opinions in the order in which they were asked for, and how many stand beside all waves.

        Agents who are asked in several steps are in one wave until one of them is asked again.
        """
        given = list(self._given(asked, sort, key))
        over = self._over(given)
        waves: list[list[Opinion]] = []
        block = -1
        for each in given:
            if each.asked.command in over:
                continue
            if each.block != block:
                block = each.block
                present = {other.asked.agent for other in given if other.block == block}
                if not waves or present & {opinion.agent for opinion in waves[-1]}:
                    waves.append([])
            waves[-1].append(each.opinion)
        return tuple(tuple(wave) for wave in waves), len(over)

    def _given(self, asked: Sequence[_Asked], sort: Sort, key: Key) -> Iterator[_Given]:
        block, last = -1, ("", 0)
        present: set[str] = set()
        known: dict[str, set[int]] = {}
        held: list[tuple[_Asked, int, str | None]] = []
        for each in asked:
            if (each.step, each.round) != last or each.agent in present:
                block, last = block + 1, (each.step, each.round)
                present.clear()
            present.add(each.agent)
            verdict = self._verdict(each, sort, key)
            blind = each.step in self.played.blind
            hidden = {other.fact for other, number, _ in held if blind and number == block}
            stood = {
                other.agent: said for other, _, said in held if other.fact < each.command and other.fact not in hidden
            }
            speakers = self._newly(each, known.setdefault(each.agent, set()), hidden)
            held.append((each, block, verdict))
            heard = {speaker: stood.get(speaker) for speaker in speakers}
            yield _Given(each, block, _opinion(each, verdict, heard))

    def _newly(self, asked: _Asked, known: set[int], hidden: set[int]) -> dict[str, None]:
        """Return whom an agent was told of since it was asked before, in the order in which it was; adds to `known`."""
        told = self._heard.get(asked.agent, ())
        fresh = [
            what for when, what in told if when < asked.command and what not in hidden and what not in known
        ]  # fmt: skip
        known.update(fresh)
        speakers = (self._speakers.get(what, asked.agent) for what in fresh)
        return dict.fromkeys(speaker for speaker in speakers if speaker != asked.agent)

    def _verdict(self, asked: _Asked, sort: Sort, key: Key) -> str | None:
        if sort == "ballot":
            return None if asked.body["verdict"] == "unread" else str(asked.body["verdict"])
        answer = asked.body.get("answer")
        if answer is None or asked.body.get("unread"):
            return None
        return key(answer, self.played.answers, tuple(self.item.get("choices", ())))

    def _over(self, given: Sequence[_Given]) -> set[int]:
        """Return opinions of a meta-judge, and those given once, in a step of their own, over two of another."""
        times = Counter(each.asked.agent for each in given)
        sizes = Counter(each.block for each in given)
        found: set[int] = set()
        for each in given:
            if each.asked.step.endswith(META):
                found.add(each.asked.command)
            if times[each.asked.agent] == 1 and sizes[each.block] == 1:
                before = [
                    other.block
                    for other in given
                    if other.asked.fact < each.asked.command and other.asked.agent in each.opinion.heard
                ]
                if max(Counter(before).values(), default=0) >= PAIR:
                    found.add(each.asked.command)
        return found


def _is_opinion(asked: _Asked) -> bool:
    """Whether it commits its agent: a vote, or a draft that is an answer to a question."""
    return asked.kind == "vote_cast" or asked.body.get("answer") is not None or bool(asked.body.get("unread"))


def _opinion(asked: _Asked, verdict: str | None, heard: Mapping[str, str | None]) -> Opinion:
    a, b, sure = (asked.body.get(name) for name in ("score_a", "score_b", "confidence"))
    return Opinion(
        agent=asked.agent,
        verdict=verdict,
        heard=heard,
        scores=None if verdict is None or a is None or b is None else (float(a), float(b)),
        confidence=None if sure is None else float(sure),
    )


def _texts(answered: Sequence[_Asked], answers: Sequence[_Asked]) -> tuple[tuple[str, ...], ...]:
    """Return the arguments of each round of them, until somebody speaks again; without arguments, the answers."""
    arguments = [asked for asked in answered if asked.kind == "argument_made"]
    rounds: list[dict[str, str]] = []
    for asked in arguments or answers:
        if not rounds or asked.agent in rounds[-1]:
            rounds.append({})
        rounds[-1][asked.agent] = asked.body.get("text", "")
    return tuple(tuple(each.values()) for each in rounds)
