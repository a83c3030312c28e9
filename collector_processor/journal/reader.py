"""Reading the journal: what any transaction looks up, and a worker's view of a journal that another process writes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import lmdb
import msgspec

from collector_processor.errors import DamagedEntryError, JournalError, LostKeyError
from collector_processor.journal.cipher import Decryption
from collector_processor.journal.format import (
    DATABASES,
    SEQUENCE,
    Analysis,
    Counters,
    Epoch,
    FragmentKey,
    parse_fragment_key,
)
from collector_processor.journal.keys import KeyFolder
from collector_processor.model.sampling import SamplingState
from collector_processor.model.stages import HEADER, FragmentFlag, RawPart, RawTask, Refused, SealedBatch, SealedTask

if TYPE_CHECKING:
    from collector_processor.journal.format import Databases, LmdbTransaction

decode_analysis = msgspec.msgpack.Decoder(Analysis).decode
decode_batch = msgspec.msgpack.Decoder(SealedBatch).decode
_decode_counters = msgspec.msgpack.Decoder(Counters).decode
_decode_epochs = msgspec.msgpack.Decoder(dict[int, Epoch]).decode


class View(NamedTuple):
    """What one transaction sees of the journal, and what decrypts it."""

    transaction: LmdbTransaction
    databases: Databases
    decryption: Decryption


def rows_of(
    transaction: LmdbTransaction, database: lmdb._Database, prefix: bytes = b""
) -> Iterator[tuple[bytes, bytes]]:
    """Rows of a sub-database whose keys begin with a prefix, in order."""
    with transaction.cursor(db=database) as cursor:
        found = cursor.set_range(prefix)
        while found and (key := cursor.key()).startswith(prefix):
            yield key, cursor.value()
            found = cursor.next()


def read_counters(transaction: LmdbTransaction, databases: Databases) -> Counters:
    """The counters as last committed."""
    stored = transaction.get(b"counters", db=databases["meta"])
    return _decode_counters(stored) if stored else Counters()


def read_epochs(transaction: LmdbTransaction, databases: Databases) -> dict[int, Epoch]:
    """The tally of epochs as last committed."""
    stored = transaction.get(b"epochs", db=databases["meta"])
    return _decode_epochs(stored) if stored else {}


def read_fragment(view: View, sequence: int) -> tuple[FragmentKey, bytes]:
    """A fragment's key and its whole value (headers, then payload).

    Raises:
        DamagedEntryError: a part is missing, doesn't match its authentication tag, or its key is lost.
    """
    prefix = SEQUENCE.pack(sequence)
    parts: list[bytes] = []
    first: bytes | None = None
    for key, value in rows_of(view.transaction, view.databases["spans"], prefix):
        first = first or key
        parts.append(view.decryption.decrypt(key, value, sequence))
    if first is None:
        raise DamagedEntryError(f"journal entry {sequence} is missing")
    return parse_fragment_key(first), parts[0] if len(parts) == 1 else b"".join(parts)


def read_batch(view: View, batch_id: UUID) -> SealedBatch | None:
    """A sealed batch, or None when it was completed."""
    stored = view.transaction.get(batch_id.bytes, db=view.databases["seals"])
    return decode_batch(stored) if stored else None


def read_task(view: View, task: SealedTask) -> RawTask:
    """A sealed task with the bytes of each fragment that holds spans or log records of it. Raises DamagedEntryError."""
    payloads: list[RawPart] = []
    logs: list[RawPart] = []
    for member in task.members:
        key, value = read_fragment(view, member.sequence)
        part = (key.arrived, value[HEADER.size * key.spans :], member.positions)
        (logs if key.flags & FragmentFlag.LOGS else payloads).append(part)
    return RawTask(task, payloads, logs)


def live_bytes(transaction: LmdbTransaction, database: lmdb._Database) -> int:
    """Bytes in live pages of a sub-database."""
    stat = transaction.stat(database)
    return stat["psize"] * (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"])


class ReadBatch(NamedTuple):
    """A sealed batch as a worker reads it; `damaged` are the tasks whose bytes can't be read."""

    id: UUID
    tasks: list[RawTask]
    damaged: list[Refused]
    sampling: SamplingState


