"""The frame of a request, by hand: how many parts it has, counted before it is parsed, and parts written as they came.

Two bytes on the wire become a hundred and more in memory once they are a message: a gzip bomb of empty spans, 64 KiB
when it arrives and 64 MiB within its limit, would take gigabytes and half a minute. Here lengths are skipped along
and nothing is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from collector_processor.errors import RequestTooLargeError

MAX_CONTAINERS: Final = 100_000
"""Fields of a request above its scopes' contents: resources, scopes and what stands beside them."""
MAX_SPANS: Final = 1_000_000
"""Fields within all scopes of a request; a span that is one has 50 bytes at least."""
_RESOURCE_SPANS: Final = 1
_SCOPE_SPANS: Final = 2
_SMALLEST_FIELD: Final = 2


def refuse_crowd(body: bytes) -> None:
    """Refuse a request of too many parts. What is malformed is left to the parser, which says so.

    Raises:
        RequestTooLargeError: it has more than `MAX_CONTAINERS` or `MAX_SPANS`.
    """
    containers = spans = 0
    for number, start, end in _fields(body, 0, len(body)):
        containers += 1
        if number == _RESOURCE_SPANS:
            for inner, inner_start, inner_end in _fields(body, start, end):
                containers += 1
                if inner == _SCOPE_SPANS and len(body) > MAX_SPANS * _SMALLEST_FIELD:
                    spans += _count(body, inner_start, inner_end, MAX_SPANS - spans)
                if containers > MAX_CONTAINERS:
                    break
        if containers > MAX_CONTAINERS:
            raise RequestTooLargeError(
                f"The request has more than {MAX_CONTAINERS:,} resources and scopes: send fewer at once"
            )


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field (1 to 15), as it stands on the wire."""
    return _head(number, len(content)) + content


def fields(number: int, contents: Iterable[bytes]) -> bytes:
    """Fields of one number, one after the other."""
    return b"".join([piece for content in contents for piece in (_head(number, len(content)), content)])


@lru_cache(maxsize=8192)
def _head(number: int, size: int) -> bytes:
    """Tag and length of a field."""
    head = bytearray([number << 3 | 2])
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head)


def _count(body: bytes, start: int, end: int, room: int) -> int:
    """Count the fields of one scope; there is room for so many."""
    count = 0
    for _ in _fields(body, start, end):
        count += 1
        if count > room:
            raise RequestTooLargeError(f"The request has more than {MAX_SPANS:,} spans: send fewer at once")
    return count


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Walk a message's fields: number, and where the content of a length-delimited one starts and ends.

    Groups, which OTLP doesn't know, are walked as if their content stood beside them.
    """
    while at < end:
        tag, at = _varint(data, at, end)
        size = 0
        match tag & 7:
            case 0:
                _, at = _varint(data, at, end)
            case 1:
                size = 8
            case 2:
                size, at = _varint(data, at, end)
            case 5:
                size = 4
        yield tag >> 3, at, min(at + size, end)
        at += size


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a varint: value, and where it ends. One that is cut short or too long ends everything."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, end
