"""Many points, made by the server itself, and the questions that must stay quick however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import md5
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import psycopg

_SQL: Final = Path(__file__).with_suffix(".sql").read_bytes()
_PORTION: Final = 100_000
"""Points a statement."""

HOT_QUERIES: Final = MappingProxyType(
    {
        "last hour by agent": "SELECT agent_id, count(*) AS tasks, avg(latency_ms) AS latency_ms,"
        " avg(overall_score) AS quality FROM data_points WHERE timestamp >= %(hour)s GROUP BY agent_id",
        "one task by id": "SELECT * FROM data_points WHERE task_id = %(task_id)s",
        "one trace by id": "SELECT * FROM data_points WHERE trace_id = %(trace_id)s",
        "quality by type, 30 days": "SELECT task_type, sum(avg_quality * evaluated_tasks) / sum(evaluated_tasks)"
        " AS quality FROM agent_statistics_daily WHERE bucket >= %(month)s GROUP BY task_type",
        "failures by gate, 30 days": "SELECT gate, severity, sum(failed) / sum(checked) AS rate"
        " FROM gate_results WHERE hour >= %(month)s GROUP BY gate, severity",
    }
)
"""Questions by name, with the names of `Population.parameters`, to be asked by a reader."""


class Population(NamedTuple):
    """`points` tasks numbered from 1 in order of time, over the `days` before `until`, each in a trace of its own."""

    points: int
    days: int
    until: datetime

    def parameters(self, number: int) -> Mapping[str, object]:
        """What the hot queries need to ask for one of the points, or for what is new at its time."""
        return {
            "task_id": f"task-{number}",
            "trace_id": md5(str(number).encode(), usedforsecurity=False).hexdigest(),
            "hour": self.until - timedelta(hours=1),
            "month": self.until - timedelta(days=30),
        }


def generate(url: str, population: Population) -> Iterator[int]:
    """Insert them as the database's owner, and mark their hours as changed; yields how many there are as they come."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SELECT setseed(0.5)")
        for first in range(1, population.points + 1, _PORTION):
            last = min(first + _PORTION - 1, population.points)
            connection.execute(_SQL, population._asdict() | {"first": first, "last": last})
            yield last
        connection.execute(
            "INSERT INTO benchmark_data.stale_hours (hour) SELECT DISTINCT hour FROM benchmark_data.points"
        )


def ask_as_reader(connection: psycopg.Connection[object]) -> None:
    """From now on ask as people do: by the public views, without the right to anything else."""
    connection.execute("SET ROLE benchmark_reader")
    connection.execute("SET search_path = benchmark, public")
