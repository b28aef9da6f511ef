"""What a review of the language found: strange but legal scenarios, played in memory."""

from pathlib import Path

import pytest

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.lifecycle import BranchTaken
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


APART = """
scenario: apart-and-blind
takes: instruction
models: {m: openai/gpt-4o}
agents: {p: {role: generator}, q: {role: generator}, w: {role: reviewer}}
flow:
  - {ask: [p, q], for: draft}
  - {ask: w, for: feedback, hears: [p, q]}
  - {ask: [p, q], for: draft, hears: everyone, apart: true}
  - {pick: last}
gives: draft
"""


async def test_writers_who_revise_apart_together_do_not_hear_one_another_within_the_step() -> None:
    played = await rehearse(APART)

    assert played.sequence[-2:] == [("p", "draft", ("q", "w")), ("q", "draft", ("p", "w"))]


IN_TURNS = """
scenario: in-turns
takes: comparison
agents:
  p: {role: judge, model: openai/gpt-4o}
  q: {role: judge, model: anthropic/claude-3-5-sonnet}
  r: {role: judge, model: google/gemma-2-9b-it}
flow:
  - {ask: [p, q, r], for: ballot, assign: round-robin, exclude: family}
  - decide: unique-mode
gives: verdict
"""


async def test_a_turn_is_taken_among_those_who_are_not_left_out() -> None:
    row = {"id": "1", "prompt": "Why?", "a": "x", "b": "y", "model_a": "gpt-4o", "model_b": "llama-3"}

    asked = [(await rehearse(IN_TURNS, item=row, number=number)).sequence[0].agent for number in range(4)]

    assert asked == ["q", "r", "q", "r"]


NESTED = """
scenario: nested
takes: comparison
models: {m: openai/gpt-4o}
agents: {j: {role: judge}, k: {role: judge}}
flow:
  - each: c
    of: [one, two]
    order: together
    do:
      - each: d
        of: [uno, due]
        order: together
        do:
          - {ask: j, for: ballot}
          - when: disagreement
            do: [{ask: k, for: ballot}]
            else: [{ask: k, for: ballot}]
  - decide: unique-mode
gives: verdict
"""


def _for(slot: str) -> dict[str, object]:
    return {"reason": "r", "score_a": 9 if slot == "a" else 1, "score_b": 5}


async def test_what_is_said_in_a_branch_of_another_branch_does_not_count_in_this_one() -> None:
    played = await rehearse(NESTED, answers=lambda asked: _for("a" if asked.agent == "j-1-1" else "b"))

    assert [taken.holds for taken in played.facts(BranchTaken)] == [False] * 4


async def test_a_vote_is_not_spared_for_what_one_branch_alone_comes_to() -> None:
    text = """
scenario: spared
takes: comparison
models: {m: openai/gpt-4o}
agents: {j: {role: judge, count: 3}}
flow:
  - each: c
    of: [one, two]
    order: together
    do: [{ask: j, for: ballot, order: in-turn, until: decided}]
  - decide: unique-mode
gives: verdict
"""
    with pytest.raises(DeclarationError, match="until: decided: branches that are played together"):
        await rehearse(text)


