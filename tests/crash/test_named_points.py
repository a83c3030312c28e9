"""Killed at each named place of its way, a processor loses nothing and stores nothing twice. KILLS sets how often."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest
from support.accounts import Watcher, assert_accounted, settled
from support.crash_points import FRONT, POINTS
from support.crashing import MortalProcessor
from support.lifecycle import execution, payload, task
from support.processor import own
from support.proxy import Proxy
from support.steady_load import Load

ROUNDS = range(max(1, int(os.environ.get("KILLS", "0")) // 100))
MIGRATING = [name for name in POINTS if "migration" in name]
SPILLING = [name for name in POINTS if "fallback" in name]
IMPORTING = [name for name in POINTS if "import" in name]
WORKING = [name for name in POINTS if name not in [*MIGRATING, *SPILLING, *IMPORTING]]

pytestmark = pytest.mark.timeout(1200)


def die_at(processor: MortalProcessor, point: str) -> None:
    """Have it killed there, once."""
    processor.arm(point)
    processor.run_on()
    processor.wait_for_death(point)
    if POINTS[point].process == FRONT:
        processor.bury()


@pytest.mark.parametrize("number", ROUNDS)
def test_killed_at_every_named_point(mortal, reference, number):
    processor = mortal()
    watcher = Watcher(processor)
    with Load(processor.address) as load, watcher.watching():
        for point in [*MIGRATING, *WORKING]:
            die_at(processor, point)
        processor.run_on(wait=True)
    settled(processor, load.done)
    watcher.assert_balanced()
    assert load.failures
    assert_accounted(processor, load.done)
    reference.assert_same(processor, load.done)
    processor.stop()


# -- Without the database --------------------------------------------------------------------------


@pytest.fixture
def proxy(postgres_server) -> Iterator[Proxy]:
    port = psycopg.conninfo.conninfo_to_dict(postgres_server.url)["port"]
    with Proxy(int(port)) as proxy:
        yield proxy


@pytest.mark.parametrize("number", ROUNDS)
def test_killed_on_the_way_into_the_fallback_and_back(mortal, reference, proxy, postgres_url, number):
    filling = {"JOURNAL_MAX_BYTES": "1MiB", "FALLBACK_AT": "0.02", "STORE_PAUSE": "100ms", "DATABASE_TIMEOUT": "1s"}
    processor = mortal(proxy.url(postgres_url), **filling).start()
    processor.database_url = postgres_url
    watcher = Watcher(processor)
    with Load(processor.address) as load, watcher.watching():
        proxy.refuse()
        proxy.cut()
        for point in SPILLING:
            die_at(processor, point)
        processor.run_on(wait=True)
        processor.wait_for(lambda status: status.fallback.batches)
        proxy.refuse(refusing=False)
        for point in IMPORTING:
            die_at(processor, point)
        processor.run_on(wait=True)
    settled(processor, load.done)
    watcher.assert_balanced()
    assert_accounted(processor, load.done)
    reference.assert_same(processor, load.done)
    processor.stop()


# -- Blamed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tasks", [1, 2])
def test_a_batch_that_is_stored_is_neither_halved_nor_buried_for_its_workers_death(mortal, tasks):
    """Its third failure would have it done, but this one came after the transaction."""
    with mortal(WORKERS="1") as processor:
        processor.arm("before a batch is converted")
        sent = [own(task(), execution()) for _ in range(tasks)]
        processor.take(payload([span for mine in sent for span in mine.spans]))
        processor.wait_for_death("before a batch is converted")
        processor.arm("before a batch is converted")
        processor.wait_for_death("before a batch is converted")
        processor.arm("between the transaction and the answer")
        processor.wait_for_death("between the transaction and the answer")
        processor.wait_for(lambda status: not status.place.sealed_batches and processor.terms()["handed_over"])
        assert processor.terms()["dead_lettered"] == 0
        assert "halved" not in processor.log
        assert {row["task_id"] for row in processor.rows("SELECT task_id FROM data_points")} == {
            mine.task_id for mine in sent
        }
        processor.assert_balanced()
