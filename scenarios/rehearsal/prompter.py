"""The prompter: lets every agent's model say what a test wants it to say."""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...protocols.errors import DeclarationError, ExecutionError, Problem, nearest
from ...protocols.items import Item
from ...protocols.models import Completion, ModelCall
from ...runtime.system import ActorSystem
from ...runtime.testing.scripted import Answer, ScriptedModel
from .asked import Answers, Asked, Line, Lines, Teller, Unreadable, word_of
from .ledger import Ledger

EVERYBODY = "*"


@dataclass(slots=True)
class _Part:
    """What one key of `answers` says, and what became of it."""

    line: Line | Teller = None
    """What is always said; none where it is neutral, or one of the list's."""
    listed: tuple[Line | Teller, ...] | None = None
    """What is said one after another."""
    taken: dict[str, int] = field(default_factory=dict[str, int])
    """Of a list: how many answers each agent has had."""
    fields: Mapping[str, object] | None = None
    """What is always said where it fits what is asked for."""
    fitted: bool = False
    """Whether these fields have ever fitted."""
    known: set[str] = field(default_factory=set[str])
    """The fields that were asked for."""


def _part(lines: Lines) -> _Part:
    if isinstance(lines, Mapping):
        return _Part(fields=lines)  # pyright: ignore[reportUnknownArgumentType]  # it widens what it narrows
    if isinstance(lines, Sequence) and not isinstance(lines, str):
        return _Part(listed=tuple(lines))  # pyright: ignore[reportUnknownArgumentType]  # as above
    return _Part(lines)


class Prompter:
    """A ModelClient that knows by the actor system who asks."""

    def __init__(
        self, system: ActorSystem, ledger: Ledger, item: Item, answers: Answers | None, names: Mapping[str, str]
    ) -> None:
        """Make one.

        Args:
            system: Whose agents ask.
            ledger: The system's log: knows what they were asked for.
            item: What the conversation is about.
            answers: What they say.
            names: For each agent, the key of `answers` that speaks for it.
        """
        self.broken: BaseException | None = None
        """What a teller raised that is no failure of a model's: the test's own."""
        self.wrong: list[Problem] = []
        self._system = system
        self._ledger = ledger
        self._item = item
        self._names = names
        self._teller: Teller | None = answers if callable(answers) else None
        given: Mapping[str, Lines] = {} if answers is None or callable(answers) else answers
        self._parts = {key: _part(lines) for key, lines in given.items()}
        self._numbers: dict[str, int] = {}
        self._model = ScriptedModel(self._say)

    async def complete(self, call: ModelCall) -> Completion:
        """Answer a call in the name of the agent who makes it."""
        return await self._model.complete(call)

    @property
    def unused(self) -> dict[str, int]:
        """Return how many answers of each list were not asked for."""
        lists = {key: (part.listed, part.taken) for key, part in self._parts.items()}
        left = {key: len(lines) - max(taken.values(), default=0) for key, (lines, taken) in lists.items() if lines}
        return {key: count for key, count in left.items() if count > 0}

    def tell(self) -> None:
        """Raise what is wrong with the answers, now that it is known what was asked for.

        Raises:
            DeclarationError: an agent was asked more often than it has answers, or for other fields.
            Exception: what a teller raised.
        """
        if self.broken is not None:
            raise self.broken
        for key, part in self._parts.items():
            if part.fields and part.known and not part.fitted:
                odd = [name for name in part.fields if name not in part.known]
                hint = nearest(odd[0], part.known) if odd else "; no form has all of these fields"
                self.wrong.append(Problem(f"answers of {key}: unknown field {(odd or [*part.fields])[0]!r}{hint}"))
        if self.wrong:
            raise DeclarationError(list(dict.fromkeys(self.wrong)))

    async def _say(self, call: ModelCall) -> Answer:
        asked = self._asked(call)
        part = self._parts.get(self._names.get(asked.agent, ""))
        line: Line | Teller = self._teller
        if part is not None and part.fields is not None:
            part.known.update(asked.fields)
            fits = part.fields.keys() <= set(asked.fields)
            part.fitted = part.fitted or fits
            line = part.fields if fits and asked.fields else None
        elif part is not None:
            line = part.line if part.listed is None else self._next(part, part.listed, asked)
        told = await self._told(line, asked)
        return self._formed(told, asked) if isinstance(told, Mapping) else self._answer(told, asked)

    def _asked(self, call: ModelCall) -> Asked:
        address, _, _ = self._system.asking[id(call)]
        agent = address.agent
        command = self._ledger.commands[agent]
        number = self._numbers[agent] = self._numbers.get(agent, 0) + 1
        return Asked(agent, word_of(command), command.round, number, self._item, call)

    def _next(self, part: _Part, lines: Sequence[Line | Teller], asked: Asked) -> Line | Teller:
        taken = part.taken.get(asked.agent, 0)
        part.taken[asked.agent] = taken + 1
        if taken < len(lines):
            return lines[taken]
        there = f"{len(lines)} answer{'s' if len(lines) != 1 else ''}"
        what = f"{asked.agent} has {there}, and is asked for another: {asked.wanted} in round {asked.round}"
        raise self._refused(what)

    async def _told(self, line: Line | Teller, asked: Asked) -> Line:
        if not callable(line) or isinstance(line, type):
            return line
        try:
            told = line(asked)
            return await told if inspect.isawaitable(told) else told
        except ExecutionError as error:
            return error
        except Exception as error:
            self.broken = self.broken or error
            raise

    def _formed(self, given: Mapping[str, object], asked: Asked) -> str:
        """Return fields as JSON, with neutral values in those that are not given."""
        known = asked.fields
        if not known:
            fields = ", ".join(given)
            what = f"{asked.agent} is asked for free text ({asked.wanted} in round {asked.round}), not for {fields}"
            raise self._refused(f"{what}; answer {asked.number} is a mapping")
        odd = next((name for name in given if name not in known), None)
        if odd is not None:
            place = f"{asked.wanted} in round {asked.round}"
            raise self._refused(f"answer of {asked.agent} ({place}): unknown field {odd!r}{nearest(odd, known)}")
        return json.dumps({**json.loads(asked.reply()), **given}, ensure_ascii=False)

    def _answer(self, line: Line, asked: Asked) -> Answer:
        match line:
            case None:
                return asked.reply()
            case Unreadable():
                return line.text
            case Completion() | Exception():
                return line
            case type():
                return line("as the rehearsal wants it")
            case str():
                return line if not asked.fields or _is_object(line) else asked.reply(line)
            case _:
                raise self._refused(f"an answer is a text, fields, or a failure, not {line!r:.60}")

    def _refused(self, what: str) -> DeclarationError:
        self.wrong.append(Problem(what))
        return DeclarationError(what)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
