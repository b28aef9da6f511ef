r"""Answers to questions with a known answer: when two are the same, and when one is right.

What an answer is told by is its *key*: two answers are the same where their keys are. A key is a text of its own kind,
so that the key of a key is the key.

- exact: the words, whatever their case, white space, quotation marks around them and full stops at the end.
- numeric: the one number in the text, as an exact fraction: `0.5`, `1/2` and `\frac{1}{2}` are the same. A currency
  sign, a unit and a per cent sign are no part of it: `50%` is 50, and not 0.5. What is an expression, an inequality or
  several numbers is none; nor are numbers in words.
- choice: the letter of one of the question's choices, the first of which is A; or its text, or both.
"""

import re
import string
import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

Answers = Literal["exact", "numeric", "choice"]
"""How answers are compared: by their words, as numbers, or as one of the question's choices."""
LETTERS = string.ascii_uppercase
"""Of choices, in order."""


def key(answer: str, how: Answers, choices: Sequence[str] = ()) -> str | None:
    """Return what tells an answer from others: the same for two that are the same; None where it is none of its kind.

    Args:
        answer: As it was given.
        how: How answers are compared.
        choices: Of the question; the first is A.

    Raises:
        ValueError: there are more choices than letters.
    """
    match how:
        case "exact":
            return _words(answer) or None
        case "numeric":
            value = _number(answer)
            return None if value is None else str(value)
        case "choice":
            return _letter(answer, choices)


def right(answer: str, known: str, how: Answers, choices: Sequence[str] = ()) -> bool:
    """Return whether an answer is the known one; one that is none of its kind is not.

    Raises:
        ValueError: the known answer is none of its kind, or there are more choices than letters.
    """
    wanted = key(known, how, choices)
    if wanted is None:
        raise ValueError(_refusal(known, how, choices))
    return key(answer, how, choices) == wanted


def _refusal(known: str, how: Answers, choices: Sequence[str]) -> str:
    if not known.strip():
        return "the known answer is empty"
    if how == "numeric":
        return f"the known answer {known!r} is not one number"
    if not choices:
        return f"the known answer {known!r} is to be one of the choices, and there are none"
    hint = "; an index may count from 0 or from 1: give the letter, or the text" if known.strip().isdigit() else ""
    last = LETTERS[len(choices) - 1]
    return f"the known answer {known!r} is none of the choices: neither a letter from A to {last} nor one's text{hint}"


# exact

_QUOTED = {'"': '"', "'": "'", "“": "”", "\u2018": "\u2019", "„": "“", "«": "»", "`": "`"}


def _words(text: str) -> str:
    """Return a text without what makes no difference. Nothing is taken away where nothing else is there."""
    while True:
        folded = " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())
        bare = _unquoted(folded).rstrip(".").rstrip() or folded
        if bare == text:
            return bare
        text = bare


def _unquoted(text: str) -> str:
    """Return a text without the quotation marks around all of it."""
    inside = text[1:-1].strip()
    closing = _QUOTED.get(text[:1], "")
    if not inside or text[-1:] != closing or text[0] in inside or closing in inside:
        return text
    return inside


# numeric

_LONGEST = 400
"""Characters of a number."""
_GREATEST = 300
"""Powers of ten: nobody answers with what is beyond."""
_PLAIN = r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]+)?"
_DIGIT = r"(?=[-+]?\.?[0-9])"
_NUMBER = re.compile(
    rf"{_DIGIT}(?P<top>{_PLAIN})"
    r"(?:[eE](?P<exponent>[-+]?[0-9]+)|\s*[\u00d7x*]\s*10\s*\^\s*(?P<power>[-+]?[0-9]+))?"
    rf"(?:\s*/\s*{_DIGIT}(?P<down>{_PLAIN}))?"
)
_UNITS = "mm|cm|dm|m|km|in|inch|inches|ft|foot|feet|yd|yards?|mi|miles?|met(?:er|re)s?|s|units?"
_FRACTION = r"\\[dt]?frac\{([-+]?[0-9.,]+)\}\{([-+]?[0-9.,]+)\}(?![0-9])"
_CLEANED = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"\*\*|__|\\left|\\right|\\!|\\[,;:]|\\?\$|[€£¥₹]", ""),
        (r"\{,\}", ","),
        (r"(?<![\w)])[\u2013\u2212](?=[\d.])", "-"),
        (r"[\u00a0\u2009\u202f]|\\ |°|\^\{?\\circ\}?|\\degree", " "),
        (r"\\(?:text|mathrm|mbox|textbf|mathbf)\{([^{}]*)\}", r" \1 "),
        (r"(\\[dt]?frac)([0-9])([0-9])(?![0-9])", r"\1{\2}{\3}"),
        (rf"([0-9])(?={_FRACTION})", r"\1 "),
        (_FRACTION, r"\1/\2"),
        (r"^\s*([-+])\s+(?=[0-9.])", r"\1"),
        (r"\\times|\\cdot", "\u00d7"),
        (r"\^\{([^{}]*)\}", r"^\1"),
        (r"\b(?:USD|EUR|GBP|US|Rs\.?)\s*(?=[-+]?\.?[0-9])", ""),
        (rf"(?<=[0-9\s/])({_UNITS})(?:\^[23]|[²³])", r"\1"),
        (r"(?<=[0-9])\s*\\?%", ""),
    )
)
_EXPRESSION = re.compile(
    r"[+*^<>≤≥≠√π±∞\u00d7÷\\_{}]"  # what is left of a calculation, or of an inequality
    r"|(?:^|\s)-(?:\s|$)|/\s*\0|\0\s*/\s*(?![A-Za-z]{2})"  # a minus or a division; `5/hour` is none
    r"|\w\0|(?<!\w)[xyzn]\s\0|\0[xyznkabijpqruvw](?!\w)|\0\s[xyzn](?!\w)"  # H2O, x 2; 5x
)