class JournalReader:
    """Opens the journal that another process writes. Read transactions are short: an idle one keeps pages alive.

    Keys are read anew for each batch and forgotten after it, so that a worker holds none that has been destroyed.

    Args:
        folder: the journal's directory.
        opened: its environment, in the process that writes it: LMDB opens one only once in each.
    """

    def __init__(self, folder: Path, opened: lmdb.Environment | None = None) -> None:
        try:
            self._lmdb = opened or lmdb.open(
                str(folder), readonly=True, max_dbs=16, create=False, lib_version=0, map_size=0
            )
        except lmdb.Error as error:
            raise JournalError(f"the journal {folder} can't be read: {error}") from error
        self._databases = {name: self._lmdb.open_db(name.encode(), create=False) for name in DATABASES}
        self._keys = KeyFolder(folder)

    def batch(self, batch_id: UUID) -> ReadBatch | None:
        """A sealed batch with its tasks' spans, or None when it was completed meanwhile."""
        read, lost = self._read(batch_id)
        if lost:
            # The front may have moved values to a newer epoch since: another transaction sees them there.
            read, _ = self._read(batch_id)
        return read

    def _read(self, batch_id: UUID) -> tuple[ReadBatch | None, bool]:
        """The batch, and whether a key was missing."""
        with self._begin() as transaction:
            view = View(transaction, self._databases, Decryption(self._keys))
            batch = read_batch(view, batch_id)
            if batch is None:
                return None, False
            read, lost = ReadBatch(batch.id, [], [], batch.sampling), False
            for task in batch.tasks:
                try:
                    read.tasks.append(read_task(view, task))
                except DamagedEntryError as error:
                    lost = lost or isinstance(error, LostKeyError)
                    read.damaged.append(Refused(task.trace_id, task.span_id, task.spans, str(error)))
            return read, lost

    def tasks(self, batch_id: UUID) -> Iterator[RawTask]:
        """A sealed batch's tasks one by one, for whoever can't hold all of them.

        Those that are damaged are left out; there are none of a batch that was completed meanwhile.
        """
        with self._begin() as transaction:
            view = View(transaction, self._databases, Decryption(self._keys))
            batch = read_batch(view, batch_id)
            for task in batch.tasks if batch else ():
                try:
                    raw = self._task(view, task)
                except DamagedEntryError:
                    continue
                yield raw

    def analyses(self, after: int, limit: int) -> list[tuple[int, Analysis]]:
        """Number and content of pending analyses above a number, oldest first, `limit` of them at most."""
        with self._begin() as transaction, transaction.cursor(db=self._databases["analyses"]) as cursor:
            found = cursor.set_range(SEQUENCE.pack(after + 1))
            rows = islice(cursor.iternext(), limit) if found else ()
            return [(SEQUENCE.unpack(key)[0], decode_analysis(value)) for key, value in rows]

    def task(self, analysis: Analysis) -> RawTask:
        """The task that is to be analysed, with its spans' bytes.

        Raises:
            DamagedEntryError: they can't be read, or the analysis has been ended meanwhile.
        """
        with self._begin() as transaction:
            return self._task(View(transaction, self._databases, Decryption(self._keys)), analysis.task)

    def _task(self, view: View, task: SealedTask) -> RawTask:
        try:
            return read_task(view, task)
        except LostKeyError:
            # As in `batch`: moved to a newer epoch, which another transaction sees.
            with self._begin() as transaction:
                return read_task(View(transaction, self._databases, Decryption(self._keys)), task)

    def _begin(self) -> LmdbTransaction:
        try:
            return self._lmdb.begin()
        except lmdb.MapResizedError:
            self._lmdb.set_mapsize(0)  # the writer has raised it
            return self._lmdb.begin()

    def close(self) -> None:
        """Let go of the environment."""
        self._lmdb.close()
