"""Group commit: one thread turns all the operations that wait into one LMDB transaction and one sync.

An operation runs inside the transaction and returns a result; after the commit its `committed` callback runs in the
same thread (there the index changes), then its future resolves. So nothing that memory knows is ahead of the
disk, and whoever awaits the future knows that its bytes are durable.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, Generic, NamedTuple, TypeVar

import lmdb
import msgspec

from collector_processor.errors import BenchmarkError, JournalError, KeyWriteError
from collector_processor.journal.cipher import Encryption
from collector_processor.journal.environment import Environment
from collector_processor.journal.format import Counters, Epoch
from collector_processor.journal.reader import live_bytes, read_counters, read_epochs
from collector_processor.journal.rows import EncryptedRows
from collector_processor.journal.transaction import Transaction
from collector_processor.telemetry import get_logger, metrics

log = get_logger(__name__)
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
        on_gone: called in the thread with the sequences of fragments that a commit has taken out of the journal.

    Attributes:
        counters: as last committed; replaced whole, so that a reader sees one snapshot.
        epochs: likewise.
        used_bytes: live pages after the last commit.
        problem: why nothing can be written; None while all is well.
    """

    def __init__(self, environment: Environment, on_gone: Callable[[Sequence[int]], None] = lambda _: None) -> None:
        self._environment = environment
        self._on_gone = on_gone
        self._queue: queue.SimpleQueue[_Item[object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal-commit", daemon=True)
        with environment.lmdb.begin() as transaction:
            self.counters: Counters = read_counters(transaction, environment.databases)
            self.epochs: dict[int, Epoch] = read_epochs(transaction, environment.databases)
            self.used_bytes = sum(live_bytes(transaction, database) for database in environment.databases.values())
        self._encryption = Encryption(environment.keys, self.epochs)
        self.problem: str | None = None
        self._broken = False

    def start(self) -> None:
        """Begin to work off the queue. Keys that a crash has left without a value are destroyed."""
        for number, problem in self._encryption.lost.items():
            if values := self.epochs[number].live:  # else a crash came between its destruction and the next commit
                log.critical("journal: a key is lost", problem=problem, values=values)
        self.destroy_unused_keys()
        self._thread.start()

    def submit(self, operation: Operation[T], committed: Callable[[T], None] | None = None) -> Future[T]:
        """Queue an operation.

        An operation's own error goes to its own future and leaves no trace; the others go on. When the commit
        itself fails, every future of the group gets a JournalError and nothing has changed. An operation whose
        future was cancelled before its turn is left out.
        """
        future: Future[T] = Future()
        self._queue.put(_Item(operation, committed, future))  # type: ignore[arg-type]  # the queue forgets each item's T
        return future

    def stop(self) -> None:
        """Work off what is queued, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    @property
    def unreadable(self) -> dict[str, int]:
        """Values whose key is lost, by what is wrong with it."""
        lost = self._encryption.lost.items()
        return {problem: self.epochs[number].live for number, problem in lost if number in self.epochs}

    def destroy_unused_keys(self) -> None:
        """Destroy the keys of epochs that are over and have no values. In the thread, or while it doesn't run."""
        current = self._encryption.current
        self.epochs = {number: epoch for number, epoch in self.epochs.items() if epoch.live or number in current}
        try:
            self._encryption.destroy_unused(self.epochs)
        except OSError as error:
            log.error("journal: a key could not be destroyed; tried again soon", problem=str(error))  # noqa: TRY400  # the message says it

    def end_epochs(self) -> None:
        """After `stop`: no key outlives the last value that it is needed for."""
        self._encryption.end()
        self.destroy_unused_keys()

    def _run(self) -> None:
        running = True
        while running:
            group: list[_Item[object]] = []
            item = self._queue.get()
            while True:
                if item is None:
                    running = False
                    break
                # From here on nobody can give up waiting: a cancelled future would refuse its result.
                if item.future.set_running_or_notify_cancel():
                    group.append(item)
                if len(group) >= MAX_GROUP:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if group:
                self._answer(group)

    def _answer(self, group: list[_Item[object]]) -> None:
        if self._broken:
            self._fail(group)
            return
        try:
            self._commit(group)
        except (lmdb.Error, KeyWriteError) as error:
            self.problem = f"the journal could not be written: {error}; check the disk of DATA_DIR"
            self._fail(group, error)
        except Exception as error:
            # Memory may no longer agree with the disk: nothing is acknowledged until a start has read the disk again.
            log.exception("journal: it is not written any more, start the processor again")
            self._broken = True
            self.problem = f"the journal is not written any more after {error!r}: start the processor again"
            self._fail(group, error)

    def _commit(self, group: list[_Item[object]]) -> None:
        try:
            results = self._transact(group)
        except lmdb.MapFullError:
            # Deletes need free pages too: our own limit is below the map's size, so raising it frees space.
            self._environment.grow()
            results = self._transact([item for item in group if not item.future.done()])
        for item, result in results:
            if isinstance(result, Exception):
                item.future.set_exception(result)
                continue
            if item.committed is not None:
                item.committed(result)
            item.future.set_result(result)

    def _transact(self, group: list[_Item[object]]) -> list[tuple[_Item[object], object]]:
        while True:
            began = time.perf_counter()
            counters, epochs = msgspec.structs.replace(self.counters), dict(self.epochs)
            results: list[tuple[_Item[object], object]] = []
            with self._environment.lmdb.begin(write=True) as raw:
                environment = self._environment
                rows = EncryptedRows(raw, environment.databases, self._encryption, epochs)
                transaction = Transaction(
                    raw,
                    environment.databases,
                    rows,
                    counters,
                    max_bytes=environment.max_bytes,
                    closed_timeout=environment.closed_timeout,
                    used_bytes=self.used_bytes,
                )
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
            self._on_gone(transaction.gone)
            if transaction.changes:
                self.counters, self.epochs = counters, epochs
                self.problem = None
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
            except (lmdb.Error, KeyWriteError):
                raise
            except Exception as error:  # noqa: BLE001  # an operation's own error belongs to its own future
                if transaction.changes != before:
                    return item, error
                # Its frames hold the request, and those above them hold the error: garbage, which amid an overload is
                # collected too late. What is foreseen says all in words.
                result = error.with_traceback(None) if isinstance(error, BenchmarkError) else error
            results.append((item, result))
        return None

    def _fail(self, group: list[_Item[object]], cause: Exception | None = None) -> None:
        for item in group:
            if not item.future.done():
                failure = JournalError(self.problem)
                failure.__cause__ = cause
                item.future.set_exception(failure)
