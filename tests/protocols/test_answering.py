# ruff: noqa: RUF001 - signs that look like others are what is tested
"""When two answers are the same, and when one is right."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fellowship.protocols.answering import LETTERS, Answers, key, right

CITIES = ("Paris", "Rome", "New York", "None of these")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "  paris. "),
        ('"Paris."', "PARIS"),
        ("“Paris”", "‘paris’"),
        ("New\n York", "new york"),
        ("ﬁne", "FINE"),
        ("Straße", "STRASSE"),
        ("U.S.A.", "u.s.a"),
        ("１２", "12"),
    ],
)
def test_words_are_the_same_whatever_their_case_space_quotes_and_stop(one: str, other: str) -> None:
    assert key(one, "exact") == key(other, "exact") is not None


@pytest.mark.parametrize(
    ("one", "other"), [("Paris", "Pari"), ("a b", "ab"), ('"a" or "b"', 'a" or "b'), (".", '"'), ("3.0", "3")]
)
def test_other_words_are_another_answer(one: str, other: str) -> None:
    assert key(one, "exact") != key(other, "exact")


def test_an_answer_of_nothing_is_none_and_one_of_a_stop_alone_is_a_stop() -> None:
    assert key(" \n", "exact") is None
    assert key(".", "exact") == "."
    assert key('""', "exact") == '""'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", "42"),
        ("42.", "42"),
        ("-3", "-3"),
        ("−3", "-3"),
        ("- 3", "-3"),
        ("+3", "3"),
        ("1,234,567.50", "2469135/2"),
        ("0.5", "1/2"),
        (".5", "1/2"),
        ("007", "7"),
        ("-0", "0"),
        ("$5.00", "5"),
        ("-$5", "-5"),
        ("US$ 1,000", "1000"),
        ("€3", "3"),
        ("EUR 3", "3"),
        (r"\$18", "18"),
        ("$18$", "18"),
        ("50%", "50"),
        (r"50\%", "50"),
        ("50 %", "50"),
        ("3/4", "3/4"),
        ("-6 / 8", "-3/4"),
        ("3/-4", "-3/4"),
        ("1.5/3", "1/2"),
        ("1e3", "1000"),
        ("2.5E-1", "1/4"),
        ("1.5 × 10^3", "1500"),
        (r"1.5 \times 10^{-3}", "3/2000"),
        (r"\frac{1}{2}", "1/2"),
        (r"-\dfrac{3}{4}", "-3/4"),
        (r"- \frac34", "-3/4"),
        (r"$\frac{10}{5}$", "2"),
        (r"\boxed{42}", "42"),
        (r"So 2 + 3 = 5, that is \boxed{\frac{10}{2}}.", "5"),
        (r"\boxed{3} is wrong: \boxed{4}", "4"),
        (r"\boxed{12\text{ cm}}", "12"),
        (r"1{,}000", "1000"),
        (r"1\,000", "1000"),
        ("She pays 3 * 6 = 18.\n#### 18", "18"),
        ("#### 3\n#### 1,200", "1200"),
        ("**72**", "72"),
        ("The answer is 72 apples.", "72"),
        ("x = 5", "5"),
        ("5kg", "5"),
        ("5 km/h", "5"),
        ("$5/hour", "5"),
        ("25 cm^2", "25"),
        ("25 m²", "25"),
        ("90°", "90"),
        (r"90^\circ", "90"),
        ("(3)", "3"),
    ],
)
def test_the_one_number_in_a_text_is_read(text: str, value: str) -> None:
    assert key(text, "numeric") == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "forty-two",
        "3 or 4",
        "3-4",
        "1,23",
        "1,2345",
        "1234,567",
        "1.234,56",
        "1 1/2",
        r"1\frac{1}{2}",
        "3:4",
        "12:30",
        "1/0",
        "5x",
        "5 x",
        "x/5",
        "5/x",
        "2 + 3",
        "x - 5",
        "x-5",
        "H2O",
        "> 5",
        "x - 1/2",
        "x -1/2",
        r"x - \frac{1}{2}",
        r"\frac{1}{2}x",
        r"\frac{1}{2}3",
        r"1\frac12",
        "2^10",
        "10²",
        "½",
        "√2",
        r"2\sqrt{3}",
        r"2\pi",
        r"\frac{x}{2}",
        "####",
        "#### 3 4",
        "1e99999999999",
        "9" * 500,
        "２",
    ],
)
def test_what_is_not_one_number_is_none(text: str) -> None:
    assert key(text, "numeric") is None


def test_a_per_cent_sign_is_a_unit() -> None:
    assert right("50%", "50", "numeric")
    assert not right("50%", "0.5", "numeric")


@given(st.fractions(max_denominator=10**6))
def test_a_fraction_has_one_key_however_it_is_written(value: Fraction) -> None:
    top, bottom = value.numerator, value.denominator
    written = (f"{top}/{bottom}", f"{3 * top}/{3 * bottom}", rf"\boxed{{\frac{{{top}}}{{{bottom}}}}}", f"#### {value}")
    assert {key(text, "numeric") for text in written} == {str(value)}


@given(st.integers(-(10**12), 10**12))
def test_commas_between_thousands_make_no_difference(number: int) -> None:
    assert key(f"{number:,}", "numeric") == key(f"${number:,}.00", "numeric") == str(number)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e200, max_value=1e200))
def test_a_decimal_number_is_what_its_digits_say(number: float) -> None:
    assert key(repr(number), "numeric") in (str(Fraction(repr(number))), None)
    if abs(number) < 1e100 and (number == 0 or abs(number) > 1e-100):
        assert key(repr(number), "numeric") == str(Fraction(repr(number)))


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(b)", "B"),
        ("B.", "B"),
        ("B)", "B"),
        ("[B]", "B"),
        ("**B**", "B"),
        ("B) Rome", "B"),
        ("b. rome.", "B"),
        ("(B) 'Rome'", "B"),
        ("B: Rome", "B"),
        ("Rome", "B"),
        ("new  york", "C"),
        ("B) Paris", None),
        ("B) Rome, of course", None),
        ("E", None),
        ("Paris or Rome", None),
        ("1", None),
        ("", None),
        ("AB", None),
    ],
)
def test_a_choice_is_its_letter_or_its_text_and_both_must_agree(text: str, letter: str | None) -> None:
    assert key(text, "choice", CITIES) == letter


def test_choices_that_are_numbers_or_letters_are_meant_by_their_text() -> None:
    assert key("4", "choice", ("2", "4")) == "B"
    assert key("A", "choice", ("a", "b")) == "A"
    assert key("A", "choice", ("B", "A")) is None  # the letter is of one, and the text of another
    assert key("(A) B", "choice", ("B", "A")) == "A"


def test_choices_that_begin_with_their_letters_are_known_without_them() -> None:
    choices = ("A. Paris", "B. Rome")
    assert {key(text, "choice", choices) for text in ("B", "Rome", "B. Rome", "B) rome")} == {"B"}
    assert key("A. Rome", "choice", choices) is None


def test_two_choices_of_the_same_words_are_told_apart_by_letters_alone() -> None:
    assert key("same", "choice", ("same", "same", "other")) is None
    assert key("B", "choice", ("same", "same", "other")) == "B"
    assert key("B. same", "choice", ("same", "same", "other")) == "B"


def test_more_choices_than_letters_are_refused() -> None:
    assert key("z", "choice", [str(number) for number in range(26)]) == "Z"
    with pytest.raises(ValueError, match="27 choices"):
        key("z", "choice", [str(number) for number in range(27)])


@pytest.mark.parametrize(
    ("answer", "known", "how", "is_right"),
    [
        ("paris", "Paris.", "exact", True),
        ("Rome", "Paris", "exact", False),
        ("", "Paris", "exact", False),
        ("18.00", "… so she makes $18.\n#### 18", "numeric", True),
        ("many", "18", "numeric", False),
        ("(b)", "Rome", "choice", True),
        ("Rome", "b", "choice", True),
        ("Milan", "b", "choice", False),
    ],
)
def test_an_answer_is_right_where_it_is_the_known_one(answer: str, known: str, how: Answers, is_right: bool) -> None:
    assert right(answer, known, how, CITIES) is is_right


@pytest.mark.parametrize(
    ("known", "how", "choices", "message"),
    [
        (" ", "exact", (), "the known answer is empty"),
        ("3 or 4", "numeric", (), "'3 or 4' is not one number"),
        ("Milan", "choice", CITIES, "neither a letter from A to D nor one's text$"),
        ("1", "choice", CITIES, "an index may count from 0 or from 1: give the letter, or the text"),
        ("A", "choice", (), "is to be one of the choices, and there are none"),
    ],
)
def test_a_known_answer_that_is_none_of_its_kind_is_refused_in_a_sentence(
    known: str, how: Answers, choices: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        right("A", known, how, choices)


@given(st.text(max_size=30), st.sampled_from(["exact", "numeric", "choice"]))
@example('"".', "exact")
@example("..'a.'.", "exact")
@example("1e299", "numeric")
def test_the_key_of_a_key_is_the_key(text: str, how: Answers) -> None:
    found = key(text, how, CITIES)
    assert found is None or key(found, how, CITIES) == found


@given(st.lists(st.sampled_from(["a", "B", "c.", "(d) e", "1", "x y"]), min_size=1, max_size=8), st.data())
def test_a_letter_with_its_own_text_is_always_that_choice(choices: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(choices) - 1))
    letter = LETTERS[place]
    assert key(f"({letter}) {choices[place]}", "choice", choices) == letter
