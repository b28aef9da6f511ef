"""What any agent can be asked for: summaries, approval, criteria, questions; and what is told of what was heard."""

import json

import pytest
from speaking import (
    COMPARED,
    PLAIN,
    QUESTION,
    about,
    argument,
    draft,
    filled,
    heard,
    last,
    question,
    review,
    summary,
    whole,
)

from fellowship.agents import ROLES
from fellowship.protocols.debate import MakeArgument
from fellowship.protocols.errors import ContentFiltered, ModelRefused, NothingToDecide, UnreadAnswer
from fellowship.protocols.generation import WriteDraft
from fellowship.protocols.judging import Judging
from fellowship.protocols.jury import CastVote
from fellowship.protocols.models import Completion, ModelCall, Usage
from fellowship.protocols.moderation import (
    ApprovalGiven,
    AskQuestion,
    CriteriaProposed,
    GiveApproval,
    ProposeCriteria,
    QuestionAsked,
    SummaryWritten,
    WriteSummary,
)
from fellowship.protocols.review import GiveFeedback
from fellowship.runtime.testing import ScriptedModel

FOUR = {SummaryWritten, ApprovalGiven, CriteriaProposed, QuestionAsked}
OK = json.dumps({"reason": "It is right.", "approved": True})


@pytest.mark.parametrize("name", list(ROLES))
async def test_every_role_sums_up_approves_proposes_criteria_and_asks(name: str) -> None:
    assert ROLES[name].gives >= FOUR
    model = ScriptedModel(lambda call: filled(call, text="Words.", reason="Fine.", criteria=[" wit ", "truth"]))
    async with about(name, PLAIN, model) as conversation:
        await heard(conversation, argument("It scatters."))
        assert await conversation.ask("it", WriteSummary(round=3, replaces=True)) == SummaryWritten(
            round=3, text="Words.", replaces=True
        )
        assert await conversation.ask("it", GiveApproval()) == ApprovalGiven(round=1, reason="Fine.", approved=True)
        proposed = await conversation.ask("it", ProposeCriteria(most=2))
        assert proposed == CriteriaProposed(round=1, criteria=("wit", "truth"))
        assert await conversation.ask("it", AskQuestion()) == QuestionAsked(round=1, text="Words.")
    assert [len(call.messages) for call in model.calls] == [2, 4, 6, 8]
    first, second, third, _ = (call.messages[-1].content for call in model.calls)
    assert first.index("Why is the sky blue?") < first.index("It scatters.") < first.index("Sum up")
    assert "It scatters." not in second
    assert "at most 2" in third
    assert all("Why is the sky blue?" not in call.messages[-1].content for call in model.calls[1:])


async def test_who_is_asked_before_anything_was_heard_sees_request_and_candidates_in_the_order_wanted() -> None:
    model = ScriptedModel(["Which?"])
    async with about("moderator", COMPARED, model) as conversation:
        await conversation.ask("it", AskQuestion(order="ba"))
    shown = last(model)
    assert shown.index("Why is the sky blue?") < shown.index('name="A"') < shown.index("It is painted.")
    assert shown.index("It is painted.") < shown.index('name="B"') < shown.index("Rayleigh scattering.")


@pytest.mark.parametrize("answer", ["Yes!", '{"reason": "so", "approved": "true"}', '{"approved": true}'])
async def test_an_approval_that_cannot_be_read_is_asked_for_again_and_then_is_none(answer: str) -> None:
    model = ScriptedModel([answer, answer, OK])
    async with about("moderator", PLAIN, model) as conversation:
        given = await conversation.ask("it", GiveApproval())
        again = await conversation.ask("it", GiveApproval())
    assert (given.approved, given.requests) == (None, 2)
    assert "after 2 requests" in given.reason
    assert given.said() == ""
    assert (again.approved, again.said()) == (True, "It is right.\n\nApproved.")
    assert len(model.calls[2].messages) == 2


@pytest.mark.parametrize("error", [ContentFiltered("no"), ModelRefused("no")])
async def test_an_approval_that_is_withheld_is_none_and_the_talk_goes_on_as_if_it_had_not_been_asked(
    error: Exception,
) -> None:
    model = ScriptedModel([error, OK])
    async with about("juror", PLAIN, model) as conversation:
        given = await conversation.ask("it", GiveApproval())
        assert given.reason == f"{type(error).__name__}: no"
        assert given.approved is None
        assert (await conversation.ask("it", GiveApproval())).approved
    assert [message.role for message in model.calls[1].messages] == ["system", "user"]


