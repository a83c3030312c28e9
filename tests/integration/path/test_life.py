"""A processor's life: killed, stopped, without its database, full, twice; what it has acknowledged is stored once."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

import psutil
import psycopg
import pytest
from google.rpc import status_pb2  # type: ignore[import-untyped]  # has no stubs
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families
from psycopg.conninfo import conninfo_to_dict
from support.embedded import server_processes
from support.lifecycle import (
    RESOURCE,
    evaluation,
    execution,
    foreign,
    payload,
    route,
    span_id,
    task,
    tool_call,
    value_of,
)
from support.postgres import reachable_folder, throwaway_hold
from support.processor import Own, Processor, anomalies, fact_spans, gates, own, select, wait_for_end, wait_until

from collector_processor.app.reporting.admin import State
from collector_processor.store.embedded import EmbeddedServer
from otel_benchmark import attributes as a

TENANT_KEY = "a key that is good enough for tests"


def whole_task(**more: str) -> Own:
    return own(task(), route(), execution(), tool_call(), foreign(5), evaluation(), **more)


def stored_tasks(processor: Processor) -> list[str]:
    return [row["task_id"] for row in processor.rows("SELECT task_id FROM data_points")]


# -- Doors -----------------------------------------------------------------------------------------


def test_health_readiness_and_metrics_are_answered(processor):
    processor.send(*whole_task().spans)
    processor.flush()
    processor.status()
    for path in ("/healthz", "/readyz"):
        answer = processor.admin(path)
        assert (answer.status, json.loads(answer.body)["state"]) == (200, "ok")
    answer = processor.admin("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [sample for family in text_string_to_metric_families(answer.body.decode()) for sample in family.samples]
    value = {sample.name: sample.value for sample in samples}
    assert value["otel_benchmark_database_up"] == 1
    assert value["otel_benchmark_total_data_points"] >= 1
    balanced = {
        sample.labels["equation"]: sample.value
        for sample in samples
        if sample.name == "otel_benchmark_equation_balanced"
    }
    assert balanced == {"journal spans": 1, "records": 1, "deep samples": 1, "database spans": 1}
    assert processor.admin("/elsewhere").status == 404


def test_commands_reach_the_running_processor(new_processor):
    processor = new_processor(GRACE="1m")
    processor.start()
    mine = whole_task()
    processor.send(*mine.spans)
    flushed = processor.run("flush", "--json")
    assert (flushed.returncode, json.loads(flushed.stdout)) == (0, {"sealed": 1})
    assert processor.record(mine.task_id)["completeness"]["endedBy"] == "flush"
    told = processor.run("status", "--json")
    assert told.returncode == 0
    status = json.loads(told.stdout)
    assert status["health"]["state"] == "ok"
    for equation in status["equations"]:
        assert equation["total"] == sum(equation["terms"].values())
    in_words = processor.run("status")
    assert "journal spans" in in_words.stdout
    assert "balances" in in_words.stdout


def test_without_being_asked_a_task_is_stored_after_its_grace(processor):
    mine = whole_task()
    processor.send(*mine.spans)
    processor.settle()
    record = processor.record(mine.task_id)
    assert record["completeness"] == {
        "seen": ["task", "routing", "execution", "evaluation"],
        "endedBy": "task_ended",
        "truncated": False,
    }
    asked = processor.run("sql", "--csv", f"SELECT valid FROM data_points WHERE task_id = '{mine.task_id}'")
    assert asked.stdout.split() == ["valid", "true"]
    processor.assert_balanced()


def test_a_second_processor_on_the_same_data_is_refused(processor):
    refused = processor.run("serve")
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert f"another process uses the journal {processor.data_dir / 'journal'}" in line
    assert "DATA_DIR" in line


@pytest.mark.parametrize("door", ["OTLP_GRPC", "OTLP_HTTP", "ADMIN"])
def test_a_port_in_use_is_told_by_its_setting(new_processor, door):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        processor = new_processor(**{door: address})
        refused = processor.run("serve")
    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("otel-benchmark:")]
    assert f"COLLECTOR_PROCESSOR_{door}" in line
    assert address in line
    # The failed start holds nothing.
    with new_processor():
        pass


def test_a_data_directory_that_cannot_be_is_told_by_its_setting(tmp_path):
    (tmp_path / "file").touch()
    refused = Processor(tmp_path / "file" / "data", "embedded").run("serve")
    assert refused.returncode == 2
    assert "COLLECTOR_PROCESSOR_DATA_DIR" in refused.stderr
    assert "Not a directory" in refused.stderr


# -- Killed ----------------------------------------------------------------------------------------


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
    assert sorted(stored_tasks(processor)) == sorted(mine.task_id for mine in sent)
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
        assert sorted(stored_tasks(processor)) == sorted(mine.task_id for mine in tasks)
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
    assert stored_tasks(processor) == [sealed.task_id]
    with processor:
        assert processor.terms()["open"] == 5
        processor.send(half.spans[0])
        processor.settle()
        assert fact_spans(processor.record(half.task_id)) == {span_id(number).hex() for number in (1, 2, 3, 4, 9)}
        processor.assert_balanced()


# -- Without its database --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_server() -> Iterator[EmbeddedServer]:
    """A server that tests may stop; it runs when a test begins and ends."""
    with reachable_folder() as folder:
        server = throwaway_hold(folder / "postgres")
        with server:
            yield server


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return "{}:{}".format(*probe.getsockname())


def test_without_its_database_it_is_degraded_and_stores_once_it_comes(new_processor, own_server):
    url = own_server.url
    own_server.stop()
    doors = {"otlp_http": free_address(), "admin": free_address()}
    processor = new_processor(url, DRAIN_TIMEOUT="1s", **{name.upper(): address for name, address in doors.items()})
    processor.start(wait=False)
    processor.ready = dict(doors)  # the ready line waits a while for the database, requests don't
    wait_until(lambda: listens(doors["admin"]) and listens(doors["otlp_http"]))
    mine = whole_task()
    processor.send(*mine.spans)
    assert processor.admin("/readyz").status == 200
    wait_until(lambda: b"refused" in processor.admin("/healthz").body)
    answer = processor.admin("/healthz")
    assert (answer.status, json.loads(answer.body)["state"]) == (200, "degraded")
    sealed = processor.wait_for(lambda status: status.place.sealed_tasks)
    assert (sealed.place.sealed_tasks, sealed.database.up, sealed.health.state) == (1, False, State.DEGRADED)
    assert own_server.start() == url
    processor.wait_for_ready_line()
    assert processor.ready["tier"] == "postgresql"
    assert ":***@" in processor.ready["database"]
    password = conninfo_to_dict(url)["password"]
    assert not [
        said for said in (processor.log, str(processor.ready), str(processor.ask("status"))) if password in said
    ]
    processor.settle()
    assert stored_tasks(processor) == [mine.task_id]
    processor.assert_balanced()

    # And gone again, while it runs.
    own_server.stop()
    later = whole_task()
    processor.send(*later.spans)
    processor.wait_for(lambda status: status.place.sealed_tasks and not status.database.up)
    flushed = processor.run("flush")
    assert flushed.returncode == 1
    assert "1 closed tasks are safe in the journal, but not stored within" in flushed.stderr
    assert own_server.start() == url
    status = processor.settle()
    assert sorted(stored_tasks(processor)) == sorted([mine.task_id, later.task_id])
    assert (status.health.state, status.database.up) == (State.OK, True)
    processor.assert_balanced()
    processor.stop()


def test_a_database_of_a_newer_release_fails_health_but_what_comes_is_journalled(new_processor, postgres_url):
    with new_processor() as processor:
        pass
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "INSERT INTO benchmark_data.schema_migrations (version, name, checksum) VALUES (9999, 'newer', '')"
        )
    with processor:
        processor.send(*whole_task().spans)
        answer = processor.admin("/healthz")
        assert (answer.status, json.loads(answer.body)["state"]) == (503, "failed")
        assert b"schema has version 9999 (newer)" in answer.body
        assert processor.run("status").returncode == 1
        processor.wait_for(lambda status: status.place.sealed_tasks == 1)


def listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_its_embedded_database_is_started_again_when_it_was_killed():
    with reachable_folder() as folder, Processor(folder / "data", "embedded") as processor:
        first = whole_task()
        processor.send(*first.spans)
        processor.flush()
        processes = server_processes(folder / "data" / "database")
        assert processes
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # a session of somebody who was just done
                process.kill()
        wait_for_end(processes)
        second = whole_task()
        processor.send(*second.spans)
        processor.settle()
        url = processor.run("database", "url").stdout.strip()
        assert {row["task_id"] for row in select(url, "SELECT task_id FROM data_points")} == {
            first.task_id,
            second.task_id,
        }
        processor.assert_balanced()
    with reachable_folder() as folder:
        assert not server_processes(folder)


# -- Full ------------------------------------------------------------------------------------------


def test_a_noisy_service_leaves_room_for_others_until_it_is_quiet(new_processor):
    with new_processor(JOURNAL_MAX_BYTES="1MiB") as processor:
        tasks: list[Own] = []
        while True:
            mine = own(task(), execution())
            mine.spans[1].attributes.append(KeyValue(key="http.request.body", value=value_of("x" * 30_000)))
            answer = processor.post(payload(mine.spans[1:]))
            if answer.status != 200:
                break
            tasks.append(mine)
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        assert "acme/orchestrator holds" in status_pb2.Status.FromString(answer.body).message
        assert "share of the journal" in processor.status().health.reasons[-1]
        quiet = whole_task()
        processor.send(*quiet.spans, resource=RESOURCE | {a.SERVICE_NAME: "quiet"})
        for each in tasks:
            processor.send(each.spans[0])
        assert processor.settle().health.state is State.OK
        processor.send(*mine.spans)
        processor.settle()
        assert processor.record(quiet.task_id)
        assert processor.record(mine.task_id)


def test_a_full_journal_refuses_and_recovers_by_the_tasks_that_drain_it(new_processor):
    with new_processor(JOURNAL_MAX_BYTES="1MiB", SERVICE_SHARE="1") as processor:
        tasks: list[Own] = []
        while True:
            mine = own(task(), execution(), tool_call())
            mine.spans[1].attributes.append(KeyValue(key="http.request.body", value=value_of("x" * 30_000)))
            answer = processor.post(payload(mine.spans[1:]))
            if answer.status != 200:
                break
            tasks.append(mine)
        assert answer.status == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 3
        assert "the journal is full" in status_pb2.Status.FromString(answer.body).message
        assert len(tasks) >= 10
        status = processor.status()
        assert status.health.state is State.DEGRADED
        assert "% full" in status.health.reasons[-1]
        assert processor.admin("/readyz").status == 200
        for each in tasks:
            processor.send(each.spans[0])
        processor.settle()
        processor.send(*mine.spans)
        processor.settle()
        assert sorted(stored_tasks(processor)) == sorted(each.task_id for each in [*tasks, mine])
        assert processor.terms()["received"] == 3 * (len(tasks) + 1)
        assert processor.status().health.state is State.OK
        processor.assert_balanced()


# -- Late and elsewhere ----------------------------------------------------------------------------


def orphans(processor: Processor, task_id: str) -> list[str]:
    return [row["kind"] for row in processor.rows("SELECT kind FROM orphans WHERE task_id = %(t)s", t=task_id)]


def test_an_evaluation_from_elsewhere_waits_for_its_task_and_joins_it(processor):
    mine = own(task(), route(), execution())
    elsewhere = own(evaluation(9, parent=0), task_id=mine.task_id)
    processor.send(*elsewhere.spans)
    wait_until(lambda: orphans(processor, mine.task_id) == ["evaluation"])
    processor.assert_balanced()
    processor.send(*mine.spans)
    processor.flush()
    assert orphans(processor, mine.task_id) == []
    record = processor.record(mine.task_id)
    assert record["evaluation"]["overallScore"] == 0.9
    assert record["facts"]["evaluations"][0]["joined"]
    assert record["facts"]["evaluations"][0]["traceId"] == elsewhere.trace_id.hex()
    processor.assert_balanced()


def test_an_evaluation_from_another_namespace_is_not_its_tasks(processor):
    mine = own(task(), route(), execution())
    strange = own(evaluation(9, parent=0), task_id=mine.task_id)
    processor.send(*mine.spans)
    processor.flush()
    processor.send(*strange.spans, resource={**RESOURCE, a.SERVICE_NAMESPACE: "somebody else"})
    wait_until(lambda: orphans(processor, mine.task_id) == ["evaluation"])
    assert processor.record(mine.task_id)["evaluation"] is None
    processor.assert_balanced()


@pytest.mark.parametrize("by", ["link", "task id"])
def test_a_late_evaluation_joins_the_record_that_it_names(processor, by):
    mine = own(task(), route(), execution(attributes={a.EXECUTION_SUCCESS: True}))
    processor.send(*mine.spans)
    processor.flush()
    before = processor.record(mine.task_id)
    assert (before["revision"], before["evaluation"]) == (1, None)
    late = evaluation(9, parent=0)
    if by == "link":
        late.links.append(Span.Link(trace_id=mine.trace_id, span_id=span_id(1)))
        del late.attributes[0]  # its task's id
    sent = own(late, task_id=mine.task_id)
    processor.send(*sent.spans)
    wait_until(lambda: processor.record(mine.task_id)["revision"] == 2)
    record = processor.record(mine.task_id)
    assert record["id"] == before["id"]
    assert record["completeness"]["seen"] == ["task", "routing", "execution", "evaluation"]
    assert record["evaluation"]["overallScore"] == 0.9
    (row,) = processor.rows("SELECT is_current FROM evaluations WHERE id = %(id)s", id=record["id"])
    assert row["is_current"]
    processor.assert_balanced()


def test_a_late_tool_call_revises_the_record(processor):
    mine = whole_task()
    processor.send(*mine.spans)
    processor.flush()
    late = own(tool_call(6, start=200, end=250), trace_id=mine.trace_id, task_id=mine.task_id)
    processor.send(*late.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert (record["revision"], record["execution"]["toolCallCount"]) == (2, 2)
    assert len(record["rlLabels"]["turns"]) == 2
    processor.assert_balanced()


# -- Tenants ---------------------------------------------------------------------------------------


def secret_places(database_url: str, text: str) -> list[str]:
    """Tables of which a row holds the text."""
    tables = select(database_url, "SELECT tablename FROM pg_tables WHERE schemaname = 'benchmark_data'")
    return [
        row["tablename"]
        for row in tables
        if select(
            database_url,
            f"SELECT 1 FROM benchmark_data.{row['tablename']} AS row WHERE row::text LIKE %(text)s",
            text=f"%{text}%",
        )
    ]


def test_a_tenant_is_hashed_before_it_is_stored(processor):
    tenant = f"tenant-{uuid.uuid4().hex}"
    mine = own(task(attributes={a.TENANT_ID: tenant}), execution(attributes={a.TENANT_ID: tenant}))
    stray = own(evaluation(9, parent=0, attributes={a.TENANT_ID: tenant}), task_id=mine.task_id)
    lost = own(evaluation(9, parent=0, attributes={a.TENANT_ID: tenant}))
    processor.send(*stray.spans, *lost.spans)
    wait_until(lambda: orphans(processor, lost.task_id))
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert record["tenantId"] == a.tenant_hash(TENANT_KEY.encode(), tenant)
    assert record["evaluation"] is not None
    assert secret_places(processor.database_url, mine.task_id)
    assert secret_places(processor.database_url, tenant) == []


def test_without_a_key_a_tenant_in_clear_is_left_out_and_flagged(new_processor):
    with new_processor() as processor:
        mine = own(task(attributes={a.TENANT_ID: "acme"}), route(), execution())
        processor.send(*mine.spans)
        processor.flush()
        record = processor.record(mine.task_id)
        assert record["tenantId"] is None
        assert (a.TENANT_ID, "tenant_without_key") in anomalies(record)
        assert "TENANT_KEY is not set" in gates(record)["tenant-hash"]
        assert record["verdict"]["valid"]
        assert "tenants" in {off.what for off in processor.status().off}


def test_a_flush_waits_for_the_workers_although_a_stop_would_not(new_processor):
    with new_processor(DRAIN_TIMEOUT="0s", GRACE="60s") as processor:
        mine = whole_task()
        processor.send(*mine.spans)
        assert processor.flush() == 1
        assert processor.record(mine.task_id)