def _files(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(
            f"scenario: {name}\nmodels: {{m: openai/gpt-4o}}\n{text}", encoding="utf-8"
        )
    return folder / "main.yaml"


STAR = """
takes: comparison
agents: {x: {role: debater}, y: {role: debater}, z: {role: debater}}
flow:
  - {ask: [x, y, z], for: argument, hears: {graph: star, centre: y}}
  - {ask: [x, y, z], for: ballot}
  - decide: unique-mode
gives: verdict
"""


async def test_the_centre_of_a_star_is_found_where_its_scenario_is_used(tmp_path: Path) -> None:
    main = _files(tmp_path, star=STAR, main="takes: comparison\nflow: [{use: star.yaml}]\ngives: verdict\n")

    played = await rehearse(main)

    assert [turn for turn in played.sequence if turn.word == "ballot"] == [
        ("star-x", "ballot", ("star-y",)),
        ("star-y", "ballot", ("star-x", "star-z")),
        ("star-z", "ballot", ("star-y",)),
    ]


async def test_a_used_scenario_may_have_a_name_for_each_that_an_each_around_it_has(tmp_path: Path) -> None:
    inner = """
takes: comparison
agents: {x: {role: judge}}
flow:
  - each: c
    of: [p, q]
    do: [{ask: x, for: ballot, instructions: by $c}]
  - decide: unique-mode
gives: verdict
"""
    outer = """
takes: comparison
flow:
  - each: c
    of: [a, b]
    do: [{use: inner.yaml}]
gives: verdict
"""
    played = await rehearse(_files(tmp_path, inner=inner, main=outer))

    assert [prompt[-1].content.rsplit(maxsplit=1)[-1] for prompt in played.prompts("inner-x")] == ["p", "q", "p", "q"]


SEQUENTIAL = """
takes: comparison
agents: {x: {role: judge}, y: {role: judge}, z: {role: judge}}
flow:
  - {ask: [x, y, z], for: ballot, order: in-turn, until: decided}
  - decide: majority
gives: verdict
"""


async def test_votes_cast_before_a_used_scenario_spare_none_of_its_own(tmp_path: Path) -> None:
    outer = """
takes: comparison
agents: {j: {role: judge, count: 3}}
flow:
  - {ask: j, for: ballot}
  - use: sequential.yaml
gives: verdict
"""
    answers = {"j": _for("a"), "sequential-x": _for("a"), "sequential-y": _for("b"), "sequential-z": _for("b")}

    played = await rehearse(_files(tmp_path, sequential=SEQUENTIAL, main=outer), answers=answers)

    assert [turn.agent for turn in played.sequence][3:] == ["sequential-x", "sequential-y", "sequential-z"]
    assert played.verdict == "b"


AGREED = """
takes: comparison
agents: {x: {role: judge}, y: {role: judge}}
flow:
  - repeat: 3
    until: consensus
    do: [{ask: [x, y], for: ballot}]
  - decide: unique-mode
gives: verdict
"""


async def test_a_used_scenario_goes_on_or_not_by_its_own_votes_alone(tmp_path: Path) -> None:
    outer = """
takes: comparison
agents: {j: {role: judge}}
flow:
  - {ask: j, for: ballot}
  - use: agreed.yaml
gives: verdict
"""
    answers = {"j": _for("a"), "agreed-x": _for("b"), "agreed-y": _for("b")}

    played = await rehearse(_files(tmp_path, agreed=AGREED, main=outer), answers=answers)

    assert (played.rounds, played.verdict) == (1, "b")


async def test_a_used_scenario_goes_through_its_own_drafts_alone(tmp_path: Path) -> None:
    inner = """
takes: instruction
agents: {writer: {role: generator}, reviewer: {role: reviewer}}
flow:
  - {ask: writer, for: draft}
  - each: draft
    of: drafts
    do: [{ask: reviewer, for: feedback, hears: writer, on: $draft}]
  - pick: best
gives: draft
"""
    outer = """
takes: instruction
agents: {author: {role: generator}}
flow:
  - {ask: author, for: draft}
  - use: inner.yaml
gives: draft
"""
    played = await rehearse(_files(tmp_path, inner=inner, main=outer))

    assert played.sequence == [
        ("author", "draft", ()),
        ("inner-writer", "draft", ()),
        ("inner-reviewer", "feedback", ("inner-writer",)),
    ]


async def test_agents_that_branches_have_stand_for_those_of_a_scenario_used_afterwards(tmp_path: Path) -> None:
    outer = """
takes: comparison
agents: {j: {role: debater}}
flow:
  - each: c
    of: [p, q]
    order: together
    do: [{ask: j, for: argument}]
  - use: star.yaml
    as: {x: j}
gives: verdict
"""
    played = await rehearse(_files(tmp_path, star=STAR, main=outer))

    assert played.said("star-y")[0] == ("star-y", "argument", ("j-1", "j-2"))


async def test_a_scenario_used_in_branches_that_decides_is_refused_in_words(tmp_path: Path) -> None:
    outer = """
takes: comparison
agents: {j: {role: debater}}
flow:
  - each: c
    of: [p, q]
    order: together
    do: [{use: star.yaml, as: {x: j}}]
  - decide: unique-mode
gives: verdict
"""
    with pytest.raises(DeclarationError, match="star: decide is not for branches that are played together"):
        await rehearse(_files(tmp_path, star=STAR, main=outer))


async def test_after_inner_branches_the_outer_one_asks_the_agents_of_its_own_inner_branches() -> None:
    played = await rehearse("""
scenario: after-inner-branches
takes: comparison
models: {m: openai/gpt-4o}
agents: {j: {role: debater}, k: {role: judge}}
flow:
  - each: c
    of: [one, two]
    order: together
    do:
      - each: d
        of: [uno, due]
        order: together
        do: [{ask: j, for: argument}]
      - {ask: j, for: argument, hears: everyone}
      - {ask: k, for: ballot, hears: j}
  - decide: unique-mode
gives: verdict
""")

    assert played.sequence[4:] == [
        ("j-1-1", "argument", ("j-1-2",)),
        ("j-1-2", "argument", ("j-1-1",)),
        ("j-2-1", "argument", ("j-2-2",)),
        ("j-2-2", "argument", ("j-2-1",)),
        ("k-1", "ballot", ("j-1-1", "j-1-2", "j-1-1", "j-1-2")),
        ("k-2", "ballot", ("j-2-1", "j-2-2", "j-2-1", "j-2-2")),
    ]


async def test_an_agent_that_branches_have_had_is_not_branched_once_more() -> None:
    with pytest.raises(DeclarationError, match="'j' has been asked before: branches that are played together"):
        await rehearse("""
scenario: twice
takes: comparison
models: {m: openai/gpt-4o}
agents: {j: {role: judge}}
flow:
  - {each: c, of: [p, q], order: together, do: [{ask: j, for: ballot}]}
  - {each: d, of: [p, q], order: together, do: [{ask: j, for: ballot}]}
  - decide: unique-mode
gives: verdict
""")


EXCHANGED = "A and B are exchanged in this"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("argument", "A is better than B."),
        ("question", "Why is A better than B?"),
        ("summary", "A leads."),
        ("criteria", {"criteria": ["as clear as A"]}),
        ("approval", {"reason": "A is done.", "approved": True}),
        ("feedback", {"evaluation": "A is good.", "feedback": "Look at B.", "score": 5}),
    ],
)
async def test_whoever_is_shown_the_answers_the_other_way_round_is_told_that_speakers_were_not(
    wanted: str, said: str | dict[str, object]
) -> None:
    played = await rehearse(
        f"""
scenario: both-ways
takes: comparison
models: {{m: openai/gpt-4o}}
agents: {{first: {{role: debater}}, speaker: {{role: peer}}, judge: {{role: judge}}}}
flow:
  - {{ask: first, for: argument}}
  - {{ask: speaker, for: {wanted}, hears: first}}
  - {{ask: judge, for: ballot, hears: speaker, orders: both}}
  - decide: unique-mode
gives: verdict
""",
        answers={"speaker": said},
    )

    assert [EXCHANGED in prompt[-1].content for prompt in played.prompts("judge")] == [False, True]


