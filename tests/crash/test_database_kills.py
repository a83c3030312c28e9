"""Killed at random while its database has trouble of its own, a processor loses nothing and stores nothing twice.

The server is stopped, killed, only reads, is cut off in the middle of a response, or stalls, with a load all the time;
tasks go to the fallback and come back. KILLS sets how often, as in `test_random_kills`.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator

import pytest
from support.accounts import Watcher, assert_accounted, settled
from support.killing import Killer
from support.postgres import reachable_folder, temporary_database, throwaway_hold
from support.proxy import Proxy
from support.steady_load import Load
from support.troubled import Troubled, port_of

KILLS = max(5, int(os.environ.get("KILLS", "0")) // 4)
SEED = int(os.environ.get("SEED", "7"))
ROUND = 20
IMPATIENT = {"JOURNAL_MAX_BYTES": "1MiB", "FALLBACK_AT": "0.02", "STORE_PAUSE": "100ms", "DATABASE_TIMEOUT": "1s"}

pytestmark = pytest.mark.timeout(120 + 120 * ROUND)


@pytest.fixture
def troubled() -> Iterator[Troubled]:
    with (
        reachable_folder() as folder,
        throwaway_hold(folder / "postgres") as server,
        Proxy(port_of(server)) as proxy,
    ):
        yield Troubled(server, folder / "postgres", proxy)


@pytest.mark.parametrize("number", range(math.ceil(KILLS / ROUND)))
def test_killed_while_the_database_has_trouble(mortal, reference, troubled, number):
    with temporary_database(troubled.server) as url:
        processor = mortal(troubled.proxy.url(url), **IMPATIENT)
        watcher = Watcher(processor)
        order = random.Random(SEED + number).sample(troubled.kinds, len(troubled.kinds))
        with (
            Load(processor.address) as load,
            watcher.watching(),
            Killer(processor, load, SEED + number, None) as killer,
        ):
            for kill in range(min(ROUND, KILLS - number * ROUND)):
                load.go_on(5)
                with order[kill % len(order)]():
                    killer.strike()
                    processor.run_on(wait=True)
                    load.go_on(1)
        processor.database_url = troubled.direct(url)
        settled(processor, load.done)
        watcher.assert_balanced()
        assert load.failures
        assert_accounted(processor, load.done)
        reference.assert_same(processor, load.done)
        killer.wait_for_orphans()
        processor.stop()
