"""Sending by OTLP over HTTP, as OTEL_EXPORTER_OTLP_… says; what is not taken is counted, with the reason.

The environment is that of https://opentelemetry.io/docs/specs/otel/protocol/exporter/. What may be tried again, and how
long that is put off, is as https://opentelemetry.io/docs/specs/otlp/ says.
"""

import gzip
import re
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import IO, Literal, Protocol, cast
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from ...protocols.errors import DeclarationError
from ..printable import plain
from ..secrecy import learn
from .records import Attributes, Place
from .wire import refused, request, status_words

Signal = Literal["traces", "logs"]
SIGNALS: tuple[Signal, Signal] = ("traces", "logs")
WHAT: Mapping[Signal, str] = {"traces": "spans", "logs": "events"}
DEFAULT = "http://localhost:4318"
TIMEOUT_S = 10.0
AGAIN = frozenset({429, 502, 503, 504})
"""Answers after which the same may be sent again."""
TOO_LARGE = 413
NO_SUCH = frozenset({404, 405, 501})
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
LONGEST_IN_VAIN_S = 30.0
"""How long in all requests are tried once each, after one was given up."""
TRACEPARENT = re.compile(r"(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-[\da-f]{2}(?:-.*)?")
"""https://www.w3.org/TR/trace-context/#traceparent-header"""


