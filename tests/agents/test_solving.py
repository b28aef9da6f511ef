"""Writers among others: first drafts from the answers of others, questions to answer, and solutions."""

import json

import pytest
from speaking import PLAIN, QUESTION, about, argument, draft, filled, heard, last, question, review, whole

from fellowship.agents import ROLES
from fellowship.protocols.answering import Answers
from fellowship.protocols.errors import ModelRefused, Overloaded
from fellowship.protocols.generation import DraftWritten, WriteDraft
from fellowship.protocols.moderation import AskQuestion, GiveApproval
from fellowship.protocols.solving import GiveAnswer
from fellowship.runtime.testing import ScriptedModel


def solved(reasoning: str, answer: str, **more: object) -> str:
    return json.dumps({"reasoning": reasoning, **more, "answer": answer})


async def test_a_first_draft_is_written_from_the_answers_of_others_without_a_word_about_them() -> None:
    model = ScriptedModel(filled)
    async with about("generator", PLAIN, model) as conversation:
        await heard(conversation, draft("It scatters."), draft("It is wet.", 2))
        await heard(conversation, review("On yours.", "other/1"), by="third")
        written = await conversation.ask("it", WriteDraft())
    assert (written.version, written.revises, written.by) == (1, None, None)
    request = last(model)
    assert request.startswith("Why is the sky blue?\n\n<answer by=")
    assert request.index("It scatters.") < request.index("It is wet.") < request.index("take what is right")
    assert "without a word about theirs" in request
    assert "On yours." not in whole(model.calls[0])


async def test_without_anything_heard_a_first_draft_is_asked_for_by_the_request_alone() -> None:
    model = ScriptedModel(filled)
    async with about("generator", PLAIN, model) as conversation:
        await conversation.ask("it", WriteDraft())
    assert last(model) == "Why is the sky blue?"


async def test_a_revision_is_told_reviews_of_its_own_drafts_and_answers_of_others_but_no_review_of_these() -> None:
    model = ScriptedModel(filled)
    async with about("generator", PLAIN, model) as conversation:
        await conversation.ask("it", WriteDraft())
        await heard(conversation, review("Yours is short.", "it/1"), review("That is wrong.", "other/1", number=2))
        await heard(conversation, draft("It scatters."), argument("I like both."))
        written = await conversation.ask("it", WriteDraft(round=2))
    assert (written.version, written.revises, written.by) == (2, 1, ("other/1",))
    request = last(model)
    assert '<review by="other">\nHm.\n\nYours is short.\n</review>' in request
    assert '<answer by="other">\nIt scatters.\n</answer>' in request
    assert '<remark by="other">\nI like both.\n</remark>' in request
    assert "That is wrong." not in request
    assert "Why is the sky blue?" not in request


async def test_a_question_that_is_heard_is_answered_not_taken_for_a_review() -> None:
    model = ScriptedModel(filled)
    async with about("generator", PLAIN, model) as conversation:
        await conversation.ask("it", WriteDraft())
        await heard(conversation, question("And at dusk?"))
        written = await conversation.ask("it", WriteDraft(round=2))
    assert written.revises is None
    assert '<question by="other">\nAnd at dusk?\n</question>' in last(model)
    assert "now to be answered" in last(model)
    assert "reviewed" not in last(model)


async def test_what_a_writer_was_told_when_it_was_asked_for_something_else_it_still_follows() -> None:
    model = ScriptedModel(filled)
    async with about("generator", PLAIN, model) as conversation:
        await conversation.ask("it", AskQuestion())
        await conversation.ask("it", WriteDraft())
        await heard(conversation, review("Say why.", "it/1"))
        await conversation.ask("it", GiveApproval())
        written = await conversation.ask("it", WriteDraft(round=2))
    assert (written.revises, written.by) == (1, ("other/1",))
    assert [len(call.messages) for call in model.calls] == [2, 4, 6, 8]
    assert sum(message.content.count("Say why.") for message in model.calls[3].messages) == 1
    assert "improved answer" in last(model)