async def test_where_there_are_no_two_answers_nothing_is_exchanged_whatever_the_order() -> None:
    played = await rehearse("""
scenario: no-candidates
takes: instruction
judging: {orders: ba}
models: {m: openai/gpt-4o}
agents: {first: {role: debater}, second: {role: debater}, writer: {role: generator}}
flow:
  - {ask: [first, second], for: argument, order: in-turn, hears: everyone}
  - {ask: writer, for: draft, hears: everyone}
  - pick: last
gives: draft
""")

    said = [message.content for name in played.agents for prompt in played.prompts(name) for message in prompt]
    assert played.status == "done"
    assert not any(EXCHANGED in text for text in said)


async def test_a_step_s_words_do_not_tell_who_wrote_a_draft_that_is_anonymous() -> None:
    played = await rehearse(
        """
scenario: unsigned
takes: instruction
models: {m: openai/gpt-4o}
agents: {ada: {role: generator}, bob: {role: generator}, reviewer: {role: reviewer}}
flow:
  - {ask: [ada, bob], for: draft, anonymous: true, instructions: Be brief.}
  - each: draft
    of: drafts
    do: [{ask: reviewer, for: feedback, hears: [ada, bob], on: $draft, instructions: Review $draft.}]
  - {pick: best}
gives: draft
""",
        answers={"ada": "Boil it.", "bob": "Cool it."},
    )

    told = [prompt[-1].content for prompt in played.prompts("reviewer")]
    wishes = [text.rsplit("\n", maxsplit=1)[-1] for text in told]
    assert sorted(wishes) == ["Review Speaker 1/1.", "Review Speaker 2/1."]
    assert not any(name in text for text in told for name in ("ada", "bob"))
    assert all(f'by="{wish[7:16]}"' in text for wish, text in zip(wishes, told, strict=True))
