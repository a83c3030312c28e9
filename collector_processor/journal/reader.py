"""A worker's view of the journal: sealed batches with their spans' bytes, read only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import lmdb

from collector_processor.errors import JournalError
from collector_processor.journal.format import DATABASES
from collector_processor.journal.transaction import read_batch, read_payloads
from collector_processor.model.stages import RawTask, SealedBatch

if TYPE_CHECKING:
    from collector_processor.journal.environment import LmdbTransaction


class JournalReader:
    """Opens the journal that another process writes. Read transactions are short: an idle one keeps pages alive."""

    def __init__(self, folder: Path) -> None:
        try:
            self._lmdb = lmdb.open(str(folder), readonly=True, max_dbs=16, create=False, lib_version=0, map_size=0)
        except lmdb.Error as error:
            raise JournalError(f"the journal {folder} can't be read: {error}") from error
        self._databases = {name: self._lmdb.open_db(name.encode(), create=False) for name in DATABASES}

    def batch(self, batch_id: UUID) -> tuple[SealedBatch, list[RawTask]] | None:
        """A sealed batch and its tasks' spans, or None when it was completed meanwhile.

        Raises:
            DamagedEntryError: a span's bytes don't match their checksum.
        """
        with self._begin() as transaction:
            batch = read_batch(transaction, self._databases, batch_id)
            if batch is None:
                return None
            tasks = [RawTask(task, read_payloads(transaction, self._databases, task)) for task in batch.tasks]
            return batch, tasks

    def _begin(self) -> LmdbTransaction:
        try:
            return self._lmdb.begin()
        except lmdb.MapResizedError:
            self._lmdb.set_mapsize(0)  # the writer has raised it
            return self._lmdb.begin()

    def close(self) -> None:
        """Let go of the environment."""
        self._lmdb.close()
