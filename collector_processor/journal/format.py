"""Layout of the journal on disk: sub-databases, keys and values. Pure.

spans       sequence 8 | part 2 | trace 16 | flags 1 | spans 4 | arrival ns 8 | nonce 12  →  part of (headers | payload)
taken       sequence 8                 →  bit mask of the positions that have left a fragment which others still need
seals       batch id 16                →  SealedBatch (msgpack)
closed      trace 16 | task span 8     →  batch id 16 | span ids 8 each: where a late or resent span belongs
links       trace 16 | number 8        →  (span 8 | parent 8 | reason 1) each: spans that left without a record
expiry      due ns 8 | C or L 1 | key  →  nothing: rows of closed and links in order of their end
analyses    number 8                   →  Analysis (msgpack): a stored task whose deep facets are still to be computed
fallback    batch id 16                →  Spilled (msgpack): a batch whose lines lie in a fallback file
dead        batch id 16 | place 4 | nonce 12  →  DeadLetter (msgpack): a task of that batch that could not be stored
undecodable number 8 | nonce 12        →  UndecodableSpan (msgpack), raw and bounded
meta        name                       →  version, identity, counters, epochs, sampling, requests

Whatever an application wrote stands in spans, dead and undecodable. Their values are encrypted with AES-256-GCM, tag
last; the nonce at a key's end is `epoch 4 | counter 8`, and the whole key is authenticated with the value, so that
neither can be exchanged. All other rows, and all keys, hold ids, counts and times, and are in clear.

Sequences grow and are never reused. A value is cut into parts of at most `PART` bytes, because a large LMDB value
needs contiguous pages; only part 0 counts spans, so a start reads keys alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

import msgspec

from collector_processor.errors import DamagedEntryError
from collector_processor.model.sampling import Facet, SamplingState
from collector_processor.model.stages import (
    HEADER,
    FragmentFlag,
    Link,
    LinkReason,
    Member,
    RawPart,
    SealedTask,
    SealKind,
    Stored,
)

if TYPE_CHECKING:
    import lmdb

    LmdbTransaction = lmdb.Transaction[bytes]
    Databases = dict[str, lmdb._Database]  # noqa: SLF001  # the stub's only name for an opened sub-database

VERSION: Final = 3
PART: Final = 60 * 1024
DATABASES: Final = (
    "spans", "taken", "seals", "closed", "expiry", "links", "analyses", "fallback", "dead", "undecodable", "meta"
)  # fmt: skip
KEPT: Final = ("dead", "undecodable")
"""Sub-databases of what is kept for a person; they and `spans` have encrypted values."""

SEQUENCE: Final = struct.Struct(">Q")
NUMBER: Final = struct.Struct(">I")
_KEY: Final = struct.Struct(">QH16sBIQ")
NONCE: Final = struct.Struct(">IQ")
_WHOLE_KEY: Final = struct.Struct(f"{_KEY.format}{NONCE.size}x")
_LINK: Final = struct.Struct("<8s8sB")
_FLAGS: Final = tuple(FragmentFlag(bits) for bits in range(2 ** len(FragmentFlag)))


class FragmentKey(NamedTuple):
    """What a fragment's key says before its nonce."""

    sequence: int
    part: int
    trace_id: bytes
    flags: FragmentFlag
    spans: int
    arrived: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A task that could not be stored, with the bytes of its spans and log records.

    `payloads` are as a worker reads them, `headers` the flags of each and its packed headers. Both are empty where they
    were damaged, and where the task came from the fallback: then `line` has its redacted facts. `buried_at` is ns.
    """

    error: str
    spans: int
    sealed: bytes
    payloads: tuple[RawPart, ...]
    headers: tuple[tuple[int, bytes], ...] = ()
    buried_at: int = 0
    line: bytes = b""


class Spilled(msgspec.Struct, frozen=True, array_like=True):
    """Where a batch's lines lie, and under which identity. `places` are (place in that batch, spans, tasks) each."""

    file: str
    offset: int
    length: int
    source: UUID
    places: tuple[tuple[int, int, int], ...]
    sampling: SamplingState = SamplingState()
    number: int = 0
    """Order of going there."""


class UndecodableSpan(msgspec.Struct, frozen=True):
    """A span with a good header whose attributes can't be read."""

    trace_id: bytes
    span_id: bytes
    reason: str
    raw: bytes


