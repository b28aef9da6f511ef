"""One actor of several hats: who writes is not told what others write, who reviews and votes is."""

import pytest
from speaking import COMPARED, PLAIN, about, argument, draft, filled, heard, question, review, summary, whole

from fellowship.agents import ROLES
from fellowship.protocols.comparing import CompareDrafts
from fellowship.protocols.debate import ArgumentMade, MakeArgument
from fellowship.protocols.errors import NothingToDecide
from fellowship.protocols.generation import DraftWritten, WriteDraft
from fellowship.protocols.judging import Judging
from fellowship.protocols.jury import CastVote, VoteCast
from fellowship.protocols.moderation import WriteSummary
from fellowship.protocols.review import FeedbackGiven, GiveFeedback
from fellowship.runtime.testing import ScriptedModel


def model() -> ScriptedModel:
    return ScriptedModel(lambda call: filled(call, text="My own draft."))


def test_a_peer_gives_all_that_its_hats_give() -> None:
    gives = ROLES["peer"].gives
    assert {DraftWritten, FeedbackGiven, ArgumentMade, VoteCast} <= gives
    for name in ("generator", "reviewer", "debater", "moderator"):
        assert ROLES[name].gives <= gives


async def test_who_writes_is_told_feedback_on_its_own_drafts_and_questions_and_nothing_that_others_wrote() -> None:
    asked = model()
    async with about("peer", PLAIN, asked) as conversation:
        await heard(conversation, draft("Another draft."))
        await conversation.ask("it", WriteDraft())
        await conversation.ask("it", GiveFeedback())
        await heard(conversation, draft("Another, revised.", 2), argument("An argument."))
        await heard(conversation, review("Yours is dry.", "it/1"), review("That is wet.", "third/1", number=2))
        written = await conversation.ask("it", WriteDraft(round=2))
        await heard(conversation, question("And at dusk?"))
        await conversation.ask("it", WriteDraft(round=3))
    first, reviewed, revised, answered = asked.calls
    assert first.messages[-1].content == "Why is the sky blue?"
    assert "Another draft." in whole(reviewed)
    assert "My own draft." not in whole(reviewed)
    assert "Yours is dry." in whole(revised)
    for words in ("Another", "That is wet.", "An argument."):
        assert words not in whole(revised)
    assert (written.revises, written.by) == (1, ("other/1",))
    assert "And at dusk?" in answered.messages[-1].content


async def test_who_argues_and_votes_is_told_what_it_has_written_as_its_own_and_once() -> None:
    asked = model()
    async with about("peer", PLAIN, asked) as conversation:
        await conversation.ask("it", WriteDraft())
        await heard(conversation, draft("Another draft."))
        await conversation.ask("it", MakeArgument())
        await conversation.ask("it", MakeArgument(round=2))
    _, argued, again = asked.calls
    assert '<turn by="yourself">\nMy own draft.\n</turn>' in argued.messages[-1].content
    assert '<turn by="other">\nAnother draft.\n</turn>' in argued.messages[-1].content
    assert "My own draft." not in again.messages[-1].content


async def test_each_hat_leads_its_own_dialogue_and_has_its_own_system_message() -> None:
    asked = model()
    async with about("peer", COMPARED, asked) as conversation:
        await heard(conversation, draft("Another draft."))
        await conversation.ask("it", WriteDraft())
        await conversation.ask("it", GiveFeedback())
        await conversation.ask("it", MakeArgument())
        await conversation.ask("it", CastVote(judging=Judging(), orders=("ab",)))
        await conversation.ask("it", WriteSummary())
    assert [len(call.messages) for call in asked.calls] == [2, 2, 2, 4, 6]
    assert len({call.messages[0].content for call in asked.calls}) == 3
    assert "Another draft." in whole(asked.calls[2])


async def test_a_peer_compares_and_reviews_its_own_drafts_where_it_is_asked_to_by_name() -> None:
    asked = model()
    async with about("peer", PLAIN, asked) as conversation:
        await heard(conversation, draft("Another draft."))
        await conversation.ask("it", WriteDraft())
        await heard(conversation, draft("My own draft."), by="it")
        made = CompareDrafts(first="it/1", second="other/1", judging=Judging(), orders=("ab",))
        await conversation.ask("it", made)
        given = await conversation.ask("it", GiveFeedback(on="it/1"))
        with pytest.raises(NothingToDecide, match="has not heard it/2"):
            await conversation.ask("it", made.model_copy(update={"first": "it/2"}))
    compared = asked.calls[1].messages[-1].content
    assert compared.index("My own draft.") < compared.index("Another draft.")
    assert given.on == ("it/1",)
    assert "My own draft." in asked.calls[2].messages[-1].content
    assert "Another draft." not in asked.calls[2].messages[-1].content


async def test_a_summary_that_replaces_is_forgotten_by_under_every_hat() -> None:
    asked = model()
    async with about("peer", COMPARED, asked) as conversation:
        await heard(conversation, draft("Another draft."), argument("Old words."))
        for command in (WriteDraft(), GiveFeedback(), MakeArgument()):
            await conversation.ask("it", command)
        await heard(conversation, review("Old review.", "it/1"), summary("In short.", replaces=True))
        await heard(conversation, draft("A later draft.", 2))
        for command in (WriteDraft(round=2), GiveFeedback(round=2), MakeArgument(round=2)):
            await conversation.ask("it", command)
    for call in asked.calls[3:]:
        assert len(call.messages) == 2
        assert "In short." in whole(call)
        for words in ("Another draft.", "Old words.", "Old review."):
            assert words not in whole(call)
    assert "A later draft." in whole(asked.calls[5])
