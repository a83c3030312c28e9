"""What one write transaction can do to the journal: append, seal, expire, erase. Counters move with the spans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from collector_processor.errors import DamagedEntryError
from collector_processor.journal import kept
from collector_processor.journal.departed import Departed, Expired
from collector_processor.journal.format import (
    SEQUENCE,
    Counters,
    DeadLetter,
    FragmentKey,
    UndecodableSpan,
    cut,
    fragment_key,
    parse_fragment_key,
    split_value,
    stored_of,
)
from collector_processor.journal.reader import decode_batch, live_bytes, read_fragment, rows_of
from collector_processor.journal.rows import EncryptedRows
from collector_processor.model.stages import (
    HEADER,
    Closing,
    Fragment,
    FragmentFlag,
    Known,
    Member,
    SealedBatch,
    SealKind,
    Stored,
)
from collector_processor.telemetry import get_logger

if TYPE_CHECKING:
    from collector_processor.journal.format import Databases, LmdbTransaction

log = get_logger(__name__)
READ_AT_ONCE: Final = 1000
"""Keys that are unpacked together."""
_encode = msgspec.msgpack.Encoder().encode


class Transaction:
    """Everything that changes the journal, inside one LMDB write transaction of the front.

    Args:
        transaction: the open write transaction; the caller commits or aborts it.
        databases: of the environment.
        rows: its encrypted ones.
        counters: a private copy, written back by `save`.
        max_bytes: `JOURNAL_MAX_BYTES`.
        closed_timeout: `CLOSED_TIMEOUT` in ns.
        used_bytes: live bytes of the journal before it.

    Attributes:
        filled: those, and what has been appended since: near enough to refuse by, and at no cost.
        rows: the encrypted ones.
        departed: what is remembered of spans that have left.
        max_bytes: the journal's limit.
        view: for reading what this transaction sees.
        counters: as they are to be saved.
        changes: how many there were; without any nothing is saved.
        gone: sequences of the fragments that have left the journal whole.
    """

    def __init__(
        self,
        transaction: LmdbTransaction,
        databases: Databases,
        rows: EncryptedRows,
        counters: Counters,
        *,
        max_bytes: int,
        closed_timeout: int,
        used_bytes: int,
    ) -> None:
        self._txn = transaction
        self._dbs = databases
        self.filled = used_bytes
        self.rows = rows
        self.departed = Departed(transaction, databases, closed_timeout)
        self.max_bytes = max_bytes
        self.view = rows.view
        self.counters = counters
        self.changes = 0
        self.gone: list[int] = []

    # -- Arrival ---------------------------------------------------------------------------------------------

    def append(self, fragment: Fragment, arrived: int, taken: int = 0) -> Stored:
        """Write one fragment under the next sequence. Positions in the mask `taken` are duplicates: never open."""
        self.changes += 1
        self.counters.sequence = sequence = self.counters.sequence + 1
        spans = len(fragment.headers) // HEADER.size
        for number, part in enumerate(cut(fragment.headers + fragment.payload)):
            key = FragmentKey(sequence, number, fragment.trace_id, fragment.flags, spans, arrived)
            self.rows.put("spans", fragment_key(key), part, arrived, append=True)
            self.filled += len(part)
        if taken:
            self._txn.put(SEQUENCE.pack(sequence), taken.to_bytes(-(-spans // 8), "big"), db=self._dbs["taken"])
        self.counters.open += spans - taken.bit_count()
        return Stored(sequence, fragment.trace_id, fragment.flags, spans, arrived)

    # -- Look-ups --------------------------------------------------------------------------------------------

    def headers(self, sequence: int) -> bytes:
        """Packed headers of a fragment.

        Raises:
            DamagedEntryError: they can't be read. It is logged here, whatever the caller makes of it.
        """
        try:
            key, value = read_fragment(self.view, sequence)
        except DamagedEntryError as error:
            log.critical("journal: an entry is damaged, its spans stay in it", problem=str(error))
            raise
        return split_value(value, key.spans)[0]

    def payload(self, sequence: int) -> bytes:
        """A fragment's OTLP TracesData or LogsData. Raises DamagedEntryError: it can't be read."""
        key, value = read_fragment(self.view, sequence)
        return split_value(value, key.spans)[1]

    def flags(self, sequence: int) -> FragmentFlag:
        """What a fragment holds, by its key alone. Raises DamagedEntryError: it is missing."""
        prefix = SEQUENCE.pack(sequence)
        with self._txn.cursor(db=self._dbs["spans"]) as cursor:
            if not cursor.set_range(prefix) or not cursor.key().startswith(prefix):
                raise DamagedEntryError(f"journal entry {sequence} is missing")
            return parse_fragment_key(cursor.key()).flags

    def known(self, trace_id: bytes) -> Known:
        """What is remembered of a trace: which span belongs to which closed task, and which left."""
        return self.departed.known(trace_id)

    def sealed_batches(self) -> Iterator[SealedBatch]:
        """Every batch that waits for a worker, oldest first."""
        batches = [decode_batch(value) for _, value in rows_of(self._txn, self._dbs["seals"])]
        yield from sorted(batches, key=lambda batch: batch.sealed_at)

    def taken(self) -> dict[int, int]:
        """The masks of positions that have left a fragment, by sequence, where others are still there."""
        rows = rows_of(self._txn, self._dbs["taken"])
        return {SEQUENCE.unpack(key)[0]: int.from_bytes(value, "big") for key, value in rows}

    def fragments(self, start: int = 0) -> Iterator[Stored]:
        """Every fragment from a sequence on, in order of arrival. Reads keys only."""
        with self._txn.cursor(db=self._dbs["spans"]) as cursor:
            keys = iter(cursor.iternext(keys=True, values=False) if cursor.set_range(SEQUENCE.pack(start)) else ())
            while some := [*islice(keys, READ_AT_ONCE)]:
                yield from stored_of(some)

    # -- Sealing ---------------------------------------------------------------------------------------------

    def seal(self, batch: SealedBatch, closings: Iterable[Closing], now: int, links_kept: int) -> None:
        """Fix a batch's content; remember where its late spans belong; let go of what no task claims."""
        self.changes += 1
        if batch.tasks:
            self.put_seal(batch)
        for closing in closings:
            if closing.sealed is not None:
                spans = closing.sealed.spans
                self.counters.open -= spans
                self.counters.sealed += spans
                if closing.sealed.kind is SealKind.TASK:
                    self.counters.tasks_closed += 1
                    self.counters.tasks_sealed += 1
                if closing.span_ids:
                    self.departed.remember(closing.sealed, batch.id, closing.span_ids)
            if closing.links:
                self.leave_links(closing, now + links_kept)
            dropped = 0
            for member in closing.dropped:
                dropped += len(member.positions)
                self._finish(member)
            self.counters.open -= dropped
            self.counters.truncated += closing.truncated
            self.counters.foreign += dropped - closing.truncated

    def put_seal(self, batch: SealedBatch) -> None:
        """Let a batch wait for a worker; the caller counts its spans."""
        self.changes += 1
        self._txn.put(batch.id.bytes, _encode(batch), db=self._dbs["seals"])

    def leave_links(self, closing: Closing, until: int) -> None:
        """Remember until then (ns) what stands in its links."""
        self.counters.sequence += 1
        self.departed.leave_links(self.counters.sequence, closing, until)

    def finish(self, members: Iterable[Member]) -> None:
        """Let spans leave the journal for good; the caller counts them."""
        for member in members:
            self._finish(member)

    def _finish(self, member: Member) -> None:
        """Take positions out of a fragment for good; the last ones take the fragment with them."""
        prefix = SEQUENCE.pack(member.sequence)
        with self._txn.cursor(db=self._dbs["spans"]) as cursor:
            if not cursor.set_range(prefix) or not cursor.key().startswith(prefix):
                raise DamagedEntryError(f"journal entry {member.sequence} is missing")
            spans = parse_fragment_key(cursor.key()).spans
            if len(member.positions) < spans:
                before = self._txn.get(prefix, db=self._dbs["taken"])
                mask = member.mask | (int.from_bytes(before, "big") if before else 0)
                if mask != (1 << spans) - 1:
                    self._txn.put(prefix, mask.to_bytes(-(-spans // 8), "big"), db=self._dbs["taken"])
                    return
                self._txn.delete(prefix, db=self._dbs["taken"])
            self.gone.append(member.sequence)
            while (key := cursor.key()).startswith(prefix):
                self.rows.deleted(key)
                if not cursor.delete():
                    break

    # -- Expiry ----------------------------------------------------------------------------------------------

    def expire(self, now: int, needed: Callable[[bytes, bytes], bool], limit: int = 10_000) -> Expired:
        """Forget closed tasks and links whose time is over (see Departed.expire)."""
        expired = self.departed.expire(now, needed, limit)
        self.changes += expired.rows
        return expired

    # -- Keys ------------------------------------------------------------------------------------------------

    def rotate_keys(self, now: int, *, thoroughly: bool = False) -> bool:
        """End epochs whose time is over, and move what they keep alive; after the commit unused keys may go.

        With `thoroughly` whatever has lost a value is moved, so that the bytes of that value are gone at once.
        Returns whether that was all; else the next transaction goes on.
        """
        before = dict(self.rows.epochs)
        done = self.rows.rotate(now, thoroughly=thoroughly)
        self.changes += self.rows.epochs != before
        return done

    # -- Erasure ---------------------------------------------------------------------------------------------

    def erase_open(self, closings: Iterable[Closing], until: int) -> None:
        """Withdraw open spans; their links are remembered until then (ns)."""
        for closing in closings:
            self.changes += 1
            spans = sum(len(member.positions) for member in closing.dropped)
            self.leave_links(closing, until)
            for member in closing.dropped:
                self._finish(member)
            self.counters.open -= spans
            self.counters.withdrawn += spans

    def erase_kept(self, mine: Callable[[DeadLetter | UndecodableSpan], bool]) -> list[DeadLetter | UndecodableSpan]:
        """Delete what is kept and `mine`; returns what that was. Its bytes are gone when keys have been rotated."""
        erased = kept.erase(self.rows, mine)
        self.changes += len(erased)
        for letter in erased:
            if isinstance(letter, DeadLetter):
                tasks = kept.task_of(letter).kind is SealKind.TASK
                self.counters.dead -= letter.spans
                self.counters.withdrawn += letter.spans
                self.counters.tasks_dead -= tasks
                self.counters.tasks_withdrawn += tasks
        return erased

    def end_epochs(self) -> None:
        """Let no more values into the epochs of now, so that `rotate_keys` can end with their keys."""
        self.rows.end_epochs()

    # -- Notes -----------------------------------------------------------------------------------------------

    def recall(self, name: str) -> bytes | None:
        """What was noted under a name, None where nothing was."""
        return self._txn.get(name.encode(), db=self._dbs["meta"])

    def note(self, name: str, value: bytes) -> None:
        """Keep a value under a name of its own, in clear: nothing that an application wrote."""
        self.changes += 1
        self._txn.put(name.encode(), value, db=self._dbs["meta"])

    # -- Room ------------------------------------------------------------------------------------------------

    def used_bytes(self, *databases: str) -> int:
        """Bytes in live pages of these sub-databases, or of all; our own count: LMDB's file never shrinks."""
        return sum(live_bytes(self._txn, self._dbs[name]) for name in databases or self._dbs)

    def undecodable(self, limit: int = 1000) -> Sequence[UndecodableSpan]:
        """The oldest undecodable spans."""
        return [span for _, span in islice(kept.read(self.view, "undecodable"), limit)]

    def save(self) -> None:
        """Write counters and epochs: the last step before the commit."""
        self._txn.put(b"counters", _encode(self.counters), db=self._dbs["meta"])
        self._txn.put(b"epochs", _encode(self.rows.epochs), db=self._dbs["meta"])
