"""What a review of the language found: strange but legal scenarios, played in memory."""

from fellowship.scenarios.rehearsal import Unreadable, rehearse

PICKED_BY_PEERS = """
scenario: picked-by-peers
takes: instruction
models: {m: openai/gpt-4o}
agents: {p: {role: peer}, q: {role: peer}, w: {role: reviewer}}
flow:
  - {ask: [p, q], for: draft, hears: w}
  - {pick: best, by: [p, q]}
  - {ask: w, for: feedback, hears: [p, q]}
  - {ask: [p, q], for: draft}
  - {pick: last}
gives: draft
"""


async def test_a_judge_of_drafts_goes_on_hearing_whom_it_has_heard_before() -> None:
    played = await rehearse(PICKED_BY_PEERS)

    assert played.said("p")[-1] == ("p", "draft", ("w",))
    assert played.said("q")[-1] == ("q", "draft", ("w",))


KIN = """
scenario: kin
takes: comparison
agents:
  first: {role: judge, model: acme/foo-7b}
  second: {role: judge, model: openai/gpt-4o}
flow:
  - {ask: [first, second], for: ballot, exclude: family}
  - decide: unique-mode
gives: verdict
"""


async def test_a_judge_is_left_out_by_its_family_though_its_family_is_known_by_no_word_and_another_serves_it() -> None:
    row = {"id": "1", "prompt": "Why?", "a": "x", "b": "y", "model_a": "Other/Foo-7B", "model_b": "llama-3"}

    played = await rehearse(KIN, item=row)

    assert [turn.agent for turn in played.sequence] == ["second"]


SERVED_TWICE = """
scenario: served-twice
takes: instruction
agents:
  writer: {role: generator, model: openai/gpt-4o}
  other: {role: generator, model: anthropic/claude-3-5-sonnet}
  same: {role: reviewer, model: openrouter/openai/gpt-4o}
  apart: {role: reviewer, model: google/gemma-2-9b-it}
flow:
  - {ask: [writer, other], for: draft}
  - each: draft
    of: drafts
    do:
      - {ask: [same, apart], for: feedback, hears: [writer, other], on: $draft, exclude: model}
  - {pick: best}
gives: draft
"""


async def test_who_serves_a_model_does_not_make_it_another_one_for_whoever_is_left_out() -> None:
    played = await rehearse(SERVED_TWICE)

    assert [turn.agent for turn in played.sequence] == ["writer", "other", "apart", "same", "apart"]


SURE = """
scenario: sure
takes: instruction
models: {m: openai/gpt-4o}
agents: {p: {role: generator}, q: {role: generator}, j: {role: judge}}
flow:
  - {ask: [p, q], for: draft}
  - {pick: knock-out, by: j, orders: ab, samples: 2, confidence: true, rule: confidence-weighted}
gives: draft
"""


async def test_one_unread_sample_leaves_a_judge_of_drafts_as_sure_as_the_others_are() -> None:
    read = {"reason": "b", "confidence": 0.8, "score_a": 2, "score_b": 7}

    played = await rehearse(SURE, answers={"j": [Unreadable(), Unreadable(), read]})

    assert (played.status, played.text) == ("done", "draft 1 of q")
