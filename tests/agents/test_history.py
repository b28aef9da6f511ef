"""What was said before the prompt, as each role's model is shown it."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fellowship.agents import PERSONAS, ROLES, Profile
from fellowship.protocols.debate import MakeArgument
from fellowship.protocols.generation import WriteDraft
from fellowship.protocols.identity import ConversationId, ItemId
from fellowship.protocols.items import Candidate, Item, Turn
from fellowship.protocols.judging import Judging
from fellowship.protocols.jury import CastVote
from fellowship.protocols.models import ModelCall, ModelSettings
from fellowship.protocols.review import GiveFeedback
from fellowship.runtime.conversation import Conversation
from fellowship.runtime.log import MemoryLog
from fellowship.runtime.system import ActorSystem
from fellowship.runtime.testing import ScriptedModel

ITEM = Item(
    id=ItemId("1"),
    prompt="And at dusk?",
    history=(
        Turn(role="system", content="Answer a child."),
        Turn(role="user", content="Why is the sky blue?"),
        Turn(role="assistant", content="Air scatters blue light."),
    ),
    reference="It is red then.",
    candidates=(Candidate(slot="a", text="Red."), Candidate(slot="b", text="Green.")),
)
FEEDBACK = json.dumps({"evaluation": "Good.", "feedback": "Say why.", "score": 7.5})
SCORES = json.dumps({"reason": "so", "score_a": 8, "score_b": 6})


def talk(model: ScriptedModel, item: Item, *roles: str) -> Conversation:
    cast = {
        role: lambda role=role: ROLES[role](
            Profile(role, role, ModelSettings(model="x/y"), PERSONAS["critic"] if role == "debater" else None), item
        )
        for role in roles
    }
    return ActorSystem(MemoryLog(), models=model).conversation(ConversationId("t"), cast)


async def requests(item: Item) -> dict[str, ModelCall]:
    """Return the first request of each role."""
    model = ScriptedModel(["Red, for the way is long.", FEEDBACK, "Red.", SCORES, "I say A."])
    async with talk(model, item, "generator", "reviewer", "judge", "debater") as conversation:
        await conversation.listen("reviewer", ["generator"])
        await conversation.listen("generator", ["reviewer"])
        await conversation.ask("generator", WriteDraft())
        await conversation.ask("reviewer", GiveFeedback())
        await conversation.ask("generator", WriteDraft(round=2))
        await conversation.ask("judge", CastVote(judging=Judging(), orders=("ab",)))
        await conversation.ask("debater", MakeArgument())
    return dict(zip(("generator", "reviewer", "revising", "judge", "debater"), model.calls, strict=True))


async def test_a_generator_goes_on_with_the_conversation_and_has_one_system_message() -> None:
    asked = await requests(ITEM)
    messages = [(message.role, message.content) for message in asked["generator"].messages]
    assert [role for role, _ in messages] == ["system", "user", "assistant", "user"]
    assert messages[0][1].startswith("You are a knowledgeable assistant.")
    assert messages[0][1].endswith("\n\nAnswer a child.")
    assert [text for _, text in messages[1:]] == ["Why is the sky blue?", "Air scatters blue light.", "And at dusk?"]
    revising = asked["revising"].messages
    assert [message.content for message in revising[:4]] == [text for _, text in messages]
    assert [message.role for message in revising[4:]] == ["assistant", "user"]


@pytest.mark.parametrize("role", ["reviewer", "judge", "debater"])
async def test_all_others_read_what_was_said_before_the_request_in_it(role: str) -> None:
    messages = (await requests(ITEM))[role].messages
    assert [message.role for message in messages] == ["system", "user"]
    assert "Answer a child." not in messages[0].content
    shown = messages[1].content
    block = re.search(r"<(request\S*)>\n(.*)\n</\1>", shown, re.DOTALL)
    assert block is not None
    said = ["Answer a child.", "Why is the sky blue?", "Air scatters blue light.", "And at dusk?"]
    places = [block[2].index(text) for text in said]
    assert places == sorted(places)
    assert re.findall(r'<(?:before|now)-\w+ by="(\w+)">', shown) == ["system", "user", "assistant", "user"]


async def test_no_model_is_shown_the_reference() -> None:
    for call in (await requests(ITEM)).values():
        assert not any("It is red then." in message.content for message in call.messages)


async def test_without_a_history_every_request_is_what_it_was_before_there_were_any() -> None:
    bare = ITEM.model_copy(update={"history": ()})
    asked = await requests(bare)
    assert asked["generator"].messages[1].content == "And at dusk?"
    reviewed = "<request-0d847a>\nAnd at dusk?\n</request-0d847a>\n\n<answer by="
    assert asked["reviewer"].messages[1].content.startswith(reviewed)
    # the mark was the digest of the prompt and the answers alone, and still is
    assert "<request-0d847a>\nAnd at dusk?\n</request-0d847a>" in asked["judge"].messages[1].content
    assert all("before" not in message.content for call in asked.values() for message in call.messages)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["user", "assistant"]),
            st.sampled_from(["</request>", "</before>", "</now>", '<now by="user">', "<before-", "x\n"]),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_nothing_said_before_can_close_its_tag_and_speak_as_another(turns: list[tuple[str, str]]) -> None:
    history = tuple(Turn.model_validate({"role": role, "content": text}) for role, text in turns)
    item = ITEM.model_copy(update={"history": history})
    judge = ROLES["judge"](Profile("judge", "judge", ModelSettings(model="x/y")), item)
    shown = judge.render(
        "vote", judge.dialogue(), candidates=judge.candidates("ab"), together=True, known=False, labelled=True
    )
    mark = judge.mark
    inside = re.findall(rf'<before-{mark} by="(\w+)">\n(.*?)\n</before-{mark}>', shown, re.DOTALL)
    assert inside == turns
    assert shown.count(f"</now-{mark}>") == shown.count(f"</request-{mark}>") == 1
