"""What the processor says of itself: health, status and metrics, from the journal's snapshot and the database.

The database is asked every few seconds, not at each question: an answer must never wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from collector_processor.app.journalling.front import Snapshot as JournalSnapshot
from collector_processor.app.journalling.sealing import SECOND, Waiting
from collector_processor.app.reporting import parts
from collector_processor.app.reporting import status as report
from collector_processor.app.reporting.admin import Health
from collector_processor.app.reporting.health import Lately, Seen, Watched, judge
from collector_processor.app.reporting.history import History
from collector_processor.app.reporting.pace import Pace
from collector_processor.errors import BenchmarkError
from collector_processor.store.database import Database
from collector_processor.store.figures import Figures, read_figures
from collector_processor.telemetry import get_logger
from collector_processor.telemetry.metrics import refused_requests
from collector_processor.telemetry.snapshot import Snapshot

log = get_logger(__name__)

ASK_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 3.0
"""Who asks for the status waits for the database no longer than this."""
MEANINGFUL_SECONDS: Final = 60.0
"""A rate over less than this says nothing."""
MINUTE: Final = 60.0
DAY: Final = 86_400.0


class Monitor:
    """Watches one processor."""

    def __init__(self, processor: Watched) -> None:
        self._processor = processor
        self._version = version("otel-benchmark")
        self._began = time.time()
        self._figures: Figures | None = None
        self._latest: JournalSnapshot | None = None
        self._sealed: list[Waiting] = []
        self._journal_bytes, self._batches, self._database_bytes = History(), History(), History()
        self._pace = Pace()
        self._refused = Lately(refused_requests)
        self._shed = Lately(lambda: processor.front.counters.shed)
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._watching = asyncio.create_task(self._watch(), name="monitor")

    async def stop(self) -> None:
        """End."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            try:
                self.health()  # what has grown lately is only known to who asks every few seconds
                await self._look_at_journal()
                if self._pace.may_watch(time.monotonic()):
                    await self._look_at_database()
            except BenchmarkError as error:
                log.debug("monitor: no answer", problem=str(error))  # health says it already
            except Exception:
                log.exception("monitor: status and metrics are those of an earlier time")
            await asyncio.sleep(ASK_SECONDS)

    async def _look_at_journal(self) -> None:
        latest = await self._processor.front.snapshot()
        self._latest = latest
        self._sealed = self._processor.pool.queue.backlog  # now: what is open in one is not sealed in the other
        now = time.monotonic()
        self._journal_bytes.note(now, latest.used_bytes)
        self._batches.note(now, latest.counters.batches)

    async def _look_at_database(self) -> None:
        keeper = self._processor.database
        if keeper.url is None or not keeper.ready.is_set():
            return
        try:
            async with Database(keeper.url, application_name="otel-benchmark monitor") as database:
                self._figures = await read_figures(database)
        except BenchmarkError as error:
            keeper.problem = str(error)
            raise
        now = time.monotonic()
        self._pace.answered(now, took=now - self._figures.asked_at)
        self._database_bytes.note(now, self._figures.database_bytes)
        keeper.problem = None
        if not self._processor.pool.queue.backlog:
            self._processor.outage.ended()  # nobody else would find out

    # -- Answers ---------------------------------------------------------------------------------------------

    def health(self) -> Health:
        """From what is known already; quick."""
        latest = self._latest
        return judge(
            Seen(
                self._processor,
                lag=self._lag(),
                dead_bytes=0 if latest is None else latest.dead_bytes,
                open_traces=0 if latest is None else latest.summary.traces,
                refused=self._refused.growth(),
                shed=self._shed.growth(),
            )
        )

    def metrics(self) -> Snapshot:
        """The status as metrics, as of the last look."""
        return report.as_metrics(self._report()) if self._latest is not None else {}

    async def status(self) -> report.Status:
        """The status now; of a slow database what it said last, and how long ago that was asked."""
        with contextlib.suppress(BenchmarkError):
            await self._look_at_journal()
            if self._processor.database.problem or self._pace.may_question(time.monotonic()):
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await self._look_at_database()
                except TimeoutError:
                    self._pace.given_up(time.monotonic())
        return self._report()

    def _lag(self) -> float:
        backlog = self._processor.pool.queue.backlog
        return max(0.0, time.time() - backlog[0].sealed_at / SECOND) if backlog else 0.0

    def _report(self) -> report.Status:
        processor, latest = self._processor, self._latest
        assert latest is not None
        looked = parts.Looked(processor, latest, self._sealed, self._figures)
        return report.Status(
            version=self._version,
            pid=os.getpid(),
            started_at=datetime.fromtimestamp(self._began, UTC).isoformat(),
            uptime_seconds=time.time() - self._began,
            health=self.health(),
            listening=processor.listeners.addresses,
            workers=processor.settings.workers,
            journal=report.Journal(
                bytes=latest.used_bytes,
                max_bytes=processor.settings.journal_max_bytes,
                seconds_to_full=self._seconds_to_full(latest.used_bytes),
            ),
            place=parts.place(looked),
            database=parts.database(looked, self._lag()),
            collection=self._collection(latest),
            equations=tuple(parts.equations(looked)),
            waiting=parts.waiting(looked),
            fallback=report.Fallback(**processor.fallback.figures()._asdict()),
            privacy=parts.privacy(looked),
            analysis=parts.analysis(looked),
            halted=tuple(parts.halted(looked)),
            forward=parts.forward(looked),
            off=tuple(parts.off(looked)),
        )

    def _seconds_to_full(self, used: int) -> float | None:
        growth = self._journal_bytes.rate(ASK_SECONDS)
        return (self._processor.settings.journal_max_bytes - used) / growth if growth and growth > 0 else None

    def _collection(self, latest: JournalSnapshot) -> report.Collection:
        counters = latest.counters
        received = counters.received - counters.rejected
        return report.Collection(
            duplicate_rate=counters.duplicate / received if received else None,
            buffer_flush_rate_per_minute=_times(self._batches.rate(MEANINGFUL_SECONDS), MINUTE),
            storage_growth_rate_bytes_per_day=_times(self._database_bytes.rate(MEANINGFUL_SECONDS), DAY),
            **({} if self._figures is None else self._figures.collection),
        )


def _times(rate: float | None, seconds: float) -> float | None:
    return None if rate is None else rate * seconds
