"""What tests of single agents share: an item of each sort, a talk with one agent, and a model that fills any form."""

import json
from collections.abc import Mapping
from typing import Any

from fellowship.agents import ROLES, Agent, Profile
from fellowship.protocols.debate import ArgumentMade
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.hearing import Heard
from fellowship.protocols.identity import ConversationId, ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.messages import Fact
from fellowship.protocols.models import ModelCall, ModelSettings
from fellowship.protocols.moderation import QuestionAsked, SummaryWritten
from fellowship.protocols.review import FeedbackGiven
from fellowship.runtime.conversation import Conversation
from fellowship.runtime.log import MemoryLog
from fellowship.runtime.system import ActorSystem
from fellowship.runtime.testing import ScriptedModel

PLAIN = Item(id=ItemId("1"), prompt="Why is the sky blue?")
COMPARED = Item(
    id=ItemId("1"),
    prompt="Why is the sky blue?",
    candidates=(
        Candidate(slot="a", text="Rayleigh scattering.", model="acme/large"),
        Candidate(slot="b", text="It is painted.", model="other/small"),
    ),
)
QUESTION = Item(id=ItemId("1"), prompt="Which is a fruit?", choices=("a stone", "a pear"), reference="B")


def filled(call: ModelCall, **said: object) -> str:
    """Return an answer of the form that is asked for: what is `said` of its fields, and else anything that fits."""
    if call.answer is None:
        return str(said.get("text", "I say so."))
    parts: Mapping[str, Any] = call.answer.schema["properties"]
    return json.dumps({name: said[name] if name in said else _value(part) for name, part in parts.items()})


def _value(part: Mapping[str, Any]) -> object:
    if "enum" in part:
        return part["enum"][0]
    return {"boolean": True, "array": ["clarity"], "number": 1, "string": "so"}[part["type"]]


def about(agent: Agent | str, item: Item, model: ScriptedModel, **profile: Any) -> Conversation:
    """Return a conversation with `it`, an agent of a role."""
    role = profile.pop("kind", None) or ROLES[str(agent)]
    settings = profile.pop("settings", ModelSettings(model="x/y"))
    cast = {"it": lambda: role(Profile("it", str(agent), settings, **profile), item)}
    return ActorSystem(MemoryLog(), models=model).conversation(ConversationId("t"), cast)


async def heard(conversation: Conversation, *facts: Fact, by: str = "other", known_as: str | None = None) -> None:
    for fact in facts:
        await conversation.tell("it", Heard(speaker=by, fact=fact, known_as=known_as))


def draft(text: str, version: int = 1, **more: Any) -> DraftWritten:
    return DraftWritten(round=1, text=text, version=version, **more)


def review(text: str, *on: str, number: int = 1) -> FeedbackGiven:
    return FeedbackGiven(
        round=1, evaluation="Hm.", feedback=text, score=5, scale=10, requests=1, number=number, on=on or None
    )


def argument(text: str) -> ArgumentMade:
    return ArgumentMade(round=1, text=text)


def summary(text: str, *, replaces: bool = False) -> SummaryWritten:
    return SummaryWritten(round=1, text=text, replaces=replaces)


def question(text: str) -> QuestionAsked:
    return QuestionAsked(round=1, text=text)


def last(model: ScriptedModel) -> str:
    """Return the last request."""
    return model.calls[-1].messages[-1].content


def whole(call: ModelCall) -> str:
    """Return all that was sent."""
    return "\n".join(message.content for message in call.messages)