@pytest.mark.parametrize("name", ["generator", "solver", "peer"])
async def test_a_solution_is_a_draft_with_its_reasoning_its_answer_and_how_sure_it_is(name: str) -> None:
    assert DraftWritten in ROLES[name].gives
    model = ScriptedModel([solved("Stones have no seeds.", " B ", confidence=0.75)])
    async with about(name, QUESTION, model, answers="choice") as conversation:
        written = await conversation.ask("it", GiveAnswer(confidence=True))
    assert written == DraftWritten(
        round=1, text="Stones have no seeds.\n\nAnswer: B", version=1, answer="B", confidence=0.75
    )
    assert written.said() == "Stones have no seeds.\n\nAnswer: B\n\nConfidence: 0.75"
    request = last(model)
    assert request.index("Which is a fruit?") < request.index("A. a stone\nB. a pear") < request.index("how sure")
    call = model.calls[0]
    assert call.answer is not None
    assert list(call.answer.schema["properties"]) == ["reasoning", "confidence", "answer"]


@pytest.mark.parametrize(
    ("answers", "form"), [("exact", "few words"), ("numeric", "one number"), ("choice", "the letter")]
)
async def test_the_form_of_the_answer_is_said(answers: Answers, form: str) -> None:
    model = ScriptedModel([solved("So.", "1")])
    async with about("solver", QUESTION, model, answers=answers) as conversation:
        written = await conversation.ask("it", GiveAnswer())
    assert form in last(model)
    assert "how sure" not in last(model)
    assert (written.answer, written.confidence, written.said()) == ("1", None, "So.\n\nAnswer: 1")


async def test_a_solver_reconsiders_in_the_light_of_the_solutions_of_others() -> None:
    model = ScriptedModel([solved("Hm.", "A"), solved("Seeds.", "B"), solved("Still.", "B")])
    async with about("solver", QUESTION, model) as conversation:
        await conversation.ask("it", GiveAnswer())
        await heard(conversation, draft("Pears grow.\n\nAnswer: B", answer="B", confidence=0.9))
        await heard(conversation, draft("it could not be read", unread=True), by="third")
        again = await conversation.ask("it", GiveAnswer(round=2))
        await conversation.ask("it", GiveAnswer(round=3))
    assert (again.version, again.revises, again.answer) == (2, 1, "B")
    request = model.calls[1].messages[-1].content
    assert "Pears grow.\n\nAnswer: B\n\nConfidence: 0.9" in request
    assert "keep it where it is right" in request
    assert "could not be read" not in request
    assert "Which is a fruit?" not in request
    assert "Reconsider" not in last(model)


@pytest.mark.parametrize("answer", ["B", solved("So.", "  "), solved("So.", "B", winner="A"), '{"answer": "B"}'])
async def test_a_solution_that_cannot_be_read_is_asked_for_again_and_then_unread(answer: str) -> None:
    model = ScriptedModel([answer, answer, solved("So.", "B")])
    async with about("solver", QUESTION, model) as conversation:
        unread = await conversation.ask("it", GiveAnswer())
        written = await conversation.ask("it", GiveAnswer(round=2))
    assert (unread.unread, unread.answer, unread.version, unread.said()) == (True, None, 1, "")
    assert "after 2 requests" in unread.text
    assert (written.answer, written.version, written.revises) == ("B", 2, None)
    assert [message.role for message in model.calls[2].messages] == ["system", "user"]
    assert "Which is a fruit?" in last(model)


async def test_a_solution_that_is_withheld_is_unread_and_what_was_heard_is_told_again() -> None:
    model = ScriptedModel([solved("So.", "A"), ModelRefused("I cannot"), solved("So.", "B")])
    async with about("solver", QUESTION, model) as conversation:
        await conversation.ask("it", GiveAnswer())
        await heard(conversation, draft("Pears grow.", answer="B"))
        withheld = await conversation.ask("it", GiveAnswer(round=2))
        await conversation.ask("it", GiveAnswer(round=3))
    assert (withheld.unread, withheld.text) == (True, "ModelRefused: I cannot")
    assert [message.role for message in model.calls[2].messages] == ["system", "user", "assistant", "user"]
    assert "Pears grow." in last(model)


async def test_a_model_that_cannot_be_asked_fails_the_solver() -> None:
    async with about("solver", QUESTION, ScriptedModel([Overloaded("on fire")])) as conversation:
        with pytest.raises(Overloaded):
            await conversation.ask("it", GiveAnswer())


async def test_no_solver_is_shown_the_known_answer() -> None:
    item = QUESTION.model_copy(update={"reference": "certainly the pear"})
    model = ScriptedModel(filled)
    async with about("solver", item, model) as conversation:
        await conversation.ask("it", GiveAnswer())
    assert "certainly" not in whole(model.calls[0])
