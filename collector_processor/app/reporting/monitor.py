"""What the processor says of itself: health, status and metrics, from the journal's snapshot and the database.

The database is asked every few seconds, not at each question: an answer must never wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from collector_processor.app.forwarding.process import protocol_of
from collector_processor.app.journalling.front import Snapshot as JournalSnapshot
from collector_processor.app.journalling.sealing import SECOND, Waiting
from collector_processor.app.reporting import status as report
from collector_processor.app.reporting.admin import Health
from collector_processor.app.reporting.equations import database_spans, deep_samples, journal_spans, records
from collector_processor.app.reporting.health import Lately, Seen, Watched, judge
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


class Monitor:
    """Watches one processor."""

    def __init__(self, processor: Watched) -> None:
        self._processor = processor
        self._version = version("otel-benchmark")
        self._began = time.time()
        self._figures: Figures | None = None
        self._latest: JournalSnapshot | None = None
        self._sealed: list[Waiting] = []
        self._growth: deque[tuple[float, int]] = deque(maxlen=720)
        self._batches: deque[tuple[float, int]] = deque(maxlen=720)
        self._database_bytes: deque[tuple[float, int]] = deque(maxlen=720)
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
        self._growth.append((now, latest.used_bytes))
        self._batches.append((now, latest.counters.batches))

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
        self._database_bytes.append((now, self._figures.database_bytes))
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
        processor, latest, figures = self._processor, self._latest, self._figures
        assert latest is not None
        counters, summary = latest.counters, latest.summary
        equations = [journal_spans(counters), records(counters), deep_samples(counters)]
        if figures is not None:
            equations.append(database_spans(figures.ledger))
        keeper = processor.database
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
            place=report.Place(
                open_tasks=summary.with_task,
                open_traces=summary.traces,
                max_open_traces=processor.settings.max_open_traces,
                open_spans=counters.open,
                max_open_spans=processor.settings.max_open_spans,
                closed_tasks=summary.ready,
                next_flush_seconds=processor.settings.flush_interval if summary.ready else None,
                sealed_batches=len(self._sealed),
                sealed_tasks=sum(batch.tasks for batch in self._sealed),
                oldest_open_task_seconds=(
                    None if summary.oldest_arrival is None else time.time() - summary.oldest_arrival / SECOND
                ),
            ),
            database=report.Database(
                url=keeper.shown_url,
                tier=keeper.tier,
                up=keeper.problem is None,
                lag_seconds=self._lag(),
                error=keeper.problem,
                asked_seconds_ago=None if figures is None else time.monotonic() - figures.asked_at,
                maintenance=_maintenance(figures, processor.upkeep.problem),
            ),
            collection=self._collection(figures, latest),
            equations=tuple(equations),
            waiting=self._waiting(),
            fallback=report.Fallback(**processor.fallback.figures()._asdict()),
            privacy=self._privacy(),
            analysis=self._analysis(figures, latest),
            halted=self._halted(),
            forward=self._forward(),
            off=self._off(),
        )

    def _seconds_to_full(self, used: int) -> float | None:
        """As the journal has grown over the time that is remembered (an hour at most)."""
        then, before = self._growth[0]
        seconds = time.monotonic() - then
        if used <= before or seconds < ASK_SECONDS:
            return None
        return (self._processor.settings.journal_max_bytes - used) * seconds / (used - before)

    def _collection(self, figures: Figures | None, latest: JournalSnapshot) -> report.Collection:
        counters = latest.counters
        then, before = self._batches[0]
        minutes = (time.monotonic() - then) / 60
        received = counters.received - counters.rejected
        seen = {} if figures is None else figures.collection
        return report.Collection(
            duplicate_rate=counters.duplicate / received if received else None,
            buffer_flush_rate_per_minute=(counters.batches - before) / minutes
            if minutes * 60 >= MEANINGFUL_SECONDS
            else None,
            storage_growth_rate_bytes_per_day=_per_day(self._database_bytes),
            **seen,
        )

    def _waiting(self) -> report.Waiting | None:
        settings = self._processor.settings
        if self._figures is None:
            return None
        waiting = self._figures.waiting
        return report.Waiting(
            facts=waiting.facts,
            evaluations=waiting.evaluations,
            max_facts=settings.max_waiting,
            oldest_seconds=None if waiting.since is None else time.time() - waiting.since.timestamp(),
            max_seconds=settings.max_waiting_age,
        )

    def _privacy(self) -> report.Privacy | None:
        keys, done = self._processor.privacy_keys, self._processor.pool.redactions
        if keys is None:
            return None
        return report.Privacy(
            keys=tuple(key_id for key_id, _ in keys), texts=done.texts, replaced=done.replaced, withheld=done.withheld
        )

    def _analysis(self, figures: Figures | None, latest: JournalSnapshot) -> report.Analysis:
        counters, oldest = latest.counters, latest.oldest_analysis
        settings = self._processor.settings
        return report.Analysis(
            pending=counters.samples_pending,
            oldest_pending_seconds=None if oldest is None else time.time() - oldest / SECOND,
            bytes=counters.analysis_bytes,
            max_bytes=int(settings.journal_max_bytes * settings.analysis_share),
            stored=None if figures is None else figures.deep_samples,
            problem=self._processor.analysing.problem,
        )

    def _halted(self) -> tuple[report.Halted, ...]:
        held = self._processor.front.held
        return tuple(
            report.Halted(
                source=halt.source,
                since=halt.since.isoformat(),
                found=halt.found,
                record=str(halt.id),
                bytes=held[halt.source].bytes,
                max_bytes=held[halt.source].max_bytes,
                seconds_to_full=held[halt.source].seconds_to_full,
            )
            for halt in self._processor.halts.current
            if halt.source in held
        )

    def _forward(self) -> report.Forward | None:
        settings, forwarding = self._processor.settings, self._processor.forwarding
        if settings.forward_endpoint is None or forwarding is None:
            return None
        return report.Forward(
            endpoint=settings.forward_endpoint,
            protocol=protocol_of(settings),
            sent=forwarding.sent,
            sampled_out=forwarding.sampled,
            dropped={reason.value: spans for reason, spans in forwarding.dropped.items()},
            waiting_bytes=forwarding.waiting_bytes,
            problem=forwarding.problem,
            texts=forwarding.redactions.texts,
            replaced=forwarding.redactions.replaced,
            withheld=forwarding.redactions.withheld,
        )

    def _off(self) -> tuple[report.Off, ...]:
        settings = self._processor.settings
        off = [
            report.Off(what=name, why=f"COLLECTOR_PROCESSOR_{name.upper()} is empty")
            for name in ("otlp_grpc", "otlp_http", "admin")
            if getattr(settings, name) is None
        ]
        if settings.privacy == "off":
            why = "COLLECTOR_PROCESSOR_PRIVACY is off: texts are stored and forwarded as they come"
            off.append(report.Off(what="privacy", why=why))
        if settings.tenant_key is None:
            why = "COLLECTOR_PROCESSOR_TENANT_KEY is not set: tenants in clear are left out of records"
            off.append(report.Off(what="tenants", why=why))
        if settings.forward_endpoint is None:
            why = "COLLECTOR_PROCESSOR_FORWARD_ENDPOINT is not set: traces go nowhere else"
            off.append(report.Off(what="forwarding", why=why))
        if settings.judge_url is None:
            why = "COLLECTOR_PROCESSOR_JUDGE_URL is not set: no task is judged by a model"
            off.append(report.Off(what="judge", why=why))
        return (*off, *self._processor.upkeep.quality.off())


def _maintenance(figures: Figures | None, problem: str | None) -> report.Maintenance:
    if figures is None:
        return report.Maintenance(error=problem)
    done = figures.upkeep
    return report.Maintenance(
        stale_hours=done.stale_hours,
        settled_at=None if done.settled_at is None else done.settled_at.isoformat(),
        retired_at=None if done.retired_at is None else done.retired_at.isoformat(),
        error=problem,
    )


def _per_day(history: deque[tuple[float, int]]) -> float | None:
    """Growth of what was noted over the time that is remembered; None before it means anything."""
    if len(history) < 2 or (seconds := history[-1][0] - history[0][0]) < MEANINGFUL_SECONDS:
        return None
    return (history[-1][1] - history[0][1]) / seconds * 86_400
