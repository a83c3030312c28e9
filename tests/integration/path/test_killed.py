"""A processor that is killed or stopped, or whose worker is: what it has acknowledged is stored once."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import psycopg
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.lifecycle import payload, span_id
from support.processor import Own, Processor, fact_spans, listens, select, wait_for_end, wait_until, whole_task

from collector_processor.app.reporting.admin import State


class Arbiter:
    """Sends tasks one after the other for as long as the block takes: in three requests, each until acknowledged."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._thread = threading.Thread(target=self._work)
        self._stopping = self._given_up = False
        self.acknowledged: list[Own] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stopping, self._given_up = True, kind is not None
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping:
            mine = whole_task()
            for spans in (mine.spans[3:], mine.spans[1:3], mine.spans[:1]):
                while not self._is_acknowledged(spans):
                    if self._given_up:
                        return
                    time.sleep(0.01)
            self.acknowledged.append(mine)

    def _is_acknowledged(self, spans: list[Span]) -> bool:
        try:
            return self._processor.post(payload(spans)).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_for(self, tasks: int) -> None:
        wait_until(lambda: len(self.acknowledged) >= tasks)


def test_what_was_acknowledged_survives_kills_of_the_front_in_mid_traffic(new_processor):
    processor = new_processor().start()
    with Arbiter(processor) as arbiter:
        for tasks in (30, 60):
            arbiter.wait_for(tasks)
            wait_for_end(processor.kill())
            processor.start()
        arbiter.wait_for(80)
    sent = arbiter.acknowledged
    processor.settle()
    assert sorted(processor.stored_tasks()) == sorted(mine.task_id for mine in sent)
    for row in processor.rows("SELECT record FROM data_points"):
        assert fact_spans(row["record"]) == {span_id(number).hex() for number in (1, 2, 3, 4, 9)}
    spans = processor.terms()
    assert spans["received"] == spans["handed_over"] + spans["duplicate"]
    assert spans["handed_over"] == 6 * len(sent)
    processor.assert_balanced()
    processor.stop()


@contextmanager
def locked_points(processor: Processor) -> Iterator[psycopg.Connection]:
    """Nobody can write data points for as long as this lasts."""
    processor.fresh_status()  # it has migrated
    with psycopg.connect(processor.database_url) as connection:
        connection.execute("LOCK TABLE benchmark_data.points IN SHARE MODE")
        yield connection
        connection.rollback()


def waiting_backends(processor: Processor) -> set[int]:
    rows = select(
        processor.database_url,
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
    )
    return {row["pid"] for row in rows}


def wait_for_writers(processor: Processor, count: int) -> None:
    wait_until(lambda: len(waiting_backends(processor)) >= count)


def test_a_batch_survives_the_kill_of_its_worker(new_processor):
    with new_processor(WORKERS="2") as processor:
        tasks = [whole_task() for _ in range(10)]
        with locked_points(processor):
            for batches, half in enumerate((tasks[:5], tasks[5:]), start=1):
                for mine in half:
                    processor.send(*mine.spans)
                wait_for_writers(processor, batches)
            before, killed = waiting_backends(processor), processor.workers
            for worker in killed:
                worker.kill()
            wait_for_end(killed)
            wait_until(lambda: len(waiting_backends(processor) - before) == 2)
        processor.settle()
        assert sorted(processor.stored_tasks()) == sorted(mine.task_id for mine in tasks)
        assert b"otel_benchmark_worker_restarts_total 2.0" in processor.admin("/metrics").body
        assert processor.status().health.state is State.OK
        processor.assert_balanced()


def test_a_batch_survives_the_kill_of_the_front_while_its_worker_goes_on(new_processor):
    """The old worker is in the middle of its transaction when the new one starts: only one of them may commit."""
    processor = new_processor().start()
    mine = whole_task()
    with locked_points(processor):
        processor.send(*mine.spans)
        wait_for_writers(processor, 1)
        before, workers = waiting_backends(processor), processor.kill()
        processor.start()
        wait_until(lambda: waiting_backends(processor) - before)
        wait_for_end(workers)
        assert not waiting_backends(processor) & before
    processor.settle()
    assert processor.record(mine.task_id)["revision"] == 1
    assert processor.terms()["handed_over"] == 6
    processor.assert_balanced()
    processor.stop(signal.SIGINT)


# -- Stopped ---------------------------------------------------------------------------------------


def test_at_sigterm_sealed_batches_are_stored_and_open_tasks_go_on_after_the_restart(new_processor):
    sealed, half = whole_task(), whole_task()
    with new_processor() as processor:
        processor.send(*half.spans[1:])
        with locked_points(processor):
            processor.send(*sealed.spans)
            wait_for_writers(processor, 1)
            processor.process.send_signal(signal.SIGTERM)
            wait_until(lambda: processor.admin("/readyz").status == 503)
            wait_until(lambda: not listens(processor.ready["otlp_http"]))
            assert processor.admin("/healthz").status == 200
            assert processor.process.poll() is None
    assert processor.stored_tasks() == [sealed.task_id]
    with processor:
        assert processor.terms()["open"] == 5
        processor.send(half.spans[0])
        processor.settle()
        assert fact_spans(processor.record(half.task_id)) == {span_id(number).hex() for number in (1, 2, 3, 4, 9)}
        processor.assert_balanced()
