"""Samples and confidence of ballots, votes that are cast again, and what the cache tells apart."""

import json

import pytest
from speaking import COMPARED, PLAIN, about, argument, draft, filled, heard, last, whole

from fellowship.protocols.comparing import CompareDrafts
from fellowship.protocols.errors import ModelRefused, NothingToDecide
from fellowship.protocols.judging import Judging, StrategyName
from fellowship.protocols.jury import CastVote
from fellowship.protocols.models import ModelSettings
from fellowship.runtime.testing import ScriptedModel


def scores(a: float, b: float, **more: float) -> str:
    return json.dumps({"reason": "so", **more, "score_a": a, "score_b": b})


def verdict(word: str, **more: float) -> str:
    return json.dumps({"reason": "so", **more, "verdict": word})


async def test_samples_are_ballots_in_each_order_each_as_if_there_were_no_other() -> None:
    model = ScriptedModel([scores(8, 6), scores(4, 6), scores(9, 3), scores(1, 5), scores(2, 5), scores(3, 5)])
    judging = Judging(samples=3, orders="both", reconcile="mean")
    async with about("judge", COMPARED, model) as conversation:
        cast = await conversation.ask("it", CastVote(judging=judging, orders=("ab", "ba")))
    assert len(model.calls) == judging.calls == 6
    assert [ballot.order for ballot in cast.ballots] == ["ab"] * 3 + ["ba"] * 3
    assert [ballot.verdict for ballot in cast.ballots] == ["a", "b", "a", "a", "a", "a"]
    assert (cast.verdict, cast.score_a, cast.score_b) == (
        "a",
        pytest.approx((21 + 15) / 6),
        pytest.approx((15 + 6) / 6),
    )
    assert all(len(call.messages) == 2 for call in model.calls)
    assert [call.settings.sample for call in model.calls] == [1, 2, 3, 1, 2, 3]


async def test_a_single_sample_is_asked_for_by_the_settings_as_they_are() -> None:
    for settings in (ModelSettings(model="x/y"), ModelSettings(model="x/y", sample=7)):
        model = ScriptedModel(filled)
        async with about("judge", COMPARED, model, settings=settings) as conversation:
            await conversation.ask("it", CastVote(judging=Judging(), orders=("ab",)))
        assert model.calls[0].settings == settings


async def test_samples_of_agents_that_are_samples_themselves_are_all_told_apart() -> None:
    numbers: list[int | None] = []
    for own in (None, 1, 2):
        model = ScriptedModel(filled)
        async with about("judge", COMPARED, model, settings=ModelSettings(model="x/y", sample=own)) as conversation:
            await conversation.ask("it", CastVote(judging=Judging(samples=4), orders=("ab",)))
        numbers += [call.settings.sample for call in model.calls]
    assert numbers == list(range(1, 13))


async def test_by_tie_each_order_stands_for_its_most_frequent_verdict() -> None:
    judging = Judging(strategy="direct", samples=3, orders="both")
    for words, expected in (("AABBBB", "a"), ("AABAAB", "tie"), ("ABtBBt", "tie")):
        model = ScriptedModel([verdict({"t": "tie"}.get(word, word)) for word in words])
        async with about("judge", COMPARED, model) as conversation:
            cast = await conversation.ask("it", CastVote(judging=judging, orders=("ab", "ba")))
        assert cast.verdict == expected


async def test_a_sample_that_cannot_be_read_counts_beside_those_that_can() -> None:
    model = ScriptedModel([scores(8, 6), "A!", "A!", ModelRefused("no")])
    async with about("judge", COMPARED, model) as conversation:
        cast = await conversation.ask("it", CastVote(judging=Judging(samples=3), orders=("ab",)))
    assert [ballot.verdict for ballot in cast.ballots] == ["a", "unread", "unread"]
    assert (cast.verdict, cast.score_a, cast.score_b) == ("a", 8.0, 6.0)
    assert cast.said() == "so\n\nScores: A 8, B 6"


async def test_the_dialogue_that_goes_on_is_that_of_the_first_sample() -> None:
    model = ScriptedModel([scores(8, 6), scores(1, 2), scores(7, 6), scores(7, 6)])
    async with about("judge", COMPARED, model) as conversation:
        for number in (1, 2):
            command = CastVote(round=number, judging=Judging(samples=2), orders=("ab",))
            await conversation.ask("it", command)
    for call in model.calls[2:]:
        assert [message.content for message in call.messages if message.role == "assistant"] == [scores(8, 6)]


