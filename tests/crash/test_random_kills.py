"""Killed at random, all of it or a part, a processor loses nothing and stores nothing twice. KILLS sets how often."""

from __future__ import annotations

import os
import random
import time

import psutil
import pytest
from support.accounts import Watcher, assert_accounted, assert_same, settled
from support.processor import Processor, wait_for_end, wait_until
from support.steady_load import Load

KILLS = int(os.environ.get("KILLS", "18"))
SEED = int(os.environ.get("SEED", "7"))

pytestmark = pytest.mark.timeout(120 + 15 * KILLS)


def stored_batches(processor: Processor) -> int:
    (row,) = processor.rows("SELECT count(*) AS batches FROM benchmark_data.batches")
    return int(row["batches"])


def wait_for_a_moment(processor: Processor, load: Load, chance: random.Random) -> None:
    """Any: of the start, of requests that come, or of batches that are stored."""
    match chance.choice(["start", "requests", "batches"]):
        case "requests":
            load.go_on(chance.randrange(1, 8))
        case "batches":
            before = stored_batches(processor)
            wait_until(lambda: stored_batches(processor) > before)
    time.sleep(chance.uniform(0, 0.3))


def kill(processor: Processor, chance: random.Random) -> list[psutil.Process]:
    """Kill the front, a worker of it, or all of them; returns those that outlived the front."""
    whom, workers = chance.choice(["front", "worker", "all"]), processor.workers
    if whom == "worker" and workers:
        chance.choice(workers).kill()
        return []
    if whom == "all":
        for worker in workers:
            worker.kill()
    return processor.kill()


def test_killed_at_random(mortal, reference):
    processor, chance = mortal().start(), random.Random(SEED)
    watcher, left = Watcher(processor), []
    with Load(processor.address) as load, watcher.watching():
        for _ in range(KILLS):
            processor.run_on()
            wait_for_a_moment(processor, load, chance)
            left += kill(processor, chance)
        processor.run_on(wait=True)
    settled(processor, load.done)
    watcher.assert_balanced()
    assert load.failures
    assert_accounted(processor, load.done)
    assert_same(processor, reference, load.done)
    wait_for_end(left)
    processor.stop()
