"""A processor without its database: it receives, says so, and stores once the database is there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from support.collector import free_address
from support.embedded import server_processes
from support.postgres import reachable_folder, throwaway_hold
from support.processor import Processor, listens, select, wait_for_end, wait_until, whole_task

from collector_processor.app.reporting.admin import State
from collector_processor.store.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def own_server() -> Iterator[EmbeddedServer]:
    """A server that tests may stop; it runs when a test begins and ends."""
    with reachable_folder() as folder:
        server = throwaway_hold(folder / "postgres")
        with server:
            yield server


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
    database = processor.wait_for(lambda status: status.database.up).database
    assert database.tier == "postgresql"
    assert ":***@" in database.url
    password = conninfo_to_dict(url)["password"]
    assert not [
        said for said in (processor.log, str(processor.ready), str(processor.ask("status"))) if password in said
    ]
    processor.settle()
    assert processor.stored_tasks() == [mine.task_id]
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
    assert sorted(processor.stored_tasks()) == sorted([mine.task_id, later.task_id])
    assert (status.health.state, status.database.up) == (State.OK, True)
    processor.assert_balanced()
    processor.stop()


def test_a_database_of_a_newer_release_fails_health_but_what_comes_is_journalled(new_processor, postgres_url):
    with new_processor() as processor:
        processor.fresh_status()  # it has migrated
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


def test_a_status_doesnt_wait_for_the_database_and_says_how_old_its_figures_are(new_processor, postgres_url):
    with new_processor(GRACE="1m") as processor:
        processor.fresh_status()
        with psycopg.connect(postgres_url) as connection:
            connection.execute("LOCK TABLE benchmark_data.batches IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            processor.send(*whole_task().spans)
            asked = time.monotonic()
            held = processor.status()
            assert held.place.open_tasks == 1
            assert held.collection.total_data_points == 0
            assert held.database.asked_seconds_ago >= asked - began
        processor.flush()
        assert processor.fresh_status().collection.total_data_points == 1


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
