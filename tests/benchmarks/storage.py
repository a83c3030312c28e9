"""How many bytes of disk a stored task takes, before and after compression, all that belongs to it counted.

Tasks that aren't judged yet go through the real store, with records of about 5 kB. Ids, numbers and words differ as
they do in life, since what repeats itself would compress better than it should.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
from benchmarks.databases import SERVERS, connected, database
from support.facts import NOON, batch, closed, execution, revise, routing, task
from support.store import opened

from collector_processor.model.facts import Agent, Candidate, Facts
from collector_processor.model.record import encode_point
from collector_processor.store.maintenance import settle

GOAL_BYTES = 2000
HOURLY = 833
"""Tasks an hour: the seed's 20,000 a day."""
AGENTS = 50
WORDS = [f"{start}{middle}{end}" for start in "bdfgklmnprst" for middle in ("a", "e", "io", "ou") for end in "lmnrst"]
TOTAL = (
    "SELECT sum(pg_total_relation_size(pg_class.oid)) AS bytes FROM pg_class"
    " JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE relkind = 'r' AND nspname IN ('benchmark_data', '_timescaledb_internal')"
)


def facts(number: int) -> Facts:
    """A task like no other."""
    drawn = random.Random(number)
    trace = drawn.getrandbits(127)
    spans = [drawn.getrandbits(63) for _ in range(3)]
    start = NOON + timedelta(hours=number / HOURLY)
    both: dict[str, Any] = {"task_id": f"{drawn.getrandbits(64):016x}", "start": start}
    agents = [f"agent-{min(int(drawn.paretovariate(1)), AGENTS):02}" for _ in range(3)]
    score = drawn.random

    def prose(length: int) -> str:
        return " ".join(drawn.choices(WORDS, k=length))

    run = execution(
        trace,
        spans[2],
        parent=spans[0],
        agent=Agent(agents[0], agents[0].title(), "1"),
        latency_ms=drawn.lognormvariate(8, 0.9),
        input_tokens=drawn.randint(100, 20_000),
        output_tokens=drawn.randint(10, 4000),
        cost_usd=score(),
        cpu_time_ms=score() * 100,
        **both,
    )
    return Facts(
        task=task(trace, spans[0], type=drawn.choice(("code-editing", "research", "planning")), **both),
        routings=(
            routing(
                trace,
                spans[1],
                parent=spans[0],
                selected_id=agents[0],
                confidence=score(),
                rationale=prose(12),
                candidates=tuple(Candidate(agent, score(), propensity=score()) for agent in agents),
                **both,
            ),
        ),
        executions=(run,),
    )


async def fill(url: str, count: int, prepare_threshold: int | None) -> None:
    """Store so many tasks in batches of a hundred, and settle their statistics."""
    async with opened(url, prepare_threshold=prepare_threshold) as store:
        for first in range(1, count + 1, 100):
            await store.apply(batch(*(closed(facts(number)) for number in range(first, min(first + 100, count + 1)))))
    await settle(url)


def size(connection: psycopg.Connection[Any], question: str) -> int:
    """Bytes, as the question's only column."""
    found = connection.execute(question.encode()).fetchone()
    assert found is not None
    return int(found["bytes"])


def main() -> int:
    """Measure; 1 where a compressed task takes more than its goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage")
    parser.add_argument("--tasks", type=int, default=8 * HOURLY, help="how many (default: %(default)s)")
    parser.add_argument("--server", default="community", help=f"{SERVERS} (default: community)")
    arguments = parser.parse_args()
    count = arguments.tasks
    encoded = statistics.mean(len(encode_point(revise(uuid4(), facts(number), 1).point)) for number in range(100))
    with database(arguments.server) as url, connected(url) as connection:
        empty = size(connection, TOTAL)
        asyncio.run(fill(url, count, None if arguments.server == "community" else 5))
        print(f"{count:,} tasks with records of {encoded:,.0f} bytes of JSON; bytes a task on disk")
        taken = _report(connection, "as they are written", count, empty)
        if _compress(connection):
            taken = _report(connection, "compressed", count, empty)
            print(f"goal: {GOAL_BYTES:,}")
            return int(taken > GOAL_BYTES)
    return 0


def _compress(connection: psycopg.Connection[Any]) -> int:
    """Compress every chunk where the server can; how many were."""
    try:
        return len(connection.execute("SELECT compress_chunk(show_chunks('benchmark_data.points'))").fetchall())
    except (psycopg.errors.UndefinedFunction, psycopg.errors.FeatureNotSupported):
        return 0


def _report(connection: psycopg.Connection[Any], name: str, count: int, empty: int) -> float:
    """Print where the bytes are; returns how many a task."""
    connection.execute("VACUUM ANALYZE benchmark_data.points, benchmark_data.point_keys")
    total = size(connection, TOTAL) - empty
    keys = size(connection, "SELECT pg_total_relation_size('benchmark_data.point_keys') AS bytes")
    chunked = connection.execute("SELECT FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is not None
    measure = "hypertable_size" if chunked else "pg_total_relation_size"
    records = size(connection, f"SELECT {measure}('benchmark_data.points') AS bytes")
    parts = {"records": records, "key rows": keys, "statistics and ledger": total - records - keys}
    shares = ", ".join(f"{part} {taken / count:,.0f}" for part, taken in parts.items())
    print(f"  {name:20} {total / count:6,.0f}: {shares}")
    return total / count


if __name__ == "__main__":
    sys.exit(main())