@pytest.mark.parametrize("criteria", [[], ["a", "b", "c"], ["a", " "], "a", [1]])
async def test_criteria_are_one_to_so_many_words_or_an_error(criteria: object) -> None:
    model = ScriptedModel(lambda call: filled(call, criteria=criteria))
    async with about("moderator", PLAIN, model) as conversation:
        with pytest.raises(UnreadAnswer, match="after 2 requests"):
            await conversation.ask("it", ProposeCriteria(most=2))


async def test_a_summary_that_was_cut_off_says_so() -> None:
    model = ScriptedModel([Completion("First,", "length", "m", Usage())])
    async with about("moderator", PLAIN, model) as conversation:
        assert (await conversation.ask("it", WriteSummary())).cut_off


async def test_whoever_hears_a_summary_that_replaces_forgets_what_was_said_before_it() -> None:
    model = ScriptedModel(filled)
    async with about("debater", COMPARED, model) as conversation:
        await heard(conversation, argument("Old words."))
        await conversation.ask("it", MakeArgument())
        await heard(conversation, argument("Older words, told late."), summary("A leads.", replaces=True))
        await heard(conversation, argument("New words."), by="third")
        await conversation.ask("it", MakeArgument(round=2))
        await conversation.ask("it", MakeArgument(round=3))
    again = model.calls[1]
    assert [message.role for message in again.messages] == ["system", "user"]
    assert "ld words" not in whole(again)
    assert "I say so." not in whole(again)
    shown = last_of(again)
    assert shown.index("Rayleigh") < shown.index("A leads.") < shown.index("New words.")
    assert len(model.calls[2].messages) == 4


def last_of(call: ModelCall) -> str:
    return call.messages[-1].content


async def test_a_summary_that_replaces_nothing_is_heard_like_anything_else() -> None:
    model = ScriptedModel(filled)
    async with about("debater", COMPARED, model) as conversation:
        await conversation.ask("it", MakeArgument())
        await heard(conversation, summary("A leads."))
        await conversation.ask("it", MakeArgument(round=2))
    assert len(model.calls[1].messages) == 4
    assert "A leads." in last(model)


async def test_the_one_who_sums_up_forgets_nothing() -> None:
    model = ScriptedModel(filled)
    async with about("moderator", PLAIN, model) as conversation:
        await heard(conversation, argument("Old words."))
        await conversation.ask("it", WriteSummary(replaces=True))
        await conversation.ask("it", GiveApproval())
    assert "Old words." in whole(model.calls[1])


async def test_a_writer_that_forgets_keeps_its_versions_and_is_shown_the_request_and_its_own_last_draft() -> None:
    model = ScriptedModel(["One.", "Two.", "Three."])
    async with about("generator", PLAIN, model) as conversation:
        await conversation.ask("it", WriteDraft())
        await heard(conversation, review("Say why.", "it/1"))
        await conversation.ask("it", WriteDraft(round=2))
        await heard(conversation, summary("All want it shorter.", replaces=True))
        third = await conversation.ask("it", WriteDraft(round=3))
    assert (third.version, third.revises, third.by) == (3, 2, None)
    call = model.calls[2]
    assert [message.role for message in call.messages] == ["system", "user"]
    shown = last_of(call)
    assert shown.index("Why is the sky blue?") < shown.index("All want it shorter.") < shown.index("Two.")
    assert "One." not in whole(call)
    assert "Say why." not in whole(call)


async def test_a_juror_that_forgets_can_still_compare_the_drafts_it_heard() -> None:
    from fellowship.protocols.comparing import CompareDrafts

    model = ScriptedModel(filled)
    async with about("juror", PLAIN, model) as conversation:
        await heard(conversation, draft("One."), draft("Two.", 2), summary("So far.", replaces=True))
        made = CompareDrafts(first="other/1", second="other/2", judging=Judging(), orders=("ab",))
        await conversation.ask("it", made)
    assert last(model).index("One.") < last(model).index("Two.")


