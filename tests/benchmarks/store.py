"""Writing data points: the store's batches against a bare binary COPY of the same rows, in turns, on one server.

Folding is conversion's work and measured there, so `revise` only looks records up here: what the store adds is the
ledger, the key rows, the columns, the record's encoding and the mark on hours that changed. It runs as a worker does.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Awaitable, Callable

import msgspec
import uvloop
from benchmarks.databases import SERVERS, database
from support.facts import NOON, SECOND, batch, closed, revise, whole
from support.store import execute, opened

from collector_processor.app.memory import be_sparing
from collector_processor.model.facts import Facts
from collector_processor.model.record import point_id
from collector_processor.store.points import copy_rows
from collector_processor.store.rows import row

ROUNDS = 9
BATCHES = (100, 500, 1000, 4000)
"""A busy front seals 500."""
TABLES = (
    "benchmark_data.points, benchmark_data.point_keys, benchmark_data.awaited, benchmark_data.batches,"
    " benchmark_data.stale_hours"
)


def facts(number: int) -> Facts:
    """A task that isn't judged yet: a record of about 5 kB."""
    trace = random.Random(number).getrandbits(127)
    everything = whole(trace, task_id=f"task-{number:08}", start=NOON + number * SECOND / 100)
    return msgspec.structs.replace(everything, tool_calls=(), evaluations=())


async def seconds(work: Callable[[], Awaitable[None]]) -> float:
    """How long it takes, on the wall."""
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def measure(url: str, count: int, prepare_threshold: int | None) -> None:
    """Print one line for each size of a batch."""
    tasks = [closed(facts(number)) for number in range(1, count + 1)]
    guarded = {}
    for each in tasks:
        id_ = point_id(each.sealed.trace_id, each.sealed.span_id)
        assert each.facts is not None
        guarded[id_] = revise(id_, each.facts, 1)
    rows = [row(found.point) for found in guarded.values()]
    size = statistics.mean(len(each[-1]) for each in rows)
    print(f"{count} records of {size:.0f} bytes of JSON; rows a second, median of {ROUNDS} rounds")
    be_sparing()
    rules = {"revise": lambda id_, _facts, _revision: guarded[id_]}
    async with opened(url, prepare_threshold=prepare_threshold, **rules) as store:
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
            for turn in range(ROUNDS):
                # Each is first in turn: what the disk still has to write of one is the other's delay.
                measured: dict[bool, float] = {}
                for storing in (turn % 2 == 1, turn % 2 == 0):
                    await execute(store, f"TRUNCATE {TABLES}")
                    measured[storing] = await seconds(apply if storing else bare)
                taken.append((measured[False], measured[True]))
            copied, applied = (count / statistics.median(each) for each in zip(*taken, strict=True))
            ratios = sorted(without / stored for without, stored in taken)
            print(
                f"batches of {length:4}: bare COPY {copied:6.0f}, store {applied:6.0f}, ratio {applied / copied:.2f}"
                f" ({ratios[0]:.2f} to {ratios[-1]:.2f})",
                flush=True,
            )


def main() -> None:
    """Measure on a server of the benchmark's own, with its disk synced as in use."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store")
    parser.add_argument("--tasks", type=int, default=4000, help="how many (default: %(default)s)")
    parser.add_argument("--server", default="embedded", help=f"{SERVERS} (default: embedded)")
    arguments = parser.parse_args()
    with database(arguments.server) as url:
        uvloop.run(measure(url, arguments.tasks, None if arguments.server == "community" else 5))


if __name__ == "__main__":
    main()