def _number(text: str) -> Fraction | None:
    """Return the one number in a text; None where there is none, or more than that."""
    told = _boxed(text.rpartition("####")[2])
    for pattern, by in _CLEANED:
        told = pattern.sub(by, told)
    found = list(_NUMBER.finditer(told))
    if len(found) != 1 or any(sign.isnumeric() and not sign.isascii() for sign in told):
        return None
    match = found[0]
    around = f"{told[: match.start()]}\0{told[match.end() :]}"
    return None if _EXPRESSION.search(around) else _value(match)


def _boxed(text: str) -> str:
    r"""Return what stands in the last \boxed{…} of a text, or the text."""
    inside = text.rpartition(r"\boxed{")[2] if r"\boxed{" in text else None
    if inside is None:
        return text
    depth = 1
    for place, sign in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if depth == 0:
            return inside[:place]
    return inside


def _value(match: re.Match[str]) -> Fraction | None:
    power = match["exponent"] or match["power"] or "0"
    if len(match[0]) > _LONGEST or abs(int(power)) > _GREATEST:
        return None
    value = Fraction(match["top"].replace(",", "")) * Fraction(10) ** int(power)
    if match["down"] is not None:
        down = Fraction(match["down"].replace(",", ""))
        if not down:
            return None
        value /= down
    return value if max(abs(value.numerator), value.denominator) < 10**_GREATEST else None


# choice

_LABELLED = re.compile(r"[(\[]?([A-Za-z])(?:[)\]][.:]?|[.:])\s*(.*)", re.DOTALL)
"""`B.`, `B)`, `(B)`, `B:`, and what follows."""


def _letter(text: str, choices: Sequence[str]) -> str | None:
    """Return the letter of the one choice that a text is; None where letter and text are of different ones."""
    if len(choices) > len(LETTERS):
        raise ValueError(f"{len(choices)} choices are more than there are letters")
    bare = text.replace("**", "").strip()
    named = _named(choices)
    by_text = named.get(_words(bare))
    match = _LABELLED.fullmatch(bare)
    lettered = bare if len(bare) == 1 else match[1] if match else ""
    letter = _of_letter(lettered, choices)
    rest = match[2] if match else ""
    if by_text is not None and (letter is None or rest):
        return by_text if len(by_text) == 1 else None
    if by_text is not None:
        return letter if letter and letter in by_text else None
    if rest and letter is not None:
        return letter if letter in named.get(_words(rest), "") else None
    return letter


def _of_letter(letter: str, choices: Sequence[str]) -> str | None:
    known = LETTERS[: len(choices)]
    return letter.upper() if letter and letter.upper() in known else None


def _named(choices: Sequence[str]) -> dict[str, str]:
    """Return the letters of choices by their texts; of one that begins with its own letter, by what follows too."""
    named: dict[str, str] = {}
    for letter, choice in zip(LETTERS, choices, strict=False):
        match = _LABELLED.fullmatch(choice.strip())
        texts = {choice, match[2]} if match and match[2] and match[1].upper() == letter else {choice}
        for words in {_words(text) for text in texts}:
            named[words] = named.get(words, "") + letter
    return named
