"""A database that is killed, stopped, made read-only, full, or cut off in mid-response: waited for, and told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from support.embedded import server_processes
from support.lifecycle import evaluation, execution, route, task, tool_call
from support.postgres import reachable_folder, throwaway_hold
from support.processor import Own, Processor, own, wait_until
from support.proxy import Proxy
from support.small_disk import SmallDisk, small_disk

from collector_processor.store.embedded import EmbeddedServer

NO_FALLBACK = {"FALLBACK_AT": "1", "SERVICE_SHARE": "1"}

DAWDLE = """
CREATE FUNCTION benchmark_data.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(60) WHERE NEW.task_id = 'endless';
    RETURN NEW;
END $$;
CREATE TRIGGER dawdle BEFORE INSERT ON benchmark_data.point_keys FOR EACH ROW EXECUTE FUNCTION benchmark_data.dawdle();
"""


def whole() -> Own:
    return own(task(), route(), execution(attributes={"padding": "x" * 20_000}), tool_call(), evaluation())


def send(processor: Processor, tasks: int = 3) -> list[Own]:
    sent = [whole() for _ in range(tasks)]
    for mine in sent:
        processor.send(*mine.spans)
    return sent


def assert_stored(processor: Processor, sent: list[Own]) -> None:
    processor.wait_for(lambda status: not (status.place.sealed_batches or status.fallback.batches))
    processor.settle()
    stored = [row["task_id"] for row in processor.rows("SELECT task_id FROM data_points")]
    assert sorted(stored) == sorted(mine.task_id for mine in sent)
    processor.assert_balanced()
    assert processor.terms()["dead_lettered"] == 0


def wait_for_reason(processor: Processor, *words: str) -> None:
    processor.wait_for(lambda status: all(word in "; ".join(status.health.reasons) for word in words))


def test_a_stopped_server_is_given_up_and_waited_for(make, own_url, own_folder):
    """It keeps its connections open and says nothing."""
    with make(own_url, **NO_FALLBACK) as processor:
        sent = send(processor)
        assert_stored(processor, sent)
        stopped = server_processes(own_folder)
        for process in stopped:
            process.send_signal(signal.SIGSTOP)
        try:
            sent += send(processor)
            wait_for_reason(processor, "database: down since", "batches wait")
        finally:
            for process in stopped:
                with_pid(process, signal.SIGCONT)
        assert_stored(processor, sent)


def with_pid(process: psutil.Process, number: signal.Signals) -> None:
    if process.is_running():
        process.send_signal(number)


def test_a_server_that_only_reads_is_waited_for(make, own_server, own_url):
    with make(own_url, **NO_FALLBACK) as processor:
        with psycopg.connect(own_server.superuser_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            connection.execute("SELECT pg_reload_conf()")
            try:
                sent = send(processor)
                wait_for_reason(processor, "database: down since", "read-only transaction (25006)")
            finally:
                connection.execute("SET transaction_read_only = off")
                connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
                connection.execute("SELECT pg_reload_conf()")
        assert_stored(processor, sent)


@pytest.fixture
def spare_folder() -> Iterator[Path]:
    """Of a cluster whose server is killed."""
    with reachable_folder() as folder:
        yield folder / "postgres"


def test_a_server_that_was_killed_is_waited_for(make, spare_folder):
    server = throwaway_hold(spare_folder)
    server.start()
    processor = make(server.url, **NO_FALLBACK)
    processor.start()
    sent = send(processor)
    assert_stored(processor, sent)
    for process in server_processes(spare_folder):
        with_pid(process, signal.SIGKILL)
    sent += send(processor)
    wait_for_reason(processor, "database: down since")
    processor.stop()
    server.stop()
    with throwaway_hold(spare_folder) as again:
        processor.database_url = processor.environment["COLLECTOR_PROCESSOR_DATABASE_URL"] = again.url
        processor.start()
        assert_stored(processor, sent)
        processor.stop()


@pytest.fixture
def proxy(postgres_server):
    port = psycopg.conninfo.conninfo_to_dict(postgres_server.url)["port"]
    with Proxy(int(port)) as proxy:
        yield proxy


def test_a_connection_cut_in_mid_response_stores_nothing_twice(make, proxy, postgres_url):
    """Wherever it is cut: before, in and after the commit."""
    with make(proxy.url(postgres_url), **NO_FALLBACK) as processor:
        sent = []
        for size in (1, 200, 500, 1000, 1500, 2000, 3000):
            proxy.cut_after(size)
            sent += send(processor, 1)
        processor.wait_for(lambda status: not status.place.sealed_batches and not status.place.open_tasks)
        processor.database_url = postgres_url
        assert_stored(processor, sent)


def test_a_connection_that_stalls_is_given_up(make, proxy, postgres_url):
    with make(proxy.url(postgres_url), **NO_FALLBACK) as processor:
        proxy.stall()
        sent = send(processor)
        wait_for_reason(processor, "database: down since")
        proxy.cut()
        proxy.flow()
        processor.database_url = postgres_url
        assert_stored(processor, sent)


def test_a_task_that_always_takes_too_long_lets_others_go_first_and_is_buried(make, postgres_url):
    with make(postgres_url, STORE_ATTEMPTS="1", **NO_FALLBACK) as processor:
        processor.fresh_status()  # it has migrated
        with psycopg.connect(postgres_url) as connection:
            connection.execute(DAWDLE)
        processor.send(*own(task(), task_id="endless").spans)
        sent: list[str] = []
        while not processor.terms()["dead_lettered"]:
            assert len(sent) < 100
            (mine,) = send(processor, 1)
            sent.append(mine.task_id)
            wait_until(lambda: len(processor.rows("SELECT task_id FROM data_points")) == len(sent))
        processor.settle()
        assert sorted(row["task_id"] for row in processor.rows("SELECT task_id FROM data_points")) == sorted(sent)
        processor.assert_balanced()
        assert "57014" in processor.run("dead-letter", "list", "--json").stdout


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """Of 1 MiB, for a tablespace."""
    with reachable_folder() as folder, small_disk(folder, 1 << 20, mode="0711") as disk:
        yield disk


@pytest.fixture
def space(own_server: EmbeddedServer, own_folder: Path, disk: SmallDisk, own_url: str) -> Iterator[SmallDisk]:
    """The same, with a tablespace `small` on it."""
    folder = disk.folder / "space"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        account = Path(next(iter(server_processes(own_folder))).cwd()).stat()
        os.chown(folder, account.st_uid, account.st_gid)
    database = urlsplit(own_server.superuser_url)._replace(path=urlsplit(own_url).path).geturl()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{folder}'".encode())
        yield disk
        connection.execute("ALTER TABLE benchmark_data.batches SET TABLESPACE pg_default")
        connection.execute("DROP TABLESPACE small")


def test_a_full_disk_is_waited_for(make, own_server, own_url, space):
    with make(own_url, **NO_FALLBACK) as processor:
        processor.fresh_status()  # it has migrated
        database = urlsplit(own_server.superuser_url)._replace(path=urlsplit(own_url).path).geturl()
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("ALTER TABLE benchmark_data.batches SET TABLESPACE small")
        space.fill()
        sent = send(processor, 40)
        try:
            wait_for_reason(processor, "53100")
        finally:
            space.resize(1 << 20)
        assert_stored(processor, sent)
