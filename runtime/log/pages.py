"""A log's rows, read page by page without SQLite, whatever lies between them.

SQLite finds rows from the first page down; where a page on the way is damaged, it finds nothing below. Here each page
that holds rows is read for itself, by the file format (https://sqlite.org/fileformat2.html): leaves of tables (13), and
leaves and inner pages of indexes (10 and 2), for the table `meta` is kept as an index is.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .faults import HEADER_BYTES, header_of, wal_of

PAGE_SIZE = 16_384
"""Of the logs that this package makes, where the header is lost that says it."""
TABLE_LEAF, INDEX_LEAF, INDEX_INNER = 13, 10, 2
WAL_HEADER, FRAME_HEADER = struct.Struct(">8I"), struct.Struct(">6I")
WAL_MAGIC = 0x377F0682
SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
"""Bytes of a value by its serial type, up to 9."""
REAL, ZERO, ONE, BLOB = 7, 8, 9, 12

Value = int | float | str | bytes | None
Row = tuple[Value, ...]


class Damaged(ValueError):
    """A page, or a row in it, is not what the format says."""


class Pages:
    """The pages of a file, with what its write-ahead log holds of them in their place."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        header = header_of(path)
        known = header is not None and header.page_size >= 512 and not header.page_size & (header.page_size - 1)
        self.size = header.page_size if header is not None and known else PAGE_SIZE
        self._file = file
        self._wal = wal_of(path)
        self._frames = dict(self._committed()) if self._wal.exists() else {}
        self.count = max(path.stat().st_size // self.size, *self._frames, 0, 0)

    def read(self, number: int) -> bytes:
        """Return a page, from 1; raises Damaged where there is none."""
        if number in self._frames:
            with self._wal.open("rb") as wal:
                wal.seek(self._frames[number])
                return wal.read(self.size)
        self._file.seek((number - 1) * self.size)
        page = self._file.read(self.size) if number > 0 else b""
        if len(page) < self.size:
            raise Damaged(f"there is no page {number}")
        return page

    def _committed(self) -> Iterator[tuple[int, int]]:
        """Return the pages in the write-ahead log that were committed, and where they lie in it."""
        with self._wal.open("rb") as wal:
            head = wal.read(WAL_HEADER.size)
            if len(head) < WAL_HEADER.size:
                return
            magic, _, size, _, *salts, _, _ = WAL_HEADER.unpack(head)
            if magic & ~1 != WAL_MAGIC or size != self.size:
                return
            order = ">" if magic & 1 else "<"
            sums = _checksum(head[:24], order, (0, 0))
            waiting: list[tuple[int, int]] = []
            while len(frame := wal.read(FRAME_HEADER.size)) == FRAME_HEADER.size:
                at, page = wal.tell(), wal.read(size)
                number, commit, *found = FRAME_HEADER.unpack(frame)
                sums = _checksum(page, order, _checksum(frame[:8], order, sums))
                if found[:2] != salts or tuple(found[2:]) != sums:
                    return
                waiting.append((number, at))
                if commit:
                    yield from waiting
                    waiting.clear()


def _checksum(part: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(part) // 4}I", part[: len(part) // 4 * 4])
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def rows(path: Path) -> Iterator[tuple[int | None, Row]]:
    """Return every row that can be read, in the order of pages: its number, where it lies in a table, and its values.

    Rows that were deleted may be among them, and a row more than once. Raises OSError.
    """
    with path.open("rb") as file:
        pages = Pages(path, file)
        for number in range(1, pages.count + 1):
            try:
                page = pages.read(number)
                start = HEADER_BYTES if number == 1 else 0
                sort = page[start]
                if sort not in (TABLE_LEAF, INDEX_LEAF, INDEX_INNER):
                    continue
                cells = _cells(page, start, 12 if sort == INDEX_INNER else 8)
            except Damaged:
                continue
            for at in cells:
                try:
                    yield _row(pages, page, at, sort)
                except (Damaged, IndexError, UnicodeDecodeError, struct.error):
                    continue


def _cells(page: bytes, start: int, header: int) -> tuple[int, ...]:
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    first = start + header
    if first + 2 * count > len(page):
        raise Damaged("more rows than fit")
    return struct.unpack_from(f">{count}H", page, first)


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """Return a number of one to nine bytes, and where it ends."""
    value = 0
    for place in range(at, at + 8):
        byte = page[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    return value << 8 | page[at + 8], at + 9


def _row(pages: Pages, page: bytes, at: int, sort: int) -> tuple[int | None, Row]:
    if sort == INDEX_INNER:
        at += 4  # the page of the rows before it
    length, at = _varint(page, at)
    number = None
    if sort == TABLE_LEAF:
        number, at = _varint(page, at)
    if not 0 < length <= pages.count * pages.size:
        raise Damaged("a row of no length")
    return number, _values(_payload(pages, page, at, length, whole=sort == TABLE_LEAF))


def _payload(pages: Pages, page: bytes, at: int, length: int, *, whole: bool) -> bytes:
    """Return the bytes of a row, those on further pages included."""
    size = pages.size
    most = size - 35 if whole else (size - 12) * 64 // 255 - 23
    if length <= most:
        here = length
    else:
        least = (size - 12) * 32 // 255 - 23
        here = least + (length - least) % (size - 4)
        here = here if here <= most else least
    parts = [page[at : at + here]]
    missing = length - here
    if missing:
        further = int.from_bytes(page[at + here : at + here + 4], "big")
        seen: set[int] = set()
        while missing > 0:
            if further in seen:
                raise Damaged("pages in a ring")
            seen.add(further)
            page = pages.read(further)
            parts.append(page[4 : 4 + min(missing, size - 4)])
            missing -= len(parts[-1])
            further = int.from_bytes(page[:4], "big")
    row = b"".join(parts)
    if len(row) != length:
        raise Damaged("a row that is cut off")
    return row


def _values(row: bytes) -> Row:
    end, at = _varint(row, 0)
    if not at <= end <= len(row):
        raise Damaged("a row of no form")
    values: list[Value] = []
    place = end
    while at < end:
        kind, at = _varint(row, at)
        size = SIZES[kind] if kind <= ONE else (kind - BLOB) // 2
        part = row[place : place + size]
        if kind in (10, 11) or len(part) < size:
            raise Damaged("a value of no kind")
        place += size
        values.append(_value(kind, part))
    if place != len(row):
        raise Damaged("a row of another length")
    return tuple(values)


def _value(kind: int, part: bytes) -> Value:
    if kind == 0:
        return None
    if kind == REAL:
        return float(struct.unpack(">d", part)[0])
    if kind in (ZERO, ONE):
        return kind - ZERO
    if kind < REAL:
        return int.from_bytes(part, "big", signed=True)
    return part.decode() if kind % 2 else part
