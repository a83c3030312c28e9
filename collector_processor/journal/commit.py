"""Group commit: one thread turns all the operations that wait into one LMDB transaction and one sync.

An operation runs inside the transaction and returns a result; after the commit its `committed` callback runs in the
same thread (there the index changes), then its future resolves. So nothing that memory knows is ahead of the
disk, and whoever awaits the future knows that its bytes are durable.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Generic, NamedTuple, TypeVar

import lmdb
import msgspec

from collector_processor.errors import JournalError
from collector_processor.journal.environment import Environment
from collector_processor.journal.format import Counters
from collector_processor.journal.reader import read_counters
from collector_processor.journal.transaction import Transaction
from collector_processor.telemetry import metrics

T = TypeVar("T")
Operation = Callable[[Transaction], T]
MAX_GROUP: Final = 256
"""Operations in one transaction: bounds how long the first one waits for the last."""


class _Item(NamedTuple, Generic[T]):
    operation: Operation[T]
    committed: Callable[[T], None] | None
    future: Future[T]


class GroupCommit:
    """The journal's only writer. Thread-safe: `submit` may be called from anywhere.

    Args:
        environment: held open by the caller for as long as this runs.

    Attributes:
        counters: as last committed; replaced whole, so that a reader sees one snapshot.
        used_bytes: live pages after the last commit.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._queue: queue.SimpleQueue[_Item[object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal-commit", daemon=True)
        with environment.lmdb.begin() as transaction:
            self.counters: Counters = read_counters(transaction, environment.databases)
        self.used_bytes = 0
        self.commits = 0

    def start(self) -> None:
        """Begin to work off the queue."""
        self._thread.start()

    def submit(self, operation: Operation[T], committed: Callable[[T], None] | None = None) -> Future[T]:
        """Queue an operation.

        An operation's own error goes to its own future and leaves no trace; the others go on. When the commit
        itself fails, every future of the group gets a JournalError and nothing has changed.
        """
        future: Future[T] = Future()
        self._queue.put(_Item(operation, committed, future))  # type: ignore[arg-type]  # the queue forgets each item's T
        return future

    def stop(self) -> None:
        """Work off what is queued, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        running = True
        while running:
            first = self._queue.get()
            group: list[_Item[object]] = []
            item = first
            while True:
                if item is None:
                    running = False
                    break
                group.append(item)
                if len(group) >= MAX_GROUP:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if group:
                self._commit(group)

    def _commit(self, group: list[_Item[object]]) -> None:
        for attempt in range(2):
            try:
                results = self._transact(group)
                break
            except lmdb.MapFullError as error:
                # Deletes need free pages too: our own limit is below the map's size, so raising it frees space.
                if attempt == 0:
                    self._environment.grow()
                    continue
                return self._fail(group, error)
            except lmdb.Error as error:
                return self._fail(group, error)
        for item, result in results:
            if isinstance(result, Exception):
                item.future.set_exception(result)
                continue
            if item.committed is not None:
                item.committed(result)
            item.future.set_result(result)
        return None

    def _transact(self, group: list[_Item[object]]) -> list[tuple[_Item[object], object]]:
        while True:
            began = time.perf_counter()
            counters = msgspec.structs.replace(self.counters)
            results: list[tuple[_Item[object], object]] = []
            with self._environment.lmdb.begin(write=True) as raw:
                transaction = Transaction(raw, self._environment.databases, counters)
                spoiler = self._operate(group, transaction, results)
                if spoiler is not None:
                    raw.abort()
                    spoiler[0].future.set_exception(spoiler[1])
                    group = [item for item in group if item is not spoiler[0]]
                    continue
                if transaction.changes:
                    transaction.save()
                used = transaction.used_bytes()
            self.used_bytes = used
            if transaction.changes:
                self.counters = counters
                self.commits += 1
                metrics.COMMIT_SECONDS.observe(time.perf_counter() - began)
                metrics.COMMIT_OPERATIONS.observe(len(results))
            return results

    @staticmethod
    def _operate(
        group: list[_Item[object]], transaction: Transaction, results: list[tuple[_Item[object], object]]
    ) -> tuple[_Item[object], Exception] | None:
        """Run every operation; one that fails after it changed something spoils the transaction for all."""
        for item in group:
            before = transaction.changes
            try:
                result = item.operation(transaction)
            except lmdb.Error:
                raise
            except Exception as error:  # noqa: BLE001  # an operation's own error belongs to its own future
                if transaction.changes != before:
                    return item, error
                result = error
            results.append((item, result))
        return None

    @staticmethod
    def _fail(group: list[_Item[object]], error: lmdb.Error) -> None:
        for item in group:
            failure = JournalError(f"the journal could not be written: {error}; check the disk of DATA_DIR")
            failure.__cause__ = error
            item.future.set_exception(failure)
