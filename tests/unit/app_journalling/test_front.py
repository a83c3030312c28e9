"""The front over a long time and a damaged disk: what it may forget, what it must keep. The database is left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from support.running_front import RunningFront
from support.spans import Piece

from collector_processor.app.journalling import sealing
from collector_processor.app.journalling.sealing import (
    MAX_BATCH_BYTES,
    MAX_BATCH_SPANS,
    MAX_BATCH_TASKS,
    _batches,
)
from collector_processor.app.storing.pipeline import Pipeline
from collector_processor.assemble.messages import RawTraces
from collector_processor.convert import FoldSettings
from collector_processor.guard import GateSettings, Protector
from collector_processor.journal import analyses, kept
from collector_processor.journal.analyses import Analysed
from collector_processor.journal.format import DeadLetter
from collector_processor.journal.kept import UNDECODABLE_SHARE
from collector_processor.journal.reader import JournalReader, rows_of
from collector_processor.journal.transaction import Transaction
from collector_processor.model.sampling import Facet
from collector_processor.model.stages import (
    Applied,
    Closing,
    Due,
    Link,
    LinkReason,
    Member,
    Refused,
    SealedBatch,
    SealedTask,
    SealKind,
)

MINUTE = 60
JOURNAL_BYTES = 16 << 20


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningFront]:
    with RunningFront.over(tmp_path, journal_max_bytes=JOURNAL_BYTES) as running:
        yield running


def task(number: int, parent: int = 99) -> Piece:
    return Piece(1, number, parent, "task")


# -- Flush -----------------------------------------------------------------------------------------


def test_a_flush_seals_all_there_is_a_share_of_it_in_each_commit(running: RunningFront, monkeypatch) -> None:
    monkeypatch.setattr(sealing, "FLUSHED_AT_ONCE", 2)
    running.send(*(Piece(trace, 1, 0, "task") for trace in range(1, 6)))
    assert running.run(running.front.flush()) == 5
    assert [batch.tasks for batch in running.waiting] == [2, 2, 1]
    assert running.run(running.front.flush()) == 0
    running.assert_balanced()


# -- Stored tasks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "duplicates"), [(4, 2), (6, 0)])
def test_spans_of_a_stored_task_are_known_until_the_closed_timeout(tmp_path, minutes, duplicates):
    with RunningFront.over(tmp_path, closed_timeout=5 * MINUTE) as running:
        pieces = Piece(1, 1, 0, "task"), Piece(1, 2, 1, "foreign")
        running.send(*pieces)
        running.store()
        running.wait(minutes * MINUTE)
        running.send(*pieces)
        assert running.front.counters.duplicate == duplicates


def test_a_clock_that_was_set_back_puts_off_neither_sealing_nor_forgetting(tmp_path):
    with RunningFront.over(tmp_path, closed_timeout=5 * MINUTE) as running:
        running.wait(60 * MINUTE)
        running.now -= 60 * MINUTE
        running.wait(1)
        running.send(task(1))
        running.wait(11)
        assert [batch.tasks for batch in running.waiting] == [1]
        running.store()
        running.wait(6 * MINUTE)
        running.send(task(1))
        assert running.front.counters.duplicate == 0


# -- Analyses --------------------------------------------------------------------------------------


def spans(transaction: Transaction) -> list[tuple[bytes, bytes]]:
    return [*rows_of(transaction._txn, transaction._dbs["spans"])]


def analyse(number: int) -> Due:
    return Due(task(number).trace_id, task(number).span_id, (Facet.CONVERSATION, Facet.AST))


def test_spans_stay_for_their_analysis_over_a_restart_and_no_longer(running: RunningFront) -> None:
    running.send(task(1), Piece(1, 2, 1, "tool"), task(3))
    running.wait(MINUTE)
    running.complete(Applied(in_points=3, accepted=2, analyses=(analyse(1),)))
    running.end()
    reader = JournalReader(running.front.folder)
    ((number, analysis),) = reader.analyses(0, 10)
    assert [len(positions) for _, _, positions in reader.task(analysis).payloads] == [2]
    assert reader.analyses(number, 10) == []
    reader.close()
    running.begin()
    counters = running.front.counters
    assert (counters.samples_kept, counters.samples_pending, counters.open) == (2, 2, 0)
    running.send(Piece(1, 4, 1, "tool"))
    assert running.front._assembler.summary().with_task == 0, "the task was taken for an open one"
    for _ in range(2):
        running.loop.run_until_complete(running.front.analysed([Analysed(number)]))
    assert running.front.counters.samples_stored == 2
    ((left, _),) = running.ask(spans)
    assert left[7] == 3, "the fragments before the last one are gone"


def test_above_its_share_of_the_journal_an_analysis_is_shed(running: RunningFront) -> None:
    big = Piece(1, 2, 1, "tool", "x" * (JOURNAL_BYTES // 3))
    running.send(task(1), big, task(3))
    running.wait(MINUTE)
    running.complete(Applied(in_points=3, accepted=2, analyses=(analyse(1), analyse(3))))
    found = [analysis for _, analysis in running.ask(lambda transaction: [*analyses.pending(transaction.view)])]
    assert [(len(each.shed), len(each.members)) for each in found] == [(2, 0), (0, 1)]
    assert running.front.counters.analysis_bytes == sum(each.size for each in found) < 2000
    assert len(running.ask(spans)) == 1


def test_a_late_decision_has_no_spans(running: RunningFront) -> None:
    running.send(task(1))
    running.wait(MINUTE)
    running.complete(Applied(in_points=1, accepted=1))
    running.send(Piece(1, 2, 1, "tool"))
    running.wait(MINUTE)
    running.complete(Applied(in_points=1, revised=1, analyses=(analyse(1),)))
    ((number, analysis),) = running.ask(lambda transaction: [*analyses.pending(transaction.view)])
    assert (analysis.members, analysis.shed) == ((), ())
    running.loop.run_until_complete(running.front.analysed([Analysed(number, void=True)]))
    assert running.front.counters.samples_void == 2


def test_more_analyses_than_can_be_remembered_are_forgone(
    running: RunningFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector_processor.journal.analyses.MAX_ROWS", 1)
    running.send(task(1), task(2))
    running.wait(MINUTE)
    running.complete(Applied(in_points=2, accepted=2, analyses=(analyse(1), analyse(2))))
    counters = running.front.counters
    assert (counters.samples_kept, counters.samples_pending, counters.samples_forgone) == (4, 2, 2)


# -- A long time -----------------------------------------------------------------------------------


def test_an_endless_trace_takes_no_memory_for_what_the_journal_has_forgotten(running: RunningFront) -> None:
    """Its worker loop never ends, so there is always an open span, and spans of tasks that are long stored."""
    running.send(Piece(1, 99, 100, "foreign"))
    sizes = []
    for number in range(1, 41):
        running.send(task(number))
        running.wait(MINUTE)
        running.complete(Applied(in_points=1, accepted=1))
        (trace,) = running.front._assembler._traces.values()
        assert trace.known is not None
        sizes.append(len(trace.known.closed))
    assert max(sizes) < 20
    running.send(task(40))
    assert running.front.counters.duplicate == 1


def test_expiry_goes_on_where_more_is_due_than_one_transaction_takes(running: RunningFront) -> None:
    def leave_links(transaction: Transaction) -> None:
        for number in range(5):
            link = Link(number.to_bytes(8, "big"), bytes(8), LinkReason.FOREIGN)
            closing = Closing(number.to_bytes(16, "big"), None, b"", (), (link,))
            transaction.seal(SealedBatch(msgspec.UNSET, 0, ()), [closing], now=0, links_kept=1)

    running.ask(leave_links)
    first = running.ask(lambda transaction: transaction.expire(10, lambda *_: False, limit=3))
    rest = running.ask(lambda transaction: transaction.expire(10, lambda *_: False, limit=3))
    assert (len(first.forgotten), first.all_of_it) == (3, False)
    assert (len(rest.forgotten), rest.all_of_it) == (2, True)
    assert (
        running.ask(
            lambda transaction: [
                row for name in ("links", "expiry") for row in rows_of(transaction._txn, transaction._dbs[name])
            ]
        )
        == []
    )


# -- Batches ---------------------------------------------------------------------------------------


def closing(spans: int, size: int) -> Closing:
    sealed = SealedTask(SealKind.TASK, bytes(16), bytes(8), (Member(1, 0, tuple(range(spans))),))
    return Closing(bytes(16), sealed, b"", (), (), size=size)


@pytest.mark.parametrize(
    ("closings", "batches"),
    [
        ([closing(1, 100)] * (MAX_BATCH_TASKS + 1), [MAX_BATCH_TASKS, 1]),
        ([closing(MAX_BATCH_SPANS // 2, 100)] * 5, [2, 2, 1]),
        ([closing(1, MAX_BATCH_BYTES // 2)] * 5, [2, 2, 1]),
        ([closing(1, 100), closing(1, 2 * MAX_BATCH_BYTES), closing(1, 100)], [1, 1, 1]),
    ],
    ids=["tasks", "spans", "bytes", "one larger than a batch"],
)
def test_a_batch_is_no_more_than_a_worker_can_hold(closings: list[Closing], batches: list[int]) -> None:
    assert [len(share) for share in _batches(closings)] == batches


# -- What could not be stored ----------------------------------------------------------------------


def letters(transaction: Transaction) -> list[DeadLetter]:
    return [letter for _, letter in kept.read(transaction.view, "dead")]


def refused(piece: Piece) -> Refused:
    return Refused(piece.trace_id, piece.span_id, 1, "the database will not take it")


def test_every_refused_orphan_of_a_trace_is_kept_and_no_other(running: RunningFront) -> None:
    evaluations = [Piece(1, number, 0, "evaluation") for number in (1, 2, 3)]
    running.send(*evaluations)
    running.wait(11)
    running.complete(Applied(orphaned=1, refused=(refused(evaluations[0]), refused(evaluations[2]))))
    buried = running.ask(letters)
    assert [letter.error for letter in buried] == ["the database will not take it"] * 2
    held = [RawTraces.FromString(payload).resource_spans for letter in buried for _, payload, _ in letter.payloads]
    assert [len(resource.scope_spans[0].spans) for (resource,) in held] == [1, 1]
    assert sorted(headers[:8] for letter in buried for _, headers in letter.headers) == [
        evaluation.span_id for evaluation in (evaluations[0], evaluations[2])
    ]
    assert running.front.counters.dead == 2


def test_undecodable_spans_do_not_fill_the_journal(running: RunningFront) -> None:
    room = JOURNAL_BYTES // UNDECODABLE_SHARE
    for number in range(1, 6):
        running.send(task(number, parent=0))
        running.wait(11)
        spoiled = (bytes(16), bytes(8), bytes(room // 3), "no UTF-8")
        running.complete(Applied(undecodable=1, undecodable_spans=(spoiled,)))
    assert running.front.counters.undecodable == 5
    assert len(running.loop.run_until_complete(running.front.undecodable(100))) == 2
    assert running.ask(lambda transaction: transaction.used_bytes()) < JOURNAL_BYTES // 10


# -- A damaged disk --------------------------------------------------------------------------------


def damage(transaction: Transaction, sequence: int) -> None:
    """Flip a bit of a journalled fragment."""
    ((key, value),) = rows_of(transaction._txn, transaction._dbs["spans"], sequence.to_bytes(8, "big"))
    transaction._txn.put(key, value[:-1] + bytes([value[-1] ^ 1]), db=transaction._dbs["spans"])
    transaction.changes += 1


def test_a_damaged_task_is_refused_and_its_batch_goes_on(running: RunningFront) -> None:
    running.send(task(1))
    running.send(Piece(2, 1, 0, "task"))
    running.wait(11)
    running.ask(lambda transaction: damage(transaction, 1))
    running.end()  # LMDB opens a file once in a process
    reader = JournalReader(running.front.folder)
    read = reader.batch(running.waiting[0].id)
    reader.close()
    running.begin()
    assert read is not None
    prepared = Pipeline(Protector(None, None), FoldSettings(), GateSettings()).prepare(*read)
    assert [each.sealed.trace_id[-1] for each in prepared.tasks] == [2]
    (lost,) = prepared.refused
    assert (lost.trace_id[-1], lost.spans) == (1, 1)
    running.complete(Applied(in_points=1, accepted=1, refused=prepared.refused))
    (letter,) = running.ask(letters)
    assert "authentication tag" in letter.error
    counters = running.front.counters
    assert (counters.dead, counters.tasks_dead, counters.handed_over, counters.sealed) == (1, 1, 1, 0)


def test_after_a_start_a_damaged_fragment_holds_no_other_up(running: RunningFront) -> None:
    for trace in (1, 2):
        running.send(Piece(trace, 1, 0, "task"))
    running.ask(lambda transaction: damage(transaction, 1))
    running.end()
    running.begin()
    running.wait(11)
    assert [batch.tasks for batch in running.waiting] == [1]
    running.complete(Applied(in_points=1, accepted=1))
    # Its spans can be sent again; the damaged bytes stay where they are.
    running.send(Piece(1, 1, 0, "task"), Piece(1, 2, 1, "tool"))
    running.wait(11)
    assert [batch.spans for batch in running.waiting] == [2]
    assert running.front.counters.open == 1
