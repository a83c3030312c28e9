"""What the running processor keeps of data quality: the gates that it has, and what is usual for a type of task.

Nothing waits for it: a task that finds nothing to be compared with is no outlier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from collector_processor.app.reporting.status import Off
from collector_processor.app.storing.pipeline import gate_settings
from collector_processor.config import Settings
from collector_processor.config.values import show_duration
from collector_processor.model.facts import Baseline
from collector_processor.model.record import GateName
from collector_processor.store import quality
from collector_processor.store.database import Database
from collector_processor.store.quality import Window

_MEASURED: Final = {GateName.LATENCY_OUTLIER: "latency_ms", GateName.TOKEN_OUTLIER: "tokens_used"}
"""Gate → the number that it looks at, as a baseline has it."""


class QualityKeeper:
    """Names the gates once, and measures a window when an hour is full.

    Attributes:
        baselines: what is usual now, by task type; None until the database was asked.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._gates = gate_settings(settings)
        self._measured: Window | None = None
        self._named = False
        self.baselines: Mapping[str, Baseline] | None = None

    async def tend(self, url: str, now: datetime) -> None:
        """One round, after hours were settled. Raises StoreError."""
        async with Database(url, application_name="otel-benchmark quality") as database:
            if not self._named:
                await quality.record_gates(database, self._gates.severities_in_force())
                self._named = True
            window = Window.before(now, timedelta(seconds=self._settings.outlier_window))
            if window != self._measured:
                await quality.measure(database, window)
                self._measured = window
            self.baselines = await quality.read_baselines(database, now)

    def off(self) -> Iterator[Off]:
        """Outlier gates that know too little of a task type."""
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
