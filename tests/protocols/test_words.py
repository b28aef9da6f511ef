"""Small values: addresses, registries, topology, conditions, events, errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fellowship.protocols.errors import DeclarationError, NameTaken, Problem, UnknownName, nearest
from fellowship.protocols.events import Event, UnknownBody, known_kinds
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.identity import Address, ConversationId, ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.judging import Judging, Verdict
from fellowship.protocols.jury import VoteCast
from fellowship.protocols.opinions import Said
from fellowship.protocols.registry import Registry
from fellowship.protocols.review import FeedbackGiven
from fellowship.protocols.stopping import PREDICATES, QUANTITIES, Condition, Standing
from fellowship.protocols.topology import speakers

CAST = ("a", "b", "c")


@given(st.text(min_size=1).filter(lambda text: "@" not in text), st.text(min_size=1))
def test_an_address_reads_as_it_is_written(agent: str, conversation: str) -> None:
    address = Address(agent, ConversationId(conversation))
    assert Address.from_str(str(address)) == address


@pytest.mark.parametrize("text", ["", "a", "@b", "a@"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="name@conversation"):
        Address.from_str(text)


def test_a_registry_is_extended_without_being_changed() -> None:
    words = Registry("word", {"one": 1})
    more = words.extended(two_more=2)
    assert more["two-more"] == 2
    assert list(more) == ["one", "two-more"]
    assert "two-more" not in words
    with pytest.raises(UnknownName, match="unknown word 'onee'; did you mean 'one'"):
        words["onee"]
    with pytest.raises(NameTaken, match="a word named 'one'"):
        words.extended(one=3)


def test_an_unknown_name_far_from_all_lists_them() -> None:
    assert nearest("zzz", ["b", "a"]) == "; there is a, b"
    assert nearest("zzz", []) == "; there is none"


def test_a_problem_says_its_place_as_far_as_it_is_known() -> None:
    assert str(Problem("wrong", "f.yaml", 3, 4)) == "f.yaml:3:4: wrong"
    assert str(Problem("wrong", "f.yaml")) == "f.yaml: wrong"
    assert str(DeclarationError([Problem("one"), Problem("two", "f")])) == "one\nf: two"


@pytest.mark.parametrize(
    ("rule", "heard"),
    [
        ("everyone", ("b", "c")),
        ("nobody", ()),
        ("c", ("c",)),
        (("c", "b"), ("b", "c")),
        ("a", ()),
        (("a", "b"), ("b",)),
    ],
)
def test_whom_an_agent_hears(rule: str | tuple[str, ...], heard: tuple[str, ...]) -> None:
    assert speakers(rule, "a", CAST) == heard


def test_hearing_somebody_unknown_is_an_error() -> None:
    with pytest.raises(UnknownName, match="did you mean 'everyone'"):
        speakers("evryone", "a", CAST)


def voted(*verdicts: str) -> Said:
    names: dict[str, Verdict] = {"a": "a", "b": "b", "t": "tie", "u": "unread"}
    return [
        (voter, VoteCast(round=1, judging=Judging(), ballots=(), verdict=names[each]))
        for votes in verdicts
        for voter, each in zip("xyz", votes, strict=False)
    ]


def drafts(*texts: str) -> Said:
    return [("w", DraftWritten(round=1, text=text, version=n)) for n, text in enumerate(texts, 1)]


def feedback(**scores: float) -> Said:
    return [
        (who, FeedbackGiven(round=1, evaluation="", feedback="", score=score, scale=10, requests=1))
        for who, score in scores.items()
    ]


@pytest.mark.parametrize(
    ("text", "said", "met"),
    [
        ("consensus", voted("aaa"), True),
        ("consensus", voted("aab"), False),
        ("consensus", voted("aab", "aaa"), True),
        ("consensus", [], False),
        ("consensus", voted("auu"), False),
        ("consensus", voted("aaa", "uuu"), False),
        ("disagreement", voted("auu"), False),
        ("agreement >= 0.5", voted("auu"), False),
        ("margin >= 0", voted("aaa"), False),
        ("disagreement", voted("aab"), True),
        ("disagreement", voted("aaa"), False),
        ("settled", voted("aab"), False),
        ("settled", voted("aab", "aab"), True),
        ("settled", voted("aab", "abb"), False),
        ("settled", voted("u", "u"), False),
        ("unchanged", drafts("x"), False),
        ("unchanged", drafts("x", "y", "y"), True),
        ("unchanged", drafts("y", "y", "x"), False),
        ("score >= 9.5", feedback(r=9.5), True),
        ("score >= 9.5", feedback(r=9.5, s=9.0), False),
        ("score>=9.5", [], False),
        ("agreement >= 0.66", voted("aab"), True),
        ("agreement == 1", voted("aab"), False),
        ("margin < 1", voted("aab"), False),
    ],
)
def test_conditions_look_at_what_was_said_last(text: str, said: Said, met: bool) -> None:
    assert Condition.from_str(text).met(said) is met


def test_a_margin_is_the_distance_of_the_mean_scores() -> None:
    def vote(who: str, a: float, b: float) -> tuple[str, VoteCast]:
        return who, VoteCast(round=1, judging=Judging(), ballots=(), verdict="a", score_a=a, score_b=b)

    assert QUANTITIES["margin"].function([vote("x", 8, 5), vote("y", 6, 7)], Standing()) == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("consensu", "did you mean 'consensus'"),
        ("score", "compare it with a number"),
        ("scor > 3", "did you mean 'score'"),
        ("score > x", "unknown condition"),
        ("score > 3 or 1", "unknown condition"),
        ("__import__('os')", "unknown condition"),
    ],
)
def test_a_condition_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        Condition.from_str(text)


@given(st.sampled_from(sorted(PREDICATES)))
def test_no_predicate_holds_before_anything_is_said(name: str) -> None:
    assert not Condition.from_str(name).met([])


def test_messages_are_frozen_and_closed() -> None:
    draft = DraftWritten(round=1, text="x", version=1)
    with pytest.raises(ValidationError):
        draft.text = "y"
    with pytest.raises(ValidationError):
        DraftWritten.model_validate({"round": 1, "text": "x", "version": 1, "more": 1})


def test_an_event_of_an_unknown_kind_keeps_its_body() -> None:
    event = Event(1, ConversationId("x"), None, "a", (), "of_a_plugin", '{"kind":"of_a_plugin","x":1}', 0.0)
    assert event.message() == UnknownBody(kind="of_a_plugin", body={"kind": "of_a_plugin", "x": 1})
    assert "vote_cast" in known_kinds()


def test_an_item_gives_its_candidates_by_slot() -> None:
    item = Item(id=ItemId("1"), prompt="p", candidates=(Candidate(slot="b", text="x"),))
    assert item.candidate("b").text == "x"
    with pytest.raises(KeyError):
        item.candidate("a")
