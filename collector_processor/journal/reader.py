"""Reading the journal: what any transaction looks up, and a worker's view of a journal that another process writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import lmdb
import msgspec

from collector_processor.errors import DamagedEntryError, JournalError
from collector_processor.journal.format import (
    DATABASES,
    SEQUENCE,
    Counters,
    FragmentKey,
    check_chunk,
    parse_fragment_key,
)
from collector_processor.model.stages import HEADER, RawTask, Refused, SealedBatch, SealedTask

if TYPE_CHECKING:
    from collector_processor.journal.environment import Databases, LmdbTransaction

decode_batch = msgspec.msgpack.Decoder(SealedBatch).decode
_decode_counters = msgspec.msgpack.Decoder(Counters).decode


def read_counters(transaction: LmdbTransaction, databases: Databases) -> Counters:
    """The counters as last committed."""
    stored = transaction.get(b"counters", db=databases["meta"])
    return _decode_counters(stored) if stored else Counters()


def read_fragment(transaction: LmdbTransaction, databases: Databases, sequence: int) -> tuple[FragmentKey, bytes]:
    """A fragment's key and its whole value (headers, then payload).

    Raises:
        DamagedEntryError: a part is missing or doesn't match its checksum.
    """
    prefix = SEQUENCE.pack(sequence)
    parts: list[bytes] = []
    first: bytes | None = None
    with transaction.cursor(db=databases["spans"]) as cursor:
        found = cursor.set_range(prefix)
        while found and cursor.key().startswith(prefix):
            first = first or cursor.key()
            parts.append(check_chunk(cursor.value(), sequence))
            found = cursor.next()
    if first is None:
        raise DamagedEntryError(f"journal entry {sequence} is missing")
    return parse_fragment_key(first), parts[0] if len(parts) == 1 else b"".join(parts)


def read_batch(transaction: LmdbTransaction, databases: Databases, batch_id: UUID) -> SealedBatch | None:
    """A sealed batch, or None when it was completed."""
    stored = transaction.get(batch_id.bytes, db=databases["seals"])
    return decode_batch(stored) if stored else None


def read_payloads(
    transaction: LmdbTransaction, databases: Databases, task: SealedTask
) -> list[tuple[int, bytes, tuple[int, ...]]]:
    """(arrival ns, OTLP TracesData, positions) of each fragment that holds spans of the task."""
    payloads = []
    for member in task.members:
        key, value = read_fragment(transaction, databases, member.sequence)
        payloads.append((key.arrived, value[HEADER.size * key.spans :], member.positions))
    return payloads


def live_bytes(transaction: LmdbTransaction, database: lmdb._Database) -> int:
    """Bytes in live pages of a sub-database."""
    stat = transaction.stat(database)
    return stat["psize"] * (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"])


class ReadBatch(NamedTuple):
    """A sealed batch as a worker reads it; `damaged` are the tasks whose bytes don't match their checksum."""

    id: UUID
    tasks: list[RawTask]
    damaged: list[Refused]


class JournalReader:
    """Opens the journal that another process writes. Read transactions are short: an idle one keeps pages alive."""

    def __init__(self, folder: Path) -> None:
        try:
            self._lmdb = lmdb.open(str(folder), readonly=True, max_dbs=16, create=False, lib_version=0, map_size=0)
        except lmdb.Error as error:
            raise JournalError(f"the journal {folder} can't be read: {error}") from error
        self._databases = {name: self._lmdb.open_db(name.encode(), create=False) for name in DATABASES}

    def batch(self, batch_id: UUID) -> ReadBatch | None:
        """A sealed batch with its tasks' spans, or None when it was completed meanwhile."""
        with self._begin() as transaction:
            batch = read_batch(transaction, self._databases, batch_id)
            if batch is None:
                return None
            read = ReadBatch(batch.id, [], [])
            for task in batch.tasks:
                try:
                    read.tasks.append(RawTask(task, read_payloads(transaction, self._databases, task)))
                except DamagedEntryError as error:
                    read.damaged.append(Refused(task.trace_id, task.span_id, task.spans, str(error)))
            return read

    def tasks(self, batch_id: UUID) -> Iterator[RawTask]:
        """A sealed batch's tasks one by one, for whoever can't hold all of them.

        Those that are damaged are left out; there are none of a batch that was completed meanwhile.
        """
        with self._begin() as transaction:
            batch = read_batch(transaction, self._databases, batch_id)
            for task in batch.tasks if batch else ():
                with contextlib.suppress(DamagedEntryError):
                    yield RawTask(task, read_payloads(transaction, self._databases, task))

    def _begin(self) -> LmdbTransaction:
        try:
            return self._lmdb.begin()
        except lmdb.MapResizedError:
            self._lmdb.set_mapsize(0)  # the writer has raised it
            return self._lmdb.begin()

    def close(self) -> None:
        """Let go of the environment."""
        self._lmdb.close()
