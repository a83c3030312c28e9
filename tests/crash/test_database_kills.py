"""Killed at random while its database has trouble of its own, a processor loses nothing and stores nothing twice.

The server is stopped, killed, only reads, is cut off in the middle of a response, stalls, or has no room on its disk
(where root may mount a small one), with a load all the time; tasks go to the fallback and come back. KILLS sets how
often, as in `test_random_kills`.
"""

from __future__ import annotations

import itertools
import math
import os
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from support.accounts import Watcher, assert_accounted, settled
from support.killing import Killer
from support.postgres import reachable_folder, temporary_database, throwaway_hold
from support.proxy import Proxy
from support.small_disk import SmallDisk, small_disk
from support.steady_load import Load
from support.troubled import DISK_BYTES, Troubled, port_of

from collector_processor.app.reporting.status import Status

KILLS = max(5, int(os.environ.get("KILLS", "0")) // 4)
FULL_DISKS = max(2, KILLS // 5)
SEED = int(os.environ.get("SEED", "7"))
ROUND = 20
IMPATIENT = {"JOURNAL_MAX_BYTES": "1MiB", "FALLBACK_AT": "0.02", "STORE_PAUSE": "100ms", "DATABASE_TIMEOUT": "1s"}

pytestmark = pytest.mark.timeout(120 + 120 * ROUND)


@pytest.fixture
def folder() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder


@pytest.fixture
def troubled(folder: Path) -> Iterator[Troubled]:
    with throwaway_hold(folder / "postgres") as server, Proxy(port_of(server)) as proxy:
        yield Troubled(server, folder / "postgres", proxy)


@pytest.fixture
def disk(folder: Path) -> Iterator[SmallDisk]:
    """On which the server lies; to be named before it."""
    with small_disk(folder, DISK_BYTES, mode="0711") as disk:
        yield disk


@pytest.mark.parametrize("number", range(math.ceil(KILLS / ROUND)))
def test_killed_while_the_database_has_trouble(mortal, reference, troubled, number):
    order = random.Random(SEED + number).sample(troubled.kinds, len(troubled.kinds))
    kills = min(ROUND, KILLS - number * ROUND)
    kill_amid(itertools.islice(itertools.cycle(order), kills), mortal, reference, troubled, SEED + number)


@pytest.mark.parametrize("number", range(math.ceil(FULL_DISKS / ROUND)))
def test_killed_while_the_disk_of_the_database_is_full(mortal, reference, disk, troubled, number):
    full = partial(troubled.full, disk)
    kills = min(ROUND, FULL_DISKS - number * ROUND)
    kill_amid([full] * kills, mortal, reference, troubled, SEED + number)


def kill_amid(troubles: Iterable[Callable[[], AbstractContextManager[None]]], mortal, reference, troubled, seed):
    """Kill a processor once amid each trouble of its database, and account for every span."""
    troubled.random.seed(seed)
    with temporary_database(troubled.server) as url:
        processor = mortal(troubled.proxy.url(url), **IMPATIENT)
        watcher = Watcher(processor)
        with (
            Load(processor.address) as load,
            watcher.watching(),
            Killer(processor, load, seed, None) as killer,
        ):
            for trouble in troubles:
                load.go_on(5)
                with trouble():
                    killer.strike()
                    processor.run_on(wait=True)
                    load.go_on(1)
                    processor.wait_for(_knows_of_it)
        processor.database_url = troubled.direct(url)
        settled(processor, load.done)
        watcher.assert_balanced()
        assert load.failures
        assert_accounted(processor, load.done)
        reference.assert_same(processor, load.done)
        killer.wait_for_orphans()
        processor.stop()


def _knows_of_it(status: Status) -> bool:
    """Whether the processor has met the trouble."""
    return "database" in status.health.conditions
