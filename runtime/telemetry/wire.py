"""OTLP's protobuf encoding of spans and events, by hand.

A judge call is three spans and two events, and may cost a tenth of its 715 us to trace; messages of opentelemetry-proto
take several times what these functions do, and the SDK's spans more (benchmarks/README.md has the figures). The tests
read all of it back by opentelemetry-proto. Numbers of fields are those of opentelemetry-proto 1.x, which are stable.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from .records import Attributes, Common, Happening, Held, Kind, Span, Value

KINDS: dict[Kind, int] = {"internal": 1, "client": 3}
_NOT_GRAVE, _GRAVE = b"\x10\x09\x1a\x04INFO", b"\x10\x0d\x1a\x04WARN"
"""The severities 9, of what nobody need worry about, and 13, of what tells that something could not be read."""
MOST_REMEMBERED = 80
"""Characters of a text that may come again, as names do."""
MOST_COUNTED = 1_000
"""Numbers below may come again, as those of rounds do."""
MOST_KEPT = 16_384
"""Attributes that are remembered at once."""
_span_times = _happening_times = struct.Struct("<BQBQ").pack
_double = struct.Struct("<d").pack


def span(one: Span, state: str = "") -> bytes:
    """Return a span as field `spans` of ScopeSpans."""
    trace, own_id = one.place
    parent = one.parent
    conversation, item = one.held.encoded or _held(one.held)
    content = b"".join(
        (
            b"\x85\x01\x01\x00\x00\x00\x0a\x10",  # flags: sampled
            trace,
            b"\x12\x08",
            own_id,
            b"" if parent is None else b"\x22\x08" + parent,
            _called(one.name, one.kind),
            _span_times(0x39, one.start_ns, 0x41, one.end_ns),
            one.common.encoded.get(b"\x4a") or _common(b"\x4a", one.common),
            b"\x4a",
            conversation,
            *((b"\x4a", item) if one.about_item else ()),
            *_attributes(b"\x4a", one.own),
        )
    )
    if state or one.links or one.error is not None:
        content += _seldom(one, state)
    return b"\x12" + _varint(len(content)) + content


def _seldom(one: Span, state: str) -> bytes:
    """Return the fields that few spans have."""
    parts = [_field(b"\x1a", state.encode("utf-8", "replace"))] if state else []
    parts += [_field(b"\x6a", b"\x0a\x10" + link.trace + b"\x12\x08" + link.span) for link in one.links]
    if one.error is not None:
        words = one.error.encode("utf-8", "replace")
        parts.append(_field(b"\x7a", (_field(b"\x12", words) if words else b"") + b"\x18\x02"))
    return b"".join(parts)


def happening(one: Happening) -> bytes:
    """Return an event as field `log_records` of ScopeLogs."""
    trace, span_id = one.place
    conversation, item = one.held.encoded or _held(one.held)
    content = b"".join(
        (
            b"\x45\x01\x00\x00\x00\x4a\x10",
            trace,
            b"\x52\x08",
            span_id,
            _happening_times(0x09, one.time_ns, 0x59, one.time_ns),
            _GRAVE if one.grave else _NOT_GRAVE,
            _name(b"\x62", one.name),
            one.common.encoded.get(b"\x32") or _common(b"\x32", one.common),
            b"\x32",
            conversation,
            b"\x32",
            item,
            *_attributes(b"\x32", one.own),
        )
    )
    return b"\x12" + _varint(len(content)) + content


def request(records: Sequence[bytes], *, resource: Attributes, scope: tuple[str, str], schema_url: str) -> bytes:
    """Return an ExportTraceServiceRequest, or ExportLogsServiceRequest: both have the same form around their records.

    Args:
        records: What `span` or `happening` made.
        resource: Who sends it.
        scope: Name and version of what made it.
        schema_url: Of the conventions that its names are of; may be empty.
    """
    schema = _field(b"\x1a", schema_url.encode()) if schema_url else b""
    name, version = (part.encode() for part in scope)
    by = _field(b"\x0a", _field(b"\x0a", name) + _field(b"\x12", version))
    who = _field(b"\x0a", b"".join(_attributes(b"\x0a", resource)))
    size = len(by) + sum(map(len, records)) + len(schema)
    within = b"\x12" + _varint(size)
    size += len(who) + len(within) + len(schema)
    return b"".join((b"\x0a", _varint(size), who, within, by, *records, schema, schema))


def refused(answer: bytes) -> tuple[int, str]:
    """Return how many records an Export…ServiceResponse says were not taken, and why; 0 where all were.

    What is no such message counts as one that says nothing: a collector need not answer with a body.
    """
    try:
        partial = dict(_read(answer)).get(1, b"")
        found = dict(_read(partial)) if isinstance(partial, bytes) else {}
    except (IndexError, ValueError):
        return 0, ""
    count, words = found.get(1, 0), found.get(2, b"")
    return (count if isinstance(count, int) else 0), words.decode("utf-8", "replace") if isinstance(
        words, bytes
    ) else ""


def status_words(answer: bytes) -> str:
    """Return the message of a google.rpc.Status, which a failed request is answered with; empty where it is none."""
    try:
        words = dict(_read(answer)).get(2, b"")
    except (IndexError, ValueError):
        return ""
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else ""


def _read(message: bytes) -> Iterable[tuple[int, int | bytes]]:
    """Return the fields of a message that are numbers, texts or messages; raises ValueError where it is none."""
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        if tag & 7 == 0:
            value, at = _number(message, at)
            yield tag >> 3, value
        elif tag & 7 == 2:
            length, at = _number(message, at)
            if at + length > len(message):
                raise ValueError("cut off")
            yield tag >> 3, message[at : at + length]
            at += length
        else:
            raise ValueError("a field of another sort")


def _number(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _common(tag: bytes, common: Common) -> bytes:
    found = common.encoded[tag] = b"".join(_attributes(tag, common.attributes))
    return found


def _held(held: Held) -> tuple[bytes, bytes]:
    found = held.encoded = (_attribute(*held.conversation), _attribute(*held.item))
    return found


def _attributes(tag: bytes, attributes: Mapping[str, Value]) -> list[bytes]:
    """Return attributes as fields, tag and content in turn; what may come again is encoded once."""
    found: list[bytes] = []
    for key, value in attributes.items():
        sort = value.__class__
        if sort is int and value >= MOST_COUNTED:  # type: ignore[operator]  # an int
            found += (tag, _counted(key, value))  # type: ignore[arg-type]  # likewise
            continue
        known = _REMEMBERED.get((key, value, sort))
        if known is None:
            known = _attribute(key, value)
            if sort is not str or len(value) <= MOST_REMEMBERED:  # type: ignore[arg-type]  # a str
                if len(_REMEMBERED) >= MOST_KEPT:
                    _REMEMBERED.clear()
                _REMEMBERED[key, value, sort] = known
        found += (tag, known)
    return found


_REMEMBERED: dict[tuple[str, Value, type[Value]], bytes] = {}
"""By sort, too: 1, 1.0 and true are equal, and not the same; so are 0.0 and -0.0, which nobody minds."""


def _attribute(key: str, value: Value) -> bytes:
    """Return the length and content of an attribute; of the sorts that are most, without a call for each part."""
    name = _name(b"\x0a", key)
    if isinstance(value, float):
        inner = b"".join((name, b"\x12\x09\x21", _double(value)))
    elif isinstance(value, str):
        text = value.encode("utf-8", "replace")
        size = len(text)
        if size >= MOST_REMEMBERED:
            return _field(b"", name + _field(b"\x12", _field(b"\x0a", text)))
        inner = b"".join((name, b"\x12", _SHORT[size + 2], b"\x0a", _SHORT[size], text))
    else:
        told = _any(value)
        inner = b"".join((name, b"\x12", _varint(len(told)), told))
    return _varint(len(inner)) + inner


def _counted(key: str, number: int) -> bytes:
    """Return the length and content of an attribute that is a large number."""
    told = _varint(number & 0xFFFF_FFFF_FFFF_FFFF)
    return _before_number(key, len(told)) + told


@lru_cache(maxsize=4_096)
def _before_number(key: str, size: int) -> bytes:
    """Return what comes before a number of so many bytes."""
    head = _name(b"\x0a", key) + b"\x12" + _varint(size + 1) + b"\x18"
    return _varint(len(head) + size) + head


@lru_cache(maxsize=4_096)
def _name(tag: bytes, name: str) -> bytes:
    return _field(tag, name.encode("utf-8", "replace"))


@lru_cache(maxsize=4_096)
def _called(name: str, kind: Kind) -> bytes:
    """Return the name and kind of a span."""
    return _name(b"\x2a", name) + b"\x30" + _varint(KINDS[kind])


def _any(value: Value) -> bytes:
    """Return an AnyValue."""
    if isinstance(value, str):
        return _field(b"\x0a", value.encode("utf-8", "replace"))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
    if isinstance(value, float):
        return b"\x21" + _double(value)
    return _field(b"\x2a", b"".join(_field(b"\x0a", _any(part)) for part in value))


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    if number < 0x80:
        return _SHORT[number]
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    if number < 0x20_0000:
        return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14))
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


_SHORT = tuple(bytes((number,)) for number in range(0x80))
