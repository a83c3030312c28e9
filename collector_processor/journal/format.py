"""Layout of the journal on disk: sub-databases, keys and values. Pure.

spans       sequence 8 | part 2 | trace 16 | flags 1 | spans 4 | arrival ns 8  →  crc 4 | chunk of (headers | payload)
taken       sequence 8                 →  bit mask of the positions that have left a fragment which others still need
seals       batch id 16                →  SealedBatch (msgpack)
closed      trace 16 | task span 8     →  batch id 16 | span ids 8 each: where a late or resent span belongs
links       trace 16 | number 8        →  (span 8 | parent 8 | reason 1) each: spans that left without a record
expiry      due ns 8 | C or L 1 | key  →  nothing: rows of closed and links in order of their end
dead        batch id 16 | place 4      →  DeadLetter (msgpack): a task of that batch which could not be stored
undecodable number 8                   →  UndecodableSpan (msgpack), raw and bounded
meta        name                       →  version, counters

Sequences grow and are never reused. A value is cut into parts of at most `CHUNK` bytes, because a large LMDB value
needs contiguous pages; only part 0 counts spans, so a start reads keys alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from collector_processor.errors import DamagedEntryError
from collector_processor.model.stages import HEADER, FragmentFlag, Link, LinkReason

VERSION: Final = 1
CHUNK: Final = 60 * 1024
DATABASES: Final = ("spans", "taken", "seals", "closed", "expiry", "links", "dead", "undecodable", "meta")

SEQUENCE: Final = struct.Struct(">Q")
NUMBER: Final = struct.Struct(">I")
_KEY: Final = struct.Struct(">QH16sBIQ")
_CRC: Final = struct.Struct(">I")
_LINK: Final = struct.Struct("<8s8sB")
_FLAGS: Final = tuple(FragmentFlag(bits) for bits in range(2 ** len(FragmentFlag)))


class FragmentKey(NamedTuple):
    """What a fragment's key says."""

    sequence: int
    part: int
    trace_id: bytes
    flags: FragmentFlag
    spans: int
    arrived: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A task that the database refused, with its spans' bytes: payloads as a worker reads them."""

    error: str
    spans: int
    sealed: bytes
    payloads: tuple[tuple[int, bytes, tuple[int, ...]], ...]


class UndecodableSpan(msgspec.Struct, frozen=True):
    """A span with a good header whose attributes can't be read."""

    trace_id: bytes
    span_id: bytes
    reason: str
    raw: bytes


class Counters(msgspec.Struct):
    """Every span and record that ever passed, by where it went. Saved in the transaction that moves it.

    Journal spans: received = rejected + duplicate + open + sealed + foreign + truncated + undecodable + dead +
    handed_over, where handed_over = in_points + duplicate_facts + orphaned + discarded + erased.
    Records: tasks_closed = tasks_sealed + accepted + quarantined + repeated + dead.
    """

    received: int = 0
    rejected: int = 0
    duplicate: int = 0
    open: int = 0
    sealed: int = 0
    foreign: int = 0
    truncated: int = 0
    undecodable: int = 0
    dead: int = 0
    handed_over: int = 0
    in_points: int = 0
    duplicate_facts: int = 0
    orphaned: int = 0
    discarded: int = 0
    erased: int = 0
    tasks_closed: int = 0
    tasks_sealed: int = 0
    tasks_accepted: int = 0
    tasks_quarantined: int = 0
    tasks_repeated: int = 0
    tasks_dead: int = 0
    revised: int = 0
    joined: int = 0
    batches: int = 0
    sequence: int = 0
    """The last number given to a fragment, a links row or an undecodable span."""


def fragment_key(key: FragmentKey) -> bytes:
    """Pack a key of `spans`."""
    return _KEY.pack(*key)


def parse_fragment_key(key: bytes) -> FragmentKey:
    """Unpack a key of `spans`."""
    sequence, part, trace_id, flags, spans, arrived = _KEY.unpack(key)
    return FragmentKey(sequence, part, trace_id, _FLAGS[flags], spans, arrived)


def chunks(value: bytes) -> Iterator[bytes]:
    """Cut a value into checked parts."""
    for start in range(0, len(value) or 1, CHUNK):
        part = value[start : start + CHUNK]
        yield _CRC.pack(zlib.crc32(part)) + part


def check_chunk(stored: bytes, sequence: int) -> bytes:
    """Verify one stored part and return its content.

    Raises:
        DamagedEntryError: the content doesn't match its checksum.
    """
    content = stored[4:]
    if len(stored) < 4 or zlib.crc32(content) != _CRC.unpack_from(stored)[0]:
        raise DamagedEntryError(f"journal entry {sequence} is damaged: its checksum doesn't match")
    return content


def split_value(value: bytes, spans: int) -> tuple[bytes, bytes]:
    """(headers, payload) of a fragment's whole value."""
    size = HEADER.size * spans
    return value[:size], value[size:]


def pack_links(links: Sequence[Link]) -> bytes:
    """Value of a `links` row."""
    return b"".join(_LINK.pack(*link) for link in links)


def parse_links(value: bytes) -> list[Link]:
    """Links of a `links` row."""
    return [Link(span, parent, LinkReason(reason)) for span, parent, reason in _LINK.iter_unpack(value)]
