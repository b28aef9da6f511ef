"""What an agent and its model have said to one another."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TypeVar

from ..protocols.errors import UnreadAnswer
from ..protocols.hearing import Heard
from ..protocols.items import Turn
from ..protocols.models import ChatMessage, Completion, ModelCall, ModelSettings
from ..protocols.ports import ModelClient
from .replies import Form, Reply, Unreadable

FURTHER_REQUESTS = 1
"""How often an answer that cannot be read is asked for again, in the same dialogue."""

ReplyT = TypeVar("ReplyT", bound=Reply)
Again = Callable[[str], str]
"""Takes the problem with an answer; returns the words in which it is asked for again."""


@lru_cache(maxsize=256)
def _system(text: str) -> ChatMessage:
    """Return a system message, the same one for all who begin alike: its digest is taken once."""
    return ChatMessage("system", text)


class Dialogue:
    """The messages so far. An agent talks on a fork and keeps it only when all went well."""

    __slots__ = ("_messages", "kept_back", "taken")

    def __init__(self, messages: Iterable[ChatMessage] = (), taken: int = 0, kept_back: tuple[Heard, ...] = ()) -> None:
        self._messages = list(messages)
        self.taken = taken
        """How much of what the agent has heard is done with in it."""
        self.kept_back = kept_back
        """What was heard of that and not told, because one draft was at issue and it was on others."""

    def __bool__(self) -> bool:
        return bool(self._messages)

    def fork(self) -> "Dialogue":
        """Return a dialogue that goes on from here by itself."""
        return Dialogue(self._messages, self.taken, self.kept_back)

    @property
    def answered(self) -> bool:
        """Whether the last word is the model's: a dialogue that broke off at a request cannot be gone on with."""
        return bool(self._messages) and self._messages[-1].role == "assistant"

    def took(self, heard: Sequence[Heard], concerns: Callable[[Heard], bool] | None = None) -> None:
        """Note that all that was heard was told in it, as far as it concerns what was at issue."""
        if concerns is not None:
            fresh = (*self.kept_back, *heard[self.taken :])
            self.kept_back = tuple(each for each in fresh if not concerns(each))
        self.taken = len(heard)

    def digest(self, request: str) -> str:
        """Return a digest of all that was said so far and of the next request: the same where the same is asked."""
        said = [*self._messages, ChatMessage("user", request)]
        whole = "\0".join(f"{message.role} {message.digest}" for message in said)
        return blake2b(whole.encode(), digest_size=12).hexdigest()

    def open(self, system: str, history: Iterable[Turn] = ()) -> None:
        """Begin with a system message, then what was said before.

        System messages of the history are joined to the first one: many endpoints take one only, at the beginning.
        """
        turns = list(history)
        self._messages.append(
            _system("\n\n".join([system, *(turn.content for turn in turns if turn.role == "system")]))
        )
        self._messages += [ChatMessage(turn.role, turn.content) for turn in turns if turn.role != "system"]

    async def text(
        self, model: ModelClient, settings: ModelSettings, request: str, again: Again
    ) -> tuple[Completion, int]:
        """Ask for free text; returns the completion and the number of requests it took.

        Raises:
            UnreadAnswer: it stayed empty.
            ModelError: the model could not be asked.
        """
        requests = 0
        while True:
            completion = await self._turn(model, ModelCall(settings, self._with(request)))
            requests += 1
            if completion.text.strip():
                return completion, requests
            problem = f"it is empty (finish reason {completion.finish_reason})"
            if requests > FURTHER_REQUESTS:
                raise UnreadAnswer("text", requests, problem)
            request = again(problem)

    async def reply(
        self, model: ModelClient, settings: ModelSettings, request: str, form: Form[ReplyT], again: Again
    ) -> tuple[ReplyT, int]:
        """Ask for a typed reply; returns it and the number of requests it took.

        Raises:
            UnreadAnswer: no reply could be read.
            ModelError: the model could not be asked.
        """
        requests = 0
        while True:
            completion = await self._turn(model, ModelCall(settings, self._with(request), form.answer))
            requests += 1
            try:
                return form.read(completion), requests
            except Unreadable as error:
                if requests > FURTHER_REQUESTS:
                    raise UnreadAnswer(form.answer.name, requests, str(error)) from error
                request = again(str(error))

    def _with(self, request: str) -> tuple[ChatMessage, ...]:
        self._messages.append(ChatMessage("user", request))
        return tuple(self._messages)

    async def _turn(self, model: ModelClient, call: ModelCall) -> Completion:
        completion = await model.complete(call)
        self._messages.append(ChatMessage("assistant", completion.text))
        return completion
