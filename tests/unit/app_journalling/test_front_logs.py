"""Log records in the front: beside spans in the index, under the limits, in erasures, and never forwarded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from support.logs import CONTENT, evaluated, log
from support.running_front import RunningFront
from support.spans import Piece

from collector_processor.app.journalling.sealing import SECOND, Waiting
from collector_processor.app.journalling.subject import Subject
from collector_processor.errors import OverloadedError
from collector_processor.journal import kept, letters
from collector_processor.model.sampling import SamplingState
from collector_processor.model.stages import Applied, Refused, SealKind
from collector_processor.store.erasure import Kind
from otel_benchmark import attributes as a

T = TypeVar("T")
TASK = Piece(1, 1, 0, "task")


def on_task(score: float = 0.7, *, span: int = 1, **said: str) -> LogRecord:
    return evaluated(score, span=span, trace_id=TASK.trace_id, attributes=said)


def content(span: int = 1, *, at: float = 650, body: str = "Hello") -> LogRecord:
    return log(CONTENT, span=span, trace_id=TASK.trace_id, at=at, body=body)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningFront]:
    with RunningFront.over(tmp_path) as running:
        yield running


def test_a_worker_gets_log_records_apart_from_spans(running: RunningFront) -> None:
    running.send(TASK, Piece(1, 2, 1, "tool"))
    running.log(on_task(), content(2))
    running.wait(11)
    (task,) = running.tasks()
    assert (task.sealed.kind, task.sealed.spans) == (SealKind.TASK, 4)
    assert [positions for _, _, positions in task.payloads] == [(0, 1)]
    assert [positions for _, _, positions in task.logs] == [(0, 1)]


def test_after_its_task_a_record_is_late(running: RunningFront) -> None:
    running.send(TASK)
    running.wait(11)
    running.complete(Applied(in_points=1, accepted=1))
    running.log(on_task())
    running.wait(11)
    (task,) = running.tasks()
    assert (task.sealed.kind, task.sealed.span_id, task.payloads) == (SealKind.LATE, TASK.span_id, [])
    running.complete(Applied(in_points=1, revised=1))
    running.log(on_task())
    assert running.front.counters.duplicate == 1


def test_a_limit_sheds_messages_before_evaluations(tmp_path: Path) -> None:
    with RunningFront.over(tmp_path, max_task_spans=3) as running:
        running.send(TASK)
        running.log(*(content(at=number) for number in range(5)), on_task(0.1), on_task(0.2))
        running.wait(11)
        (task,) = running.tasks()
        assert (task.sealed.truncated, [positions for _, _, positions in task.logs]) == (True, [(5, 6)])
        assert running.front.counters.truncated == 5


def test_log_records_are_not_forwarded(running: RunningFront) -> None:
    running.send(Piece(1, 90, 0, "foreign"), Piece(1, 1, 90, "task"))
    running.log(content(90))
    running.wait(11)
    running.complete(Applied(in_points=1, accepted=1))
    running.wait(700)
    assert running.front.counters.foreign == 2
    assert [each.positions for each in running.departed] == [(0,)]


def test_what_concerns_no_task_is_counted_though_the_journal_is_full(tmp_path: Path) -> None:
    with RunningFront.over(tmp_path, journal_max_bytes=1 << 20) as running:
        with pytest.raises(OverloadedError):
            running.log(*(content(at=number, body="x" * 50_000) for number in range(30)))
        running.log(log("app.start"), evaluated(trace_id=b""))
        counters = running.front.counters
        assert (counters.received, counters.foreign, counters.traceless) == (2, 1, 1)


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (Subject(Kind.TASK, "mine"), {a.TASK_ID: "mine"}),
        (Subject(Kind.TENANT, "acme"), {a.TENANT_ID: "acme"}),
        (Subject(Kind.USER, "mia"), {a.GEN_AI_EVALUATION_EXPLANATION: "ask Mia, please"}),
    ],
)
def test_an_erasure_finds_log_records(running: RunningFront, subject: Subject, said: dict[str, str]) -> None:
    running.send(Piece(1, 1, 0, "task", "other"))
    running.log(on_task(**said), evaluated(span=1, trace_id=b"\x02" * 16))
    withdrawn = running.loop.run_until_complete(running.front.withdraw(subject, dry=False))
    assert withdrawn.removed == {"open_spans": 2}
    assert [key.span_id for key in withdrawn.tasks] == [TASK.span_id]
    running.log(on_task(**said))
    assert running.front.counters.duplicate == 1


def test_what_is_sealed_or_dead_is_found_by_its_log_records(running: RunningFront) -> None:
    mine = {a.TASK_ID: "mine"}
    running.log(on_task(**mine))
    running.wait(601)
    subject = Subject(Kind.TASK, "mine")
    withdrawn = running.loop.run_until_complete(running.front.withdraw(subject, dry=True))
    assert (withdrawn.removed, withdrawn.waiting) == ({"sealed_spans": 1}, 1)
    refused = Refused(TASK.trace_id, TASK.span_id, 1, "the database will not take it")
    running.complete(Applied(refused=(refused,)))
    assert len(running.ask(lambda transaction: list(kept.read(transaction.view, "dead")))) == 1
    withdrawn = running.loop.run_until_complete(running.front.withdraw(subject, dry=False))
    assert withdrawn.removed == {"dead_letters": 1}


def test_a_dead_letter_that_is_tried_again_has_its_log_records(running: RunningFront) -> None:
    running.send(TASK)
    running.log(on_task(), content())
    running.wait(11)
    before = running.tasks()[0].logs[0][1]
    running.complete(Applied(refused=(Refused(TASK.trace_id, TASK.span_id, 3, "the database will not take it"),)))
    (batch,) = running.ask(
        lambda transaction: letters.retry(
            transaction, letters.letter_ids(transaction.view), running.now * SECOND, SamplingState()
        )
    )
    running.waiting.append(Waiting(batch.id, batch.sealed_at, 1, batch.spans))
    (task,) = running.tasks()
    assert [payload for _, payload, _ in task.logs] == [before]
    assert (len(task.payloads), task.sealed.spans) == (1, 3)


# -- Evaluations before their task ---------------------------------------------------------------------------


def orphans(running: RunningFront) -> list[SealKind]:
    return [task.sealed.kind for task in running.tasks()]


def test_alone_in_its_trace_an_evaluation_goes_ahead_after_foreign_timeout(running: RunningFront) -> None:
    running.log(on_task())
    running.send(Piece(2, 5, 1, "evaluation"), Piece(2, 6, 5, "foreign"))
    running.wait(590)
    assert running.waiting == []
    running.wait(11)
    assert orphans(running) == [SealKind.ORPHAN] * 2
    assert (running.front.counters.open, running.front.counters.foreign) == (0, 1)
    running.complete(Applied(orphaned=2))
    # The one that follows is no sign of a task either, and the same one again is known.
    running.log(on_task(0.9), on_task())
    assert running.front.counters.duplicate == 1
    running.wait(601)
    assert orphans(running) == [SealKind.ORPHAN]


def test_a_task_that_comes_after_it_has_nothing_to_flag(running: RunningFront) -> None:
    running.log(on_task())
    running.wait(601)
    running.complete(Applied(orphaned=1))
    running.send(TASK)
    running.wait(11)
    (task,) = running.tasks()
    assert (task.sealed.kind, task.sealed.children_given_away) == (SealKind.TASK, False)


@pytest.mark.parametrize("kind", ["tool", "route", "execution"])
def test_beside_another_lifecycle_span_it_waits_for_the_task(running: RunningFront, kind: str) -> None:
    running.send(Piece(1, 2, 1, kind))
    running.log(on_task())
    running.wait(23 * 3600)
    assert running.waiting == []
    running.send(TASK)
    running.wait(11)
    (task,) = running.tasks()
    assert task.sealed.spans == 3
