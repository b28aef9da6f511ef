"""A scenario that nobody listed, in a file alone: three advocates a side, a cross-examination, a jury that votes blind."""

from pathlib import Path

from fellowship.scenarios import load, plan, rehearse
from fellowship.scenarios.rehearsal import Rehearsal

FILE = Path(__file__).parents[2] / "examples/cross-examination.yaml"
FOR_A, FOR_B = {"score_a": 8, "score_b": 3}, {"score_a": 2, "score_b": 6}
OPENED = ("for-a-1", "for-b-1", "for-a-2", "for-b-2", "for-a-3", "for-b-3")
ANSWERED = ("for-b-1", "for-a-1", "for-b-2", "for-a-2", "for-b-3", "for-a-3")
HEARING = [
    ("for-a-1", "argument", ()),
    ("for-b-1", "argument", ("for-a-1",)),
    ("for-a-2", "argument", ("for-a-1", "for-b-1")),
    ("for-b-2", "argument", ("for-a-1", "for-b-1", "for-a-2")),
    ("for-a-3", "argument", ("for-a-1", "for-b-1", "for-a-2", "for-b-2")),
    ("for-b-3", "argument", ("for-a-1", "for-b-1", "for-a-2", "for-b-2", "for-a-3")),
    ("for-a-1", "question", ("for-b-1", "for-a-2", "for-b-2", "for-a-3", "for-b-3")),
    ("for-b-1", "question", ("for-a-2", "for-b-2", "for-a-3", "for-b-3", "for-a-1")),
    ("for-a-2", "question", ("for-b-2", "for-a-3", "for-b-3", "for-a-1", "for-b-1")),
    ("for-b-2", "question", ("for-a-3", "for-b-3", "for-a-1", "for-b-1", "for-a-2")),
    ("for-a-3", "question", ("for-b-3", "for-a-1", "for-b-1", "for-a-2", "for-b-2")),
    ("for-b-3", "question", ("for-a-1", "for-b-1", "for-a-2", "for-b-2", "for-a-3")),
    ("for-b-1", "argument", ("for-a-2", "for-b-2", "for-a-3", "for-b-3")),
    ("for-a-1", "argument", ("for-b-1", "for-a-2", "for-b-2", "for-a-3", "for-b-3", "for-b-1")),
    ("for-b-2", "argument", ("for-a-3", "for-b-3", "for-b-1", "for-a-1")),
    ("for-a-2", "argument", ("for-b-2", "for-a-3", "for-b-3", "for-b-1", "for-a-1", "for-b-2")),
    ("for-b-3", "argument", ("for-b-1", "for-a-1", "for-b-2", "for-a-2")),
    ("for-a-3", "argument", ("for-b-3", "for-b-1", "for-a-1", "for-b-2", "for-a-2", "for-b-3")),
    *((juror, "ballot", OPENED + OPENED + ANSWERED) for juror in ("juror-scientist", "juror-teacher", "foreman")),
]


async def played(**answers: object) -> Rehearsal:
    return await rehearse(FILE, answers=answers, changes=["judging.orders=ab"])  # pyright: ignore[reportArgumentType]  # as the tests below give them


async def test_a_jury_that_agrees_votes_once_and_its_foreman_writes_the_reasons() -> None:
    agreed = await played(jury=FOR_A, foreman=[FOR_A, "Nobody could answer the third question."])
    assert agreed.sequence == [*HEARING, ("foreman", "summary", ("juror-scientist", "juror-teacher"))]
    assert (agreed.status, agreed.verdict, agreed.scores, agreed.calls) == ("done", "a", (8, 3), 22)
    assert agreed.said("foreman")[-1].text == "Nobody could answer the third question."


async def test_a_split_jury_hears_its_own_votes_and_votes_a_second_time() -> None:
    split = await played(
        **{
            "juror-scientist": [FOR_A, FOR_A],
            "juror-teacher": [FOR_B, FOR_B],
            "foreman": [FOR_B, FOR_A, "Because the foreman came round."],
        }
    )
    assert split.sequence == [
        *HEARING,
        ("juror-scientist", "ballot", ("juror-teacher", "foreman")),
        ("juror-teacher", "ballot", ("juror-scientist", "foreman")),
        ("foreman", "ballot", ("juror-scientist", "juror-teacher")),
        ("foreman", "summary", ("juror-scientist", "juror-teacher")),
    ]
    assert (split.status, split.verdict, split.calls) == ("done", "a", 25)
    assert (split.decisions[0].votes, split.decisions[0].score_a) == (3, 6)


async def test_counsel_speak_for_their_own_side_and_no_juror_has_heard_a_vote_when_it_first_votes() -> None:
    trial = await played()
    for name in OPENED:
        side = "A" if name.startswith("for-a") else "B"
        requests = [prompt.request for prompt in trial.prompts(name)]
        assert [f"You speak for answer {side}" in request for request in requests] == [True, False, True]
        assert "Cross-examine: put one question" in requests[1]
        assert "Answer the questions that were put to your side." in requests[2]
    for name in ("juror-scientist", "juror-teacher", "foreman"):
        first, *_ = trial.prompts(name)
        assert first.text.count("<turn by=") + first.text.count("<remark by=") == 18
        assert "for-a-3" in first.text
        assert "foreman" not in first.text


def test_it_is_a_plain_file_of_words_that_come_along() -> None:
    scenario, source = load(str(FILE))
    made = plan(scenario, source=source)
    assert len(made.profiles) == 9
    assert not made.warnings
    assert {role.__module__.rpartition(".")[0] for role in made.roles.values()} == {"fellowship.agents"}