@pytest.mark.parametrize("name", ["juror", "debater", "reviewer", "generator", "solver", "moderator", "peer"])
async def test_of_an_anonymous_speaker_no_model_is_told_the_name(name: str) -> None:
    model = ScriptedModel(filled)
    wanted = {"reviewer": GiveFeedback(), "generator": WriteDraft(), "juror": None, "debater": MakeArgument()}
    command = wanted.get(name) or (CastVote(judging=Judging(), orders=("ab",)) if name == "juror" else WriteSummary())
    async with about(name, COMPARED, model) as conversation:
        said = (draft("One."), argument("Because."), question("Why?"), summary("So."), review("More.", "it/1"))
        await heard(conversation, *said, by="bartleby", known_as="Speaker 2")
        await conversation.ask("it", command)
        await conversation.ask("it", GiveApproval())
    assert "Speaker 2" in whole(model.calls[0])
    assert all("bartleby" not in whole(call) for call in model.calls)


async def test_where_one_draft_is_at_issue_nothing_is_told_of_others_and_of_feedback_on_others_alone() -> None:
    model = ScriptedModel(filled)
    said = (
        *(draft("The first draft."), draft("The second draft.", 2)),
        *(
            review("On the first.", "other/1"),
            review("On the second.", "other/2"),
            review("On both.", "other/1", "other/2"),
        ),
        *(review("On anything."), argument("An argument.")),
    )
    async with about("debater", PLAIN, model) as conversation:
        await heard(conversation, *said)
        for on in ("other/1", "other/2", "other/1", None):
            await conversation.ask("it", MakeArgument(on=on))
    first, second, again, free = (call.messages[-1].content for call in model.calls)
    for words in ("The first draft.", "On the first.", "On both.", "On anything.", "An argument."):
        assert words in first
    assert "second" not in first
    assert "The second draft." in second
    assert "On the second." in second
    for words in ("first", "On both.", "On anything.", "An argument."):
        assert words not in second
    assert "The first draft." in again
    assert "On the first." not in again
    assert "draft" not in free.partition("It is your turn")[0]


async def test_a_reviewer_is_told_only_the_draft_it_is_to_review() -> None:
    model = ScriptedModel(filled)
    async with about("reviewer", PLAIN, model) as conversation:
        await heard(conversation, draft("The first draft."), draft("The second draft.", 2))
        given = await conversation.ask("it", GiveFeedback(on="other/1"))
        assert given.on == ("other/1",)
        assert "second" not in last(model)
        both = await conversation.ask("it", GiveFeedback(on="other/2"))
        assert both.on == ("other/2",)
        with pytest.raises(NothingToDecide):
            await conversation.ask("it", GiveFeedback(on="other/3"))


async def test_nobody_is_told_what_it_said_itself() -> None:
    model = ScriptedModel(filled)
    async with about("juror", COMPARED, model) as conversation:
        await heard(conversation, argument("My own words."), by="it")
        await conversation.ask("it", CastVote(judging=Judging(), orders=("ab",)))
    assert "My own words." not in last(model)


async def test_without_candidates_a_debater_speaks_about_the_request_and_what_it_heard() -> None:
    for item in (PLAIN, QUESTION):
        model = ScriptedModel(filled)
        async with about("debater", item, model) as conversation:
            await heard(conversation, draft("Because of the air."))
            await conversation.ask("it", MakeArgument(side="a"))
        system, request = (message.content for message in model.calls[0].messages)
        assert "two answers" not in system + request
        assert "answer A" not in request
        assert item.prompt in request
        assert "Because of the air." in request
        assert 'name="A"' not in request


@pytest.mark.parametrize(
    ("order", "side", "label"), [("ab", "a", "A"), ("ab", "b", "B"), ("ba", "a", "B"), ("ba", "b", "A")]
)
async def test_a_debater_argues_for_its_side_wherever_that_stands(order: str, side: str, label: str) -> None:
    texts = {"a": "Rayleigh scattering.", "b": "It is painted."}
    for profile, command in (
        ({}, {"side": side}),
        ({"side": side}, {}),
        ({"side": "a" if side == "b" else "b"}, {"side": side}),
    ):
        model = ScriptedModel(["I do."])
        async with about("debater", COMPARED, model, **profile) as conversation:
            await conversation.ask("it", MakeArgument(order=order, **command))  # type: ignore[arg-type]
        assert f"You speak for answer {label}:" in last(model)
        assert texts[side] in last(model).partition(f'name="{label}">\n')[2].partition("</answer")[0]
