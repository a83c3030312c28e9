"""What an application wrote is on no disk in clear, and unreadable for good soon after its task was stored."""

from __future__ import annotations

import errno
import gc
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from support.at_rest import holding
from support.lifecycle import payload
from support.running_front import RunningFront
from support.spans import Piece

from collector_processor.app.journalling.sealing import SECOND
from collector_processor.errors import LostKeyError, OverloadedError
from collector_processor.journal import cipher, kept
from collector_processor.journal.cipher import Decryption
from collector_processor.journal.format import DeadLetter, UndecodableSpan
from collector_processor.journal.reader import JournalReader, read_batch, read_task, rows_of
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Applied, Refused, Signal

EPOCH = cipher.EPOCH_NS // SECOND
HOUR = 3600


class Running(RunningFront):
    """Its spans may carry a secret, and it may die."""

    def die(self) -> None:
        """What the disk has is all that is left."""
        self.front._commit.stop()
        self.front._environment._lmdb.close()
        os.close(self.front._environment._lock)

    def send(self, *pieces: Piece, secret: bytes = b"") -> None:
        spans = [piece.message() for piece in pieces]
        for span in spans:
            span.attributes.append(KeyValue(key="note", value=AnyValue(bytes_value=secret)))
        self.run(self.front.accept(payload(spans), Signal.TRACES))

    def wait(self, seconds: int, then: int = 11) -> None:
        super().wait(seconds, then)  # at the second tick it is time again to let keys go

    def store(self, applied: Applied | None = None) -> None:
        """As it is, or with another answer of the database."""
        self.wait(11)
        for batch in self.waiting:
            done = applied or Applied(in_points=batch.spans, accepted=batch.tasks)
            self.run(self.front.complete(batch.id, done))
        self.waiting.clear()

    def epochs(self) -> set[int]:
        return {int(path.name) for path in self.keys.iterdir()}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running.over(tmp_path, journal_max_bytes=16 << 20) as running:
        yield running


@pytest.fixture
def secret() -> bytes:
    return secrets.token_hex(16).encode()


def task(trace: int, span: int = 1, parent: int = 0) -> Piece:
    return Piece(trace, span, parent, "task")


def payloads(running: Running) -> bytes:
    """Everything that the sealed batches hold, as a worker would get it."""

    def read(transaction: Transaction) -> bytes:
        batches = [read_batch(transaction.view, waiting.id) for waiting in running.waiting]
        tasks = [task for batch in batches if batch for task in batch.tasks]
        return b"".join(payload for task in tasks for _, payload, _ in read_task(transaction.view, task).payloads)

    found: bytes = running.ask(read)
    return found


# -- In no file ------------------------------------------------------------------------------------


def test_what_an_application_wrote_is_in_no_file_in_clear(running: Running, secret: bytes) -> None:
    trace = Piece(int.from_bytes(secret[:16], "big"), 1, 0, "task")
    running.send(trace, secret=secret)
    running.send(task(2), secret=secret * 10_000)  # in many parts
    assert holding(running.folder, secret) == set()
    assert "journal/data.mdb" in holding(running.folder, trace.trace_id)  # so the search sees what is there
    running.wait(11)
    assert payloads(running).count(secret) == 10_001
    running.die()
    assert holding(running.folder, secret) == set()
    running.begin()
    assert payloads(running).count(secret) == 10_001
    running.store()
    assert holding(running.folder, secret) == set()


def test_dead_letters_and_undecodable_spans_are_in_no_file_in_clear(running: Running, secret: bytes) -> None:
    running.send(task(1), secret=secret)
    running.send(task(2))
    running.wait(11)
    refused = Refused(task(1).trace_id, task(1).span_id, 1, f"a message that holds {secret.decode()}")
    spoiled = (task(2).trace_id, task(2).span_id, secret, f"reason {secret.decode()}")
    running.store(Applied(undecodable=1, refused=(refused,), undecodable_spans=(spoiled,)))
    assert holding(running.folder, secret) == set()
    ((_, letter),) = running.ask(lambda transaction: list(kept.read(transaction.view, "dead")))
    assert secret in letter.payloads[0][1]
    assert secret.decode() in letter.error
    (span,) = running.loop.run_until_complete(running.front.undecodable(9))
    assert span.raw == secret


# -- For good --------------------------------------------------------------------------------------


def test_the_key_goes_with_the_epochs_last_value(running: Running, secret: bytes, tmp_path_factory) -> None:
    """Whoever takes the whole disk afterwards can't read what its freed pages hold."""
    running.send(task(1), secret=secret)
    running.wait(11)
    (epoch,) = running.epochs()
    key = (running.keys / str(epoch)).read_bytes()
    assert holding(running.folder, key) == {f"journal/keys/{epoch}"}
    batch_id = running.waiting[0].id
    copy = tmp_path_factory.mktemp("copy") / "journal"
    running.end()
    shutil.copytree(running.folder / "journal", copy)  # with the values not even freed
    running.begin()
    running.store()
    assert running.epochs() == {epoch}
    running.wait(EPOCH)
    assert running.epochs() == set()
    assert holding(running.folder, key) == set()

    shutil.rmtree(copy / "keys")
    reader = JournalReader(copy)
    read = reader.batch(batch_id)
    assert read is not None
    assert (read.tasks, [refused.trace_id for refused in read.damaged]) == ([], [task(1).trace_id])
    (copy / "keys").mkdir()
    (copy / "keys" / str(epoch)).write_bytes(key)  # the key alone decides
    read = reader.batch(batch_id)
    reader.close()
    assert read is not None
    assert secret in read.tasks[0].payloads[0][1]


