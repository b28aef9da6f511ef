"""Secrets: what they are, in which forms they turn up, and how they are kept out of all that is written.

A secret is replaced twice: in the words of an endpoint as they become an error, and at the gate in front of everything
that is written or printed. The run's own secrets are known to all that is called within `hiding`.
"""

import json
import re
from base64 import b64encode
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from typing import Any, cast
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

SHORTEST = 8
"""Characters from which on something is a secret: what is shorter stands in innocent words."""
SHOWN = 4
"""Characters of a key that providers show on purpose, its first or last ones; they stay."""
MARK = "[secret]"
PASSES = 8
"""How often a replacement may give rise to another one."""
NAMES = re.compile(r"(?:^|_)(?P<sort>API_?KEY|SECRET|PASSWORD|PASSWD|PASSPHRASE|KEY|TOKEN)$", re.IGNORECASE)
"""Variables that hold a secret."""
ADDRESSES = re.compile(r"_(?:BASE_URL|URL|ENDPOINT|PROXY)$", re.IGNORECASE)
"""Variables whose value may have one in it."""
PARAMETERS = re.compile(r"(?:^|[-_])(?:api-?_?key|key|token|secret|password|sig|signature|code)$", re.IGNORECASE)
"""Parameters of an address that are secret."""
NUMBER = re.compile(r"[\d\s.,:_+/-]{1,15}|0x[\da-f]{1,8}", re.IGNORECASE)
"""A number, a date, a version, an address of a network."""
PATH = re.compile(r"(?:~|\.{1,2})?(?:[/\\][\w. -]{0,24})+|[A-Za-z]:[/\\].*")
WORDS = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+)(?:[ _.-]+(?:[A-Z]?[a-z]+|[A-Z]+))*")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
LONGEST_WORDS, LONGEST_WORD = 24, 10
"""Up to which words are no secret: of a KEY or TOKEN, which may be the name of a column, and of anything else."""
DUMMIES = frozenset(
    {
        "anything",
        "apikey",
        "changeme",
        "default",
        "disabled",
        "dummykey",
        "emptykey",
        "fakekey",
        "localhost",
        "lmstudio",
        "llamacpp",
        "mockkey",
        "nokey",
        "nokeyneeded",
        "nokeyrequired",
        "none",
        "notapplicable",
        "notneeded",
        "notrequired",
        "notused",
        "ollama",
        "openaiapikey",
        "password",
        "placeholder",
        "sknokeyrequired",
        "testkey",
        "undefined",
        "unused",
        "whatever",
        "yourapikey",
        "yourapikeyhere",
        "yourkey",
        "yourkeyhere",
    }
)
"""What stands where a key is wanted and none is needed, without what is neither letter nor digit."""


class Secrets:
    """Some secrets, and what to write in their place."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}
        self._needles: tuple[str, ...] = ()
        """What to look for first: every form has one of them in it."""
        self._pattern: re.Pattern[str] | None = None

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._marks)

    def add(self, value: str, name: str = "") -> None:
        """Take in a secret, unless it is too short or a dummy.

        Args:
            value: The secret.
            name: What it is called; its place says so.
        """
        value = value.strip()
        if len(value) < SHORTEST or MARK[:-1] in value or _dummy(value) or value in self._marks:
            return
        named = f"{MARK[:-1]} {name}]"
        for part in _parts(value):
            mark = named if re.fullmatch(r"\w+", name) and part not in named else MARK
            for form in _forms(part):
                self._marks.setdefault(form, mark)
        needles = {_needle(form) for form in self._marks}
        self._needles = tuple(one for one in needles if not any(other in one for other in needles - {one}))
        self._pattern = None

    def add_address(self, url: str, name: str = "") -> None:
        """Take in what is secret in an address: its password, and parameters that are keys."""
        try:
            address = urlsplit(url)
        except ValueError:
            return
        userinfo, at, _ = address.netloc.rpartition("@")
        if at:
            user, _, password = userinfo.partition(":")
            for secret in (userinfo, password or user):
                self.add(secret, name)
                self.add(unquote(secret), name)
        for parameter, value in parse_qsl(f"{address.query}&{address.fragment}"):
            if PARAMETERS.search(parameter):
                self.add(value, name)

    def hide(self, text: str) -> str:
        """Return a text without secrets."""
        for needle in self._needles:
            if needle in text:
                return self._replaced(text)
        return text

    def hide_cut(self, text: str) -> str:
        """Return a text without secrets, of which a secret may be cut off at either end."""
        text = self.hide(text)
        for form, mark in self._marks.items():
            most = min(len(form) - 1, len(text))
            end = next((size for size in range(most, SHOWN, -1) if text.endswith(form[:size])), 0)
            text = text[:-end] + mark if end else text
            begin = next((size for size in range(most, SHOWN, -1) if text.startswith(form[-size:])), 0)
            text = mark + text[begin:] if begin else text
        return text

    def hide_json(self, text: str) -> str:
        """Return a JSON text, which still is one, whose words have no secrets."""
        for needle in self._needles:
            if needle in text:
                break
        else:
            return text
        try:
            content = json.loads(text)
        except ValueError:
            return self._replaced(text)
        kept = self.hidden(content)
        return text if kept == content else json.dumps(kept, ensure_ascii=False, separators=(",", ":"))

    def hidden(self, value: Any) -> Any:  # noqa: ANN401 - any part of a document
        """Return a document whose words have no secrets: texts in lists and mappings, keys included."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, list | tuple):
            return [self.hidden(part) for part in cast("Iterable[Any]", value)]
        if not isinstance(value, dict):
            return value
        content = cast("dict[str, Any]", value)
        found = {self.hidden(key): self.hidden(part) for key, part in content.items()}
        if isinstance(content.get("logprobs"), list):  # a secret in many tokens stands in none
            said = "".join(str(token.get("token", "")) for token in content["logprobs"])
            found["logprobs"] = found["logprobs"] if self.hide(said) == said else None
        return found

    def _replaced(self, text: str) -> str:
        if self._pattern is None:
            forms = sorted(self._marks, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, forms)))
        for _ in range(PASSES):
            text, count = self._pattern.subn(lambda found: self._marks[found[0]], text)
            if not count:
                return text
        return MARK


