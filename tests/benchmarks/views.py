"""The hot queries on millions of points, through the public views as a reader, beside bare questions in the same run.

Points are made by the server, with small records, so that ten million fit on a disk: what is measured is how a row is
found, not how five kilobytes are sent. Statistics are settled and tables vacuumed first, as maintenance leaves them.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from benchmarks.databases import DURABLE, SERVERS, connected, database
from support.generated import HOT_QUERIES, Population, ask_as_reader, generate
from support.plans import executed, tables

from collector_processor.store.maintenance import settle
from collector_processor.store.tiers import Lifetimes

DAYS = 180
ROUNDS = 200
GOAL_MS = 50
SETTINGS = {**DURABLE, "shared_buffers": "1GB", "max_wal_size": "8GB", "synchronous_commit": "off"}
BARE = {
    "SELECT 1": "SELECT 1",
    "a row by its primary key": "SELECT * FROM benchmark_data.points WHERE timestamp = %(timestamp)s AND id = %(id)s",
}
KEY = "SELECT id, timestamp FROM benchmark_data.point_keys WHERE task_id = %(task_id)s"
CHUNKS = (
    "SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
    " WHERE inhparent = 'benchmark_data.points'::regclass"
)


def fill(url: str, population: Population) -> None:
    """Generate and maintain."""
    start = time.perf_counter()
    for count in generate(url, population):
        if sys.stdout.isatty():
            print(f"\r{count:,} points", end="", flush=True)
    print(f"\r{population.points:,} points made in {time.perf_counter() - start:.0f} s", flush=True)
    start = time.perf_counter()
    hours = asyncio.run(settle(url))
    print(f"{hours:,} hours settled in {time.perf_counter() - start:.0f} s", flush=True)
    with connected(url) as connection:
        connection.execute("VACUUM ANALYZE")
        for name, size in sizes(connection).items():
            print(f"  {name:20} {size / population.points:6.0f} bytes a task")


def sizes(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Bytes of each table with its chunks, indexes and overflow, the largest first."""
    rows = connection.execute(
        "SELECT name, pg_total_relation_size(format('benchmark_data.%I', name)::regclass) + coalesce(("
        " SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
        " WHERE inhparent = format('benchmark_data.%I', name)::regclass), 0)::bigint AS size"
        " FROM unnest(ARRAY['points', 'point_keys', 'hourly_statistics', 'hourly_latencies', 'daily_statistics',"
        " 'daily_latencies']) AS name ORDER BY size DESC"
    ).fetchall()
    return {row["name"]: row["size"] for row in rows}


def measure(url: str, population: Population) -> bool:
    """Print a line a question; whether every hot one is quick enough."""
    drawn = random.Random(1)
    with connected(url) as owner, connected(url) as reader:
        ask_as_reader(reader)
        chunks = {row["name"] for row in owner.execute(CHUNKS).fetchall()}
        asked = [population.parameters(drawn.randint(1, population.points)) for _ in range(ROUNDS)]
        keyed = [{**each, **(owner.execute(KEY, each).fetchone() or {})} for each in asked]
        print(
            f"{population.points:,} points over {population.days} days, {len(chunks)} chunks; {ROUNDS} questions each"
        )
        for name, query in BARE.items():
            _report(name, _milliseconds(owner, query, keyed))
        slowest = 0.0
        for name, query in HOT_QUERIES.items():
            # As the owner: a reader isn't told the plan of what lies behind the views.
            read = tables(executed(owner, query.replace("FROM ", "FROM benchmark."), asked[0])) & chunks
            touched = f"   {len(read)} of {len(chunks)} chunks" if chunks else ""
            slowest = max(slowest, _report(name, _milliseconds(reader, query, asked), touched))
    print(f"goal: p95 below {GOAL_MS} ms")
    return slowest < GOAL_MS


def _milliseconds(
    connection: psycopg.Connection[Any], query: str, parameters: Sequence[Mapping[str, object]]
) -> list[float]:
    """How long each of the questions took, with its rows fetched."""
    taken = []
    for each in parameters:
        start = time.perf_counter()
        connection.execute(query.encode(), each).fetchall()
        taken.append((time.perf_counter() - start) * 1000)
    return taken


def _report(name: str, taken: list[float], more: str = "") -> float:
    """Print the middle and the slow end; returns p95."""
    cuts = statistics.quantiles(taken, n=20)
    print(f"  {name:28} p50 {cuts[9]:7.2f} ms   p95 {cuts[18]:7.2f} ms{more}", flush=True)
    return cuts[18]


def main() -> int:
    """Measure; 1 where a hot query is slower than its goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.views")
    parser.add_argument("--points", type=int, default=300_000, help="how many, over 180 days (default: %(default)s)")
    parser.add_argument("--server", default="embedded", help=f"{SERVERS} (default: embedded)")
    default = Lifetimes().chunk_interval.days
    parser.add_argument("--chunk-days", type=int, default=default, help="days a chunk (default: %(default)s)")
    arguments = parser.parse_args()
    population = Population(arguments.points, DAYS, datetime.now(UTC))
    lifetimes = Lifetimes(chunk_interval=timedelta(days=arguments.chunk_days))
    with database(arguments.server, SETTINGS, lifetimes) as url:
        fill(url, population)
        return 0 if measure(url, population) else 1


if __name__ == "__main__":
    sys.exit(main())