@pytest.mark.parametrize("strategy", ["direct", "combined", "independent"])
async def test_a_ballot_says_how_sure_it_is_after_the_reason_and_before_the_verdict(strategy: StrategyName) -> None:
    model = ScriptedModel(lambda call: filled(call, confidence=0.4 if "painted" in whole(call) else 0.8))
    judging = Judging(strategy=strategy, confidence=True)
    async with about("judge", COMPARED, model) as conversation:
        cast = await conversation.ask("it", CastVote(judging=judging, orders=("ab",)))
    assert cast.confidence == cast.ballots[0].confidence == pytest.approx(0.6 if strategy == "independent" else 0.4)
    assert cast.said().endswith(f"Confidence: {cast.confidence:g}")
    for call in model.calls:
        assert call.answer is not None
        assert list(call.answer.schema["properties"])[:2] == ["reason", "confidence"]
        request = call.messages[-1].content
        assert request.index("reasons first") < request.index("how sure") < request.index("Then ")


async def test_the_confidence_of_a_vote_is_the_mean_over_its_ballots_and_none_of_an_unread_one() -> None:
    judging = Judging(confidence=True, orders="both")
    model = ScriptedModel([scores(8, 6, confidence=0.9), scores(5, 7, confidence=0.5)])
    async with about("judge", COMPARED, model) as conversation:
        cast = await conversation.ask("it", CastVote(judging=judging, orders=("ab", "ba")))
    assert (cast.verdict, cast.confidence) == ("a", pytest.approx(0.7))
    model = ScriptedModel([scores(8, 6, confidence=0.9), *[scores(5, 7, confidence=1.5)] * 2])
    async with about("judge", COMPARED, model) as conversation:
        cast = await conversation.ask("it", CastVote(judging=judging, orders=("ab", "ba")))
    assert (cast.verdict, cast.confidence) == ("unread", None)


@pytest.mark.parametrize("strategy", ["direct", "combined", "independent"])
async def test_who_votes_again_sees_request_and_answers_once_then_what_was_said_since(strategy: StrategyName) -> None:
    model = ScriptedModel(filled)
    command = CastVote(judging=Judging(strategy=strategy), orders=("ab",))
    async with about("juror", COMPARED, model) as conversation:
        await heard(conversation, argument("Early words."))
        await conversation.ask("it", command)
        await heard(conversation, argument("Late words."), draft("A third answer."))
        await conversation.ask("it", command)
    half = len(model.calls) // 2
    for before, after in zip(model.calls[:half], model.calls[half:], strict=True):
        assert "Early words." in before.messages[-1].content
        assert after.messages[:2] == before.messages
        again = after.messages[-1].content
        assert '<remark by="other">\nLate words.\n</remark>' in again
        assert "A third answer." in again
        assert "Early words." not in again
        assert "Why is the sky blue?" not in again
        assert "now, in the light of" in again


async def test_who_scores_each_answer_after_a_discussion_is_told_all_that_was_said_in_each_of_both() -> None:
    from fellowship.protocols.debate import MakeArgument

    model = ScriptedModel(filled)
    command = CastVote(judging=Judging(strategy="independent"), orders=("ab",))
    async with about("debater", COMPARED, model) as conversation:
        await conversation.ask("it", MakeArgument())
        await heard(conversation, argument("Late words."))
        await conversation.ask("it", command)
        await conversation.ask("it", MakeArgument(round=2))
    for call in model.calls[1:]:
        assert "Late words." in last_of(call)
    assert len(model.calls[3].messages) == 4


def last_of(call: object) -> str:
    return call.messages[-1].content  # type: ignore[attr-defined,no-any-return]


async def test_a_ballot_that_is_withheld_leaves_the_talk_as_it_was() -> None:
    model = ScriptedModel([ModelRefused("no"), scores(8, 6)])
    async with about("juror", COMPARED, model) as conversation:
        await heard(conversation, argument("Early words."))
        for _ in range(2):
            await conversation.ask("it", CastVote(judging=Judging(), orders=("ab",)))
    assert len(model.calls[1].messages) == 2
    assert "Early words." in last(model)


async def test_drafts_are_compared_in_samples_too_and_the_steps_words_are_said() -> None:
    model = ScriptedModel(filled)
    judging = Judging(samples=2)
    async with about("judge", PLAIN, model) as conversation:
        await heard(conversation, draft("One."), draft("Two.", 2), argument("Not for you."))
        command = CompareDrafts(
            first="other/1", second="other/2", judging=judging, orders=("ab", "ba"), instructions="Be harsh."
        )
        compared = await conversation.ask("it", command)
    assert len(compared.ballots) == len(model.calls) == 4
    assert [call.settings.sample for call in model.calls] == [1, 2, 1, 2]
    assert all(len(call.messages) == 2 and last_of(call).endswith("Be harsh.") for call in model.calls)
    assert not any("Not for you." in whole(call) for call in model.calls)


async def test_where_there_are_no_two_answers_a_vote_says_so() -> None:
    for name in ("juror", "debater", "peer"):
        async with about(name, PLAIN, ScriptedModel(filled)) as conversation:
            with pytest.raises(NothingToDecide, match="it has no two answers to vote on"):
                await conversation.ask("it", CastVote(judging=Judging(), orders=("ab",)))