def secrets_of(environ: Mapping[str, str], addresses: Iterable[str] = ()) -> Secrets:
    """Return the secrets of an environment and of some addresses."""
    found = Secrets()
    for name, value in environ.items():
        named = NAMES.search(name)
        if "://" in value and (named or ADDRESSES.search(name)):
            found.add_address(value.strip(), name)
        elif named and not _innocent(value.strip(), named["sort"].upper()):
            found.add(value, name)
    for address in addresses:
        found.add_address(address)
    return found


_KNOWN: ContextVar[Secrets | None] = ContextVar("_KNOWN", default=None)


@contextmanager
def hiding(secrets: Secrets) -> Generator[Secrets, None, None]:
    """Have these secrets known to all that is called within."""
    token = _KNOWN.set(secrets)
    try:
        yield secrets
    finally:
        _KNOWN.reset(token)


def known() -> Secrets | None:
    """Return the secrets that are known here."""
    return _KNOWN.get()


def hide(text: str) -> str:
    """Return a text without the secrets that are known here."""
    secrets = _KNOWN.get()
    return secrets.hide(text) if secrets else text


def hide_cut(text: str) -> str:
    """Return a text without the secrets that are known here, of which one may be cut off at either end."""
    secrets = _KNOWN.get()
    return secrets.hide_cut(text) if secrets else text


def hide_json(text: str) -> str:
    """Return a JSON text without the secrets that are known here."""
    secrets = _KNOWN.get()
    return secrets.hide_json(text) if secrets else text


def hidden(value: Any) -> Any:  # noqa: ANN401 - any part of a document
    """Return a document without the secrets that are known here."""
    secrets = _KNOWN.get()
    return secrets.hidden(value) if secrets else value


def learn(value: str) -> None:
    """Have one more secret known here: a key that only now turns up."""
    secrets = _KNOWN.get()
    if secrets is not None:
        secrets.add(value)


def _innocent(value: str, sort: str) -> bool:
    """Return whether a value is none that is secret, whatever the variable is called."""
    if NUMBER.fullmatch(value) or PATH.fullmatch(value):
        return True
    if sort in ("KEY", "TOKEN"):
        return len(value) <= LONGEST_WORDS and WORDS.fullmatch(value) is not None
    return len(value) <= LONGEST_WORD and WORD.fullmatch(value) is not None


def _dummy(value: str) -> bool:
    letters = re.sub(r"[\W_]", "", value).lower()
    return letters in DUMMIES or len(set(value)) == 1 or (not letters and len(set(value)) <= 2)


def _parts(value: str) -> Iterator[str]:
    """Return a secret, and its lines where it has several, as a private key has."""
    yield value
    yield " ".join(value.split())
    lines = value.split("\n")
    if len(lines) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= 2 * SHORTEST and not line.startswith("--"))


def _forms(value: str) -> set[str]:
    """Return a secret as it may be met: plain, in base64, and in JSON, quoted for a URL or a page, in JSON again."""
    found = {value, *_in_base64(value)}
    found |= {escaped for form in found for escaped in _escaped(form)}
    found |= {quoted for form in found for quoted in _quoted(form)}
    for _ in range(2):
        found |= {escaped for form in found for escaped in _escaped(form)}
    return found


def _needle(form: str) -> str:
    """Return the longest part of a form that most others of the same secret have, too: letters are nowhere quoted."""
    longest = max(re.findall(r"[A-Za-z0-9]+", form), key=len, default="")
    return longest if len(longest) >= SHORTEST - 2 else form


def _in_base64(value: str) -> Iterator[str]:
    """Return the letters that stand for a secret wherever it begins, as behind the name of a user."""
    raw = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        letters = b64encode(bytes(before) + raw).decode()
        first, last = -(-8 * before // 6), 8 * (before + len(raw)) // 6
        core = letters[first:last]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def _quoted(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "surrogatepass")
    for text in (quote(raw), quote(raw, safe=""), quote_plus(raw), quote(raw, safe="!$&'()*+,;=:@/?")):
        yield text
        yield re.sub(r"%[\dA-F]{2}", lambda found: found[0].lower(), text)
    yield escape(value)
    yield escape(value, quote=False)
    yield repr(value)[1:-1]
    yield repr(raw)[2:-1]


def _escaped(value: str) -> Iterator[str]:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield text
        yield text.replace("/", "\\/")