def test_a_task_that_stays_open_for_hours_keeps_no_old_key_alive(running: Running, secret: bytes) -> None:
    """Its spans are encrypted anew, also those it shares a request with that are stored long ago."""
    running.send(Piece(9, 2, 1, "tool"), secret=secret)
    seen: list[set[int]] = []
    for trace in range(10, 50):
        running.send(task(trace))
        running.store()
        running.wait(EPOCH // 8)
        seen.append(running.epochs())
    assert len(set.union(*seen)) > 4
    assert max(map(len, seen)) <= 2
    assert running.now - min(running.epochs()) < 2 * EPOCH
    running.die()
    running.begin()
    running.send(task(9))
    running.wait(11)
    assert payloads(running).count(secret) == 1
    assert running.front.unreadable == {}


def test_a_journal_that_nothing_leaves_is_not_written_again_and_again(running: Running) -> None:
    """The database is away: no page has been freed, so there is nothing to make unreadable."""
    for trace in range(10, 14):
        running.send(task(trace))
        running.wait(EPOCH)
    epochs = running.epochs()
    assert len(epochs) >= 4
    written = running.front._environment.lmdb.info()["last_txnid"]
    running.wait(HOUR)
    assert running.epochs() >= epochs - {max(epochs)}
    assert running.front._environment.lmdb.info()["last_txnid"] - written <= 2
    running.store()
    running.wait(EPOCH)
    assert running.epochs() == set()


@pytest.mark.parametrize(
    ("bound", "value", "steps"),
    [("MOVED_BYTES", 1000, [6, 4, 2]), ("MOVED_ROWS", 2, [6, 4, 2]), ("LOOKED_AT", 3, [4, 1])],
)
def test_a_large_epoch_is_moved_step_by_step(
    running: Running, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, steps: list[int]
) -> None:
    monkeypatch.setattr(f"collector_processor.journal.rows.{bound}", value)
    open_spans = [Piece(trace, 2, 1, "tool") for trace in range(1, 11)]
    for piece in open_spans:
        running.send(piece, secret=bytes(500))
        for other in range(3):
            running.send(task(piece.trace * 100 + other))
    running.store()
    (old,) = running.epochs()
    running.wait(EPOCH)
    left = []
    while old in running.epochs():
        left.append(running.front._commit.epochs[old].live)
        running.loop.run_until_complete(running.front.tick())
    assert left == steps
    running.send(*(task(piece.trace) for piece in open_spans))
    running.wait(11)
    assert payloads(running).count(bytes(500)) == 10


# -- What is kept ----------------------------------------------------------------------------------


def keep(running: Running, trace: int, raw: bytes) -> None:
    running.send(task(trace))
    running.store(Applied(undecodable=1, undecodable_spans=((task(trace).trace_id, bytes(8), raw, "no UTF-8"),)))


def test_what_is_kept_has_a_key_of_its_own_that_changes_when_some_of_it_goes(running: Running, secret: bytes) -> None:
    keep(running, 1, secret)
    keep(running, 2, b"another")
    running.wait(EPOCH)
    (old,) = running.epochs()
    assert running.front._commit.epochs[old].kept
    key = (running.keys / str(old)).read_bytes()
    running.wait(24 * HOUR)
    assert running.epochs() == {old}
    running.die()
    running.begin()
    running.wait(24 * HOUR)
    assert running.epochs() == {old}

    def mine(item: DeadLetter | UndecodableSpan) -> bool:
        return isinstance(item, UndecodableSpan) and item.raw == secret

    assert len(running.ask(lambda transaction: transaction.erase_kept(mine))) == 1
    running.wait(11)
    (new,) = running.epochs()
    assert new != old
    assert holding(running.folder, key) == set()
    (span,) = running.loop.run_until_complete(running.front.undecodable(9))
    assert span.raw == b"another"


# -- Crashes and lost keys -------------------------------------------------------------------------


def test_a_key_that_a_crash_left_without_values_is_destroyed_at_the_start(running: Running) -> None:
    running.send(task(1))
    running.store()
    running.die()  # after the last value has gone, before its key has
    (running.keys / "1759999999").write_bytes(b"")  # before a key was written to its end
    (running.keys / "1759999999").chmod(0o600)
    assert len(running.epochs()) == 2
    running.begin()
    assert running.epochs() == set()


def test_a_crash_after_a_key_was_destroyed_is_no_loss(running: Running, capfd) -> None:
    running.send(task(1))
    running.store()
    (destroyed,) = running.epochs()
    running.die()
    (running.keys / str(destroyed)).unlink()
    running.begin()
    assert running.front.unreadable == {}
    assert "a key is lost" not in capfd.readouterr().out


def test_a_good_end_leaves_no_key_that_nobody_needs(running: Running) -> None:
    running.send(task(1))
    running.store()
    assert len(running.epochs()) == 1
    running.end()
    assert running.epochs() == set()
    running.begin()


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: os.truncate(path, 3)], ids=["missing", "cut short"])
def test_with_a_lost_key_its_entries_are_told_and_refused_and_all_else_goes_on(running: Running, spoil) -> None:
    for trace in (1, 2, 3):
        running.send(task(trace))
    running.wait(11)
    (lost,) = running.epochs()
    running.send(Piece(4, 2, 1, "tool"))  # open for long
    running.die()
    spoil(running.keys / str(lost))
    running.begin()
    ((problem, values),) = running.front.unreadable.items()
    assert (str(running.keys / str(lost)) in problem, values) == (True, 4)
    running.send(task(5))
    running.wait(11)
    assert [batch.tasks for batch in running.waiting] == [3, 1]
    running.end()
    reader = JournalReader(running.front.folder)
    reads = [reader.batch(batch.id) for batch in running.waiting]
    reader.close()
    waiting = running.waiting
    running.begin()
    assert reads[0] is not None
    assert reads[1] is not None
    assert (len(reads[0].tasks), len(reads[0].damaged)) == (0, 3)
    assert (len(reads[1].tasks), len(reads[1].damaged)) == (1, 0)
    for batch, applied in zip(
        waiting, (Applied(refused=tuple(reads[0].damaged)), Applied(in_points=1, accepted=1)), strict=True
    ):
        running.loop.run_until_complete(running.front.complete(batch.id, applied))
    running.waiting.clear()
    counters = running.front.counters
    assert (counters.dead, counters.tasks_dead, counters.handed_over, counters.open) == (3, 3, 1, 1)
    running.wait(EPOCH)
    assert list(running.front.unreadable.values()) == [1]


