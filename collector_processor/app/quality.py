"""Upkeep of data quality by the running processor: results by the hour are settled, and what is usual is measured.

Nothing waits for it: results are current without it, and a task that finds nothing to be compared with is no outlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from collector_processor.app.database import DatabaseKeeper
from collector_processor.app.pipeline import gate_settings
from collector_processor.app.status import Off
from collector_processor.config import Settings
from collector_processor.config.values import show_duration
from collector_processor.errors import BenchmarkError
from collector_processor.model.facts import Baseline
from collector_processor.model.record import GateName
from collector_processor.store import quality
from collector_processor.store.database import Database
from collector_processor.store.quality import Window
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

SETTLE_SECONDS: Final = 60.0

_MEASURED: Final = {GateName.LATENCY_OUTLIER: "latency_ms", GateName.TOKEN_OUTLIER: "tokens_used"}
"""Gate → the number that it looks at, as a baseline has it."""


class QualityKeeper:
    """Settles once a minute, and measures a window when an hour is full.

    Attributes:
        baselines: what is usual now, by task type; None until the database was asked.
        problem: why the last round was not done; None when it was.
    """

    def __init__(self, settings: Settings, database: DatabaseKeeper) -> None:
        self._settings = settings
        self._gates = gate_settings(settings)
        self._database = database
        self._measured: Window | None = None
        self._told = False
        self._keeping: asyncio.Task[None] | None = None
        self.baselines: Mapping[str, Baseline] | None = None
        self.problem: str | None = None

    def start(self) -> None:
        """Begin, when the database is ready."""
        self._keeping = asyncio.create_task(self._keep(), name="quality")

    async def stop(self) -> None:
        """End; what was not settled is settled after the next start."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def _keep(self) -> None:
        await self._database.ready.wait()
        while True:
            try:
                await self.tend(datetime.now(UTC))
                self.problem = None
            except BenchmarkError as error:
                if self.problem != str(error):
                    log.warning("quality: results and bounds are those of an earlier time", problem=str(error))
                self.problem = str(error)
            except Exception as error:
                log.exception("quality: results and bounds are those of an earlier time")
                self.problem = repr(error)
            await asyncio.sleep(SETTLE_SECONDS)

    async def tend(self, now: datetime) -> None:
        """One round. Raises StoreError."""
        url = self._database.url
        assert url is not None, "a database that is ready has a URL"
        async with Database(url, application_name="otel-benchmark quality") as database:
            if not self._told:
                await quality.record_gates(database, self._gates.severities_in_force())
                self._told = True
            await quality.settle(database)
            window = Window.before(now, timedelta(seconds=self._settings.outlier_window))
            if window != self._measured:
                await quality.measure(database, window)
                self._measured = window
            self.baselines = await quality.read_baselines(database, now)

    def off(self) -> Iterator[Off]:
        """What is not at work: upkeep that failed, and outlier gates that know too little of a task type."""
        if self.problem is not None:
            yield Off(what="quality upkeep", why=self.problem)
        if self.baselines is None:
            return
        least, window = self._settings.outlier_min_tasks, show_duration(self._settings.outlier_window)
        for gate, measure in _MEASURED.items():
            known = {type_: getattr(baseline, measure) for type_, baseline in self.baselines.items()}
            counts = dict.fromkeys(self._settings.task_types, 0) | {
                type_: spread.tasks if spread else 0 for type_, spread in known.items()
            }
            silent = [f"{type_} ({tasks})" for type_, tasks in sorted(counts.items()) if tasks < least]
            if silent:
                why = f"no bound for {', '.join(silent)}: it takes {least} tasks of a type in {window}"
                yield Off(what=gate.value, why=why)