@dataclass(frozen=True, slots=True)
class Address:
    """Where one signal goes, and how."""

    url: str
    headers: Mapping[str, str]
    zipped: bool
    timeout_s: float
    """The longest that an attempt may take."""
    trust: ssl.SSLContext | None
    """None for the system's own."""

    @property
    def shown(self) -> str:
        """Return the address without what may be secret in it."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Patience(Protocol):
    """How long sending is tried again."""

    def wait(self, seconds: float, since_s: float) -> bool:
        """Wait so long at the most; returns False, at once, where what fails since then has failed for too long."""
        ...


def address(signal: Signal, environ: Mapping[str, str], url: str | None = None) -> Address | None:
    """Return where a signal goes; none where OTEL_LOGS_EXPORTER, or OTEL_TRACES_EXPORTER, is `none`.

    Args:
        signal: What is sent.
        environ: The environment.
        url: The base of a receiver's addresses, in place of those of the environment.

    Raises:
        DeclarationError: an address, header, time, compression, protocol or certificate is wrong.
    """

    def said(name: str) -> tuple[str, str]:
        for variable in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", f"OTEL_EXPORTER_OTLP_{name}"):
            if environ.get(variable, "").strip():
                return variable, environ[variable].strip()
        return f"OTEL_EXPORTER_OTLP_{name}", ""

    if environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip().lower() == "none":
        return None
    variable, protocol = said("PROTOCOL")
    if url is None and protocol == "grpc":
        raise DeclarationError(f"{variable}=grpc is not spoken here: http/protobuf is, usually at port 4318")
    variable, compression = said("COMPRESSION")
    if compression not in ("", "none", "gzip"):
        raise DeclarationError(f"{variable}={compression}: there is gzip, and none")
    return Address(
        url=_url(signal, environ, url),
        headers=_headers(*said("HEADERS")),
        zipped=compression == "gzip",
        timeout_s=_timeout_s(*said("TIMEOUT")),
        trust=_trust(said("CERTIFICATE"), said("CLIENT_CERTIFICATE"), said("CLIENT_KEY")),
    )


def _url(signal: Signal, environ: Mapping[str, str], url: str | None) -> str:
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    whole = environ.get(own, "").strip()
    if url is None and whole:
        return _checked(own, whole)
    variable, base = ("--endpoint", url) if url else ("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    base = base or environ.get(variable, "").strip() or DEFAULT
    parts = urlsplit(_checked(variable, base))
    path = re.sub(r"/v1/(?:traces|logs)$", "", parts.path.rstrip("/"))
    return urlunsplit((parts.scheme, parts.netloc, f"{path}/v1/{signal}", parts.query, ""))


def _checked(variable: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        right = False
    if not right or not url.isprintable() or " " in url:
        raise DeclarationError(f"{variable} is no address of an OTLP receiver: write it as in {DEFAULT}")
    return url


def _headers(variable: str, text: str) -> dict[str, str]:
    """Read `name=value,…`, values quoted as in addresses; they are keys, so that none is ever shown."""
    found: dict[str, str] = {}
    for number, part in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        name, equals, value = (each.strip() for each in part.partition("="))
        value = unquote(value)
        if not equals or not re.fullmatch(r"[!#$%&'*+.^_`|~\w-]+", name, re.ASCII) or not value.isprintable():
            raise DeclarationError(f"{variable}: the {number}. of its headers is none: write name=value,name=value")
        found[name] = value
        learn(value)
        learn(value.rpartition(" ")[2])
    return found


def _timeout_s(variable: str, text: str) -> float:
    try:
        seconds = float(text) / 1000 if text else TIMEOUT_S
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise DeclarationError(f"{variable}={text}: write milliseconds, as in 10000")
    return seconds


def _trust(authority: tuple[str, str], own: tuple[str, str], key: tuple[str, str]) -> ssl.SSLContext | None:
    if not authority[1] and not own[1]:
        return None
    variable = authority[0]
    try:
        context = ssl.create_default_context(cafile=authority[1] or None)
        if own[1]:
            variable = own[0]
            context.load_cert_chain(own[1], key[1] or None)
    except (OSError, ssl.SSLError) as error:
        raise DeclarationError(f"{variable} cannot be used: {error}") from error
    return context


def above(environ: Mapping[str, str]) -> tuple[Place | None, str]:
    """Return the span that TRACEPARENT names, and TRACESTATE; raises DeclarationError where it is none."""
    text = environ.get("TRACEPARENT", "").strip().lower()
    if not text:
        return None, ""
    found = TRACEPARENT.fullmatch(text)
    if found is None:
        raise DeclarationError("TRACEPARENT names no span: 00-, 32 and 16 hexadecimal digits with - between, and -01")
    return Place(bytes.fromhex(found[1]), bytes.fromhex(found[2])), environ.get("TRACESTATE", "").strip()


def resource_of(environ: Mapping[str, str], own: Attributes) -> Attributes:
    """Return what a sender says of itself, with OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME in place of its own."""
    found = dict(own)
    for part in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        name, equals, value = part.partition("=")
        if equals and name.strip():
            found[unquote(name.strip())] = unquote(value.strip())
    service = environ.get("OTEL_SERVICE_NAME", "").strip()
    return {**found, "service.name": service} if service else found


class _Staying(HTTPRedirectHandler):
    """A redirected POST would become a GET, which takes nothing and answers well."""

    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str) -> None:
        """Go nowhere else."""
        del req, fp, code, msg, headers, newurl


class Collector:
    """A receiver of one signal."""

    def __init__(self, signal: Signal, to: Address, resource: Attributes, scope: tuple[str, str], schema: str) -> None:
        self.signal: Signal = signal
        self.to = to
        self.taken = 0
        self.lost: Counter[str] = Counter()
        """What was not taken, by reason."""
        self._form: Callable[[list[bytes]], bytes] = lambda records: request(
            records, resource=resource, scope=scope, schema_url=schema
        )
        handlers = [_Staying(), *([HTTPSHandler(context=to.trust)] if to.trust is not None else [])]
        self._opener: OpenerDirector = build_opener(*handlers)
        self._given_up = False
        self._in_vain_s = 0.0
        """How long was tried what follows, with nothing taken."""

    def send(self, records: list[bytes], patience: Patience) -> None:
        """Send records, and try again what may be; once that was in vain, what follows is tried once, and not for ever.

        A receiver that takes connections and does not answer would otherwise hold whoever sends for every request.
        """
        if self._in_vain_s > LONGEST_IN_VAIN_S:
            self.lost[f"{self.to.shown} was not tried any more"] += len(records)
            return
        body = self._form(records)
        begun_s, wait_s = time.monotonic(), FIRST_WAIT_S
        while True:
            reason, asked_s = self._post(body, len(records))
            if reason is None:
                self._given_up, self._in_vain_s = False, 0.0
                return
            if reason == "" and len(records) > 1:  # too large
                middle = len(records) // 2
                self.send(records[:middle], patience)
                self.send(records[middle:], patience)
                return
            if self._given_up:
                self._in_vain_s += time.monotonic() - begun_s
            final = asked_s is None or self._given_up
            if final or not patience.wait(max(wait_s, asked_s or 0.0), begun_s):
                self._given_up = asked_s is not None
                self.lost[reason or f"{self.to.shown} says that one is too large"] += len(records)
                return
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _post(self, body: bytes, count: int) -> tuple[str | None, float | None]:
        """Send once; returns why it was not taken, if so, and how long to wait where it may be tried again."""
        headers = {"Content-Type": "application/x-protobuf", "User-Agent": "llm-fellowship", **self.to.headers}
        if self.to.zipped:
            body, headers["Content-Encoding"] = gzip.compress(body, 6), "gzip"
        asking = Request(self.to.url, body, headers, method="POST")  # noqa: S310 - http and https alone, as checked
        try:
            with self._opener.open(asking, timeout=self.to.timeout_s) as response:
                rejected, words = refused(cast("bytes", response.read()))
        except HTTPError as error:
            return self._refused(error)
        except (URLError, HTTPException, OSError) as error:
            cause = error.reason if isinstance(error, URLError) else error
            reason = f"{self.to.shown} cannot be reached: {plain(str(cause) or type(cause).__name__)}"
            return reason, None if isinstance(cause, ssl.SSLCertVerificationError) else 0.0
        rejected = min(max(rejected, 0), count)
        self.taken += count - rejected
        if rejected:
            self.lost[f"{self.to.shown} refuses them: {plain(words) or 'it does not say why'}"] += rejected
        return None, None

    def _refused(self, error: HTTPError) -> tuple[str, float | None]:
        with error:
            words = plain(status_words(error.read(10_000)))
        if error.code == TOO_LARGE:
            return "", None
        said = f"{self.to.shown} answers {error.code} {plain(str(error.reason))}{f': {words}' if words else ''}"
        if error.code in NO_SUCH and self.signal == "logs":
            said += "; OTEL_LOGS_EXPORTER=none sends none to a receiver without logs"
        return said, _retry_after_s(error.headers) if error.code in AGAIN else None


def _retry_after_s(headers: Message) -> float:
    text = headers.get("Retry-After", "")
    return float(text) if re.fullmatch(r"\d{1,6}", text) else 0.0