def test_a_damaged_entry_keeps_no_key_alive(running: Running) -> None:
    def damage(transaction: Transaction) -> None:
        ((key, value),) = rows_of(transaction._txn, transaction._dbs["spans"], (1).to_bytes(8, "big"))
        transaction._txn.put(key, value[:-1] + bytes([value[-1] ^ 1]), db=transaction._dbs["spans"])
        transaction.changes += 1

    running.send(Piece(1, 2, 1, "tool"))
    running.ask(damage)
    for trace in range(2, 6):
        running.send(task(trace))
    running.store()
    running.wait(EPOCH)
    assert running.epochs() == set()
    assert running.front.counters.open == 1
    with pytest.raises(LostKeyError, match="entry 1"):
        running.ask(lambda transaction: transaction.headers(1))


def test_a_disk_that_takes_no_key_refuses_requests_until_it_does(running: Running, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("collector_processor.journal.keys.sync_folder", full)
        with pytest.raises(OverloadedError, match="No space left on device"):
            running.send(task(1))
        assert "check the disk" in (running.front.problem or "")
    assert (running.front.counters.received, running.epochs()) == (0, set())
    running.send(task(1))
    assert (running.front.problem, running.front.counters.open) == (None, 1)


def test_a_key_that_cannot_be_destroyed_now_is_destroyed_soon(running: Running, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    running.send(task(1))
    running.store()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        running.wait(EPOCH)
    assert len(running.epochs()) == 1
    running.wait(11)
    assert running.epochs() == set()
    assert running.front.problem is None


# -- Workers ---------------------------------------------------------------------------------------


WORKER = """
import sys
from pathlib import Path
from uuid import UUID
from collector_processor.journal.cipher import Decryption
from collector_processor.journal.reader import JournalReader

decrypt = Decryption.decrypt

def wait_once(*arguments):
    Decryption.decrypt = decrypt
    print("in the middle", flush=True)
    sys.stdin.readline()
    return decrypt(*arguments)

Decryption.decrypt = wait_once
batch = JournalReader(Path(sys.argv[1])).batch(UUID(sys.argv[2]))
print(len(batch.tasks), len(batch.damaged))
"""


def test_a_worker_in_the_middle_of_a_batch_follows_values_that_move(running: Running) -> None:
    """It sees the journal as it was when it began, and the key it wants has been destroyed since."""
    running.send(task(1))
    running.wait(11)
    batch = running.waiting.pop()
    for trace in range(2, 6):
        running.send(task(trace))
    running.store()
    (old,) = running.epochs()
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(running.front.folder), str(batch.id)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "in the middle\n"
    running.wait(EPOCH)
    assert running.epochs()
    assert old not in running.epochs()
    told, _ = worker.communicate("\n", timeout=60)
    assert told.split() == ["1", "0"]


def test_a_worker_holds_no_key_after_its_batch(running: Running) -> None:
    running.send(task(1))
    running.wait(11)
    running.end()
    reader = JournalReader(running.front.folder)
    assert reader.batch(running.waiting[0].id) is not None
    assert [held for held in gc.get_objects() if type(held) is Decryption] == []
    reader.close()
    running.begin()
