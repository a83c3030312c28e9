"""Writing data points: the store's batches against a bare binary COPY of the same rows, in turns, on one server.

Folding is conversion's work and measured there, so `revise` only looks records up here: what the store adds is the
ledger, the key rows, the columns and the record's encoding.

Usage: python -m benchmarks.store [TASKS]
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from support.facts import NOON, SECOND, batch, closed, revise, whole
from support.postgres import reachable_folder
from support.store import execute, opened

from collector_processor.model.record import point_id
from collector_processor.store.embedded import EmbeddedServer
from collector_processor.store.migrations import migrate
from collector_processor.store.points import copy_rows
from collector_processor.store.rows import row

ROUNDS = 5
BATCHES = (100, 1000)
TABLES = "benchmark_data.points, benchmark_data.point_keys, benchmark_data.awaited, benchmark_data.batches"


async def seconds(work: Callable[[], Awaitable[None]]) -> float:
    """How long it takes, on the wall."""
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def measure(url: str, count: int) -> None:
    """Print one line for each size of a batch."""
    await migrate(url)
    tasks = [closed(whole(n, task_id=f"task-{n:08}", start=NOON + n * SECOND / 100)) for n in range(1, count + 1)]
    guarded = {}
    for each in tasks:
        id_ = point_id(each.sealed.trace_id, each.sealed.span_id)
        assert each.facts is not None
        guarded[id_] = revise(id_, each.facts, 1)
    rows = [row(found.point) for found in guarded.values()]
    size = statistics.mean(len(each[-1].obj) for each in rows)
    print(f"{count} records of {size:.0f} bytes of JSON; rows a second, median of {ROUNDS} rounds")
    async with opened(url, revise=lambda id_, _facts, _revision: guarded[id_]) as store:
        for length in BATCHES:
            parts = range(0, count, length)

            async def bare(length: int = length, parts: range = parts) -> None:
                for at in parts:
                    async with store._database.owning() as connection:
                        await copy_rows(connection, rows[at : at + length])

            async def apply(length: int = length, parts: range = parts) -> None:
                for at in parts:
                    await store.apply(batch(*tasks[at : at + length]))

            taken: list[tuple[float, float]] = []
            for _ in range(ROUNDS):
                await execute(store, f"TRUNCATE {TABLES}")
                without = await seconds(bare)
                await execute(store, f"TRUNCATE {TABLES}")
                taken.append((without, await seconds(apply)))
            copied = count / statistics.median(each[0] for each in taken)
            applied = count / statistics.median(each[1] for each in taken)
            print(f"batches of {length:4}: bare COPY {copied:6.0f}, store {applied:6.0f}, ratio {applied / copied:.2f}")


def main(count: int) -> None:
    """Measure on a server of the benchmark's own, with its disk synced as in use."""
    with reachable_folder() as folder, EmbeddedServer(folder / "postgres") as server:
        asyncio.run(measure(server.url, count))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