class Analysis(msgspec.Struct, frozen=True, array_like=True):
    """Deep facets of a stored task that are still to be computed, decided at `since` (ns).

    `members` are the task's spans, which stay in `spans` for that long; none where a late fact decided, or where all
    facets are `shed`: they had no room, or their hour was full. `size` is what it counts for in the journal's share,
    in bytes.
    """

    trace_id: bytes
    span_id: bytes
    facets: tuple[Facet, ...]
    since: int
    size: int
    members: tuple[Member, ...] = ()
    shed: tuple[Facet, ...] = ()

    @property
    def task(self) -> SealedTask:
        """The task as it was sealed, as far as its spans are still there."""
        return SealedTask(SealKind.TASK, self.trace_id, self.span_id, self.members)


class Counters(msgspec.Struct):
    """Every span and record that ever passed, by where it went. Saved in the transaction that moves it.

    Journal spans, log records among them: received = rejected + traceless + duplicate + open + sealed + foreign +
    truncated + shed + undecodable + dead + given_up + in_fallback + damaged + withdrawn + handed_over, where
    handed_over = in_points + duplicate_facts + orphaned + discarded + erased. Truncated is what the limits of a task
    shed, shed what journal or memory had no room for. What was erased before it could be handed over is
    withdrawn; a dead letter that a person discarded is given up; what stood in a line of the fallback that can't be
    read is damaged.
    Records: tasks_closed = tasks_sealed + accepted + quarantined + repeated + dead + given_up + in_fallback +
    damaged + withdrawn.
    Deep samples, one a facet: samples_kept = pending + stored + void + withdrawn + forgone. Void are those whose record
    was gone when they were due, forgone those that the journal had not even room to remember, or whose spans had left
    it for the fallback.
    """

    received: int = 0
    rejected: int = 0
    traceless: int = 0
    """Log records that concern tasks but name no trace."""
    duplicate: int = 0
    open: int = 0
    sealed: int = 0
    foreign: int = 0
    truncated: int = 0
    shed: int = 0
    undecodable: int = 0
    dead: int = 0
    given_up: int = 0
    in_fallback: int = 0
    damaged: int = 0
    withdrawn: int = 0
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
    tasks_given_up: int = 0
    tasks_in_fallback: int = 0
    tasks_damaged: int = 0
    tasks_withdrawn: int = 0
    samples_kept: int = 0
    samples_pending: int = 0
    samples_stored: int = 0
    samples_void: int = 0
    samples_withdrawn: int = 0
    samples_forgone: int = 0
    analysis_bytes: int = 0
    """What pending analyses keep in the journal."""
    revised: int = 0
    joined: int = 0
    batches: int = 0
    sequence: int = 0
    """The last number given to a fragment, a links row, an analysis, an undecodable span or a batch in the fallback."""


class Epoch(msgspec.Struct, frozen=True, array_like=True):
    """What one key has encrypted, in values: `live` are still there, `gone` have been deleted or moved.

    `kept`: of dead letters and undecodable spans. Else no value has a sequence below `first`.
    """

    kept: bool
    first: int
    live: int = 0
    gone: int = 0


def fragment_key(key: FragmentKey) -> bytes:
    """Pack a key of `spans`, which the nonce completes."""
    return _KEY.pack(*key)


def parse_fragment_key(key: bytes) -> FragmentKey:
    """Unpack a key of `spans`. Raises DamagedEntryError."""
    try:
        sequence, part, trace_id, flags, spans, arrived = _KEY.unpack_from(key)
        return FragmentKey(sequence, part, trace_id, _FLAGS[flags], spans, arrived)
    except (struct.error, IndexError):
        raise _damaged(key) from None


def stored_of(keys: Sequence[bytes]) -> Iterator[Stored]:
    """The fragments that keys of `spans` stand for, one each; parts but the first stand for none.

    Apart from `parse_fragment_key`, and many at once, because a start reads millions. Raises DamagedEntryError.
    """
    for key in keys if {*map(len, keys)} != {_WHOLE_KEY.size} else ():
        if len(key) != _WHOLE_KEY.size:
            raise _damaged(key)
    try:
        for sequence, part, trace_id, flags, spans, arrived in _WHOLE_KEY.iter_unpack(b"".join(keys)):
            if not part:
                yield Stored(sequence, trace_id, _FLAGS[flags], spans, arrived)
    except IndexError:
        for key in keys:
            parse_fragment_key(key)  # says which
        raise


def _damaged(key: bytes) -> DamagedEntryError:
    return DamagedEntryError(f"the key {key.hex()} of a journal entry is damaged")


def epoch_of(key: bytes) -> int:
    """Number of the epoch whose key encrypted a row's value."""
    return int.from_bytes(key[-NONCE.size : -8], "big")


def cut(value: bytes) -> Iterator[bytes]:
    """A value in parts that LMDB finds room for; an empty one is one part."""
    for start in range(0, len(value) or 1, PART):
        yield value[start : start + PART]


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
