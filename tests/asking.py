"""A way to a model whose answers a test writes, and an access that takes it."""

import asyncio
from collections.abc import Callable

from fellowship.protocols.models import AnswerSchema, ChatMessage, Completion, ModelCall, ModelSettings, Tier, Usage
from fellowship.protocols.ports import Clock
from fellowship.runtime.models import Admission, Endpoint, ModelAccess, Price, Retries, Route, Transport
from fellowship.runtime.models.budget import Purse
from fellowship.runtime.models.cache import AnswerCache
from fellowship.runtime.models.wire import Reply
from fellowship.runtime.testing import ManualClock

SETTINGS = ModelSettings(model="far/m", max_tokens=100)
CALL = ModelCall(SETTINGS, (ChatMessage("system", "be brief"), ChatMessage("user", "why is it so")))
SCHEMA = {
    "type": "object",
    "properties": {"rationale": {"type": "string"}, "score": {"type": "number"}},
    "required": ["rationale", "score"],
    "additionalProperties": False,
}
SCORED = ModelCall(SETTINGS, CALL.messages, AnswerSchema("score", SCHEMA))
FAR = Endpoint("far/m", "m", "https://models.example/v1", key="sk-secret")


def said(text: str = "so", *, usage: Usage | None = None, **facts: object) -> Completion:
    usage = usage or Usage(input_tokens=10, output_tokens=5)
    completion = Completion(text=text, finish_reason="stop", served_by="m-1", usage=usage)
    for name, value in facts.items():
        setattr(completion, name, value)
    return completion


class Answering:
    """A Transport that answers by a function, once the gate is open, and keeps what it was asked."""

    def __init__(self, answer: Callable[[ModelCall], Completion] = lambda _: said()) -> None:
        self._answer = answer
        self.asked: list[ModelCall] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> Reply:
        self.asked.append(call)
        await self.gate.wait()
        return Reply(self._answer(call), {})


def access_to(
    transport: Transport,
    *,
    endpoint: Endpoint = FAR,
    settings: ModelSettings = SETTINGS,
    price: Price | None = None,
    batch: bool = False,
    purse: Purse | None = None,
    cache: AnswerCache | None = None,
    cache_here: bool = False,
    clock: Clock | None = None,
    deadline_s: float = 10.0,
    retries: Retries | None = None,
    most: int = 64,
) -> ModelAccess:
    clock = clock or ManualClock()
    route = Route(endpoint, transport, Admission(endpoint.name, most, clock=clock), price, batch=batch)
    return ModelAccess(
        {settings: route},
        clock=clock,
        deadline_s=deadline_s,
        retries=retries,
        purse=purse,
        cache=cache,
        cache_here=cache_here,
    )
