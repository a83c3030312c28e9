"""Data quality in the database: what the gates said, counted by the hour, and what is usual for a type of task.

Maintenance counts both again, by the hour, where records have changed; here is what is made of the counts.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from psycopg.rows import DictRow

from collector_processor.model.facts import Baseline, Spread
from collector_processor.model.record import GateName, Severity
from collector_processor.store.database import Database
from collector_processor.store.statements import statement

_KEPT: Final = timedelta(days=90)
"""How long hourly counts of latencies and tokens are kept, and bounds of windows that have passed."""


class Window(NamedTuple):
    """A span of time up to a full hour; the end is not in it."""

    start: datetime
    end: datetime

    @classmethod
    def before(cls, now: datetime, length: timedelta) -> Window:
        """The window of that length that ends with the last full hour."""
        end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return cls(end - length, end)


async def measure(database: Database, window: Window) -> None:
    """Write down what is usual in a window, from hours that are settled; measuring it again replaces it.

    Raises StoreError.
    """
    async with database.owning() as connection:
        await connection.execute(
            statement("measure_outliers"), {"window_start": window.start, "window_end": window.end}
        )
        await connection.execute(statement("forget_usual"), {"before": window.end - _KEPT})


async def read_baselines(database: Database, now: datetime) -> dict[str, Baseline]:
    """What is usual now, by task type; nothing where no window was measured lately. Raises StoreError."""
    async with database.owning() as connection:
        rows = await (await connection.execute(statement("read_baselines"), {"now": now})).fetchall()
    by_type: dict[str, list[DictRow]] = {}
    for row in rows:
        by_type.setdefault(row["task_type"], []).append(row)
    return {task_type: _baseline(task_type, of_type) for task_type, of_type in by_type.items()}


async def record_gates(database: Database, severities: Collection[tuple[GateName, Severity]]) -> None:
    """Let `gate_results` know every gate with each severity that it may fail with. Raises StoreError."""
    parameters = {
        "gates": [gate.value for gate, _ in severities],
        "severities": [severity.value for _, severity in severities],
    }
    async with database.owning() as connection:
        await connection.execute(statement("record_gates"), parameters)


def _baseline(task_type: str, rows: list[DictRow]) -> Baseline:
    spreads = {row["measure"]: Spread(row["tasks"], row["median"], row["deviation"], row["p99"]) for row in rows}
    start, end = (_text(rows[0][name]) for name in ("window_start", "window_end"))
    return Baseline(task_type, start, end, spreads.get("latency_ms"), spreads.get("tokens_used"))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")
