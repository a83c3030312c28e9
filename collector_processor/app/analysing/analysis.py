"""Deep analysis: takes what the journal has pending, has analysts look at it, stores the samples.

Nothing waits for it: records are stored before. Whatever ends it in between leaves the analysis pending in the journal,
and what it had stored until then is noticed when it is done again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar
from uuid import UUID

from collector_processor.analyse import Part, Work
from collector_processor.app.analysing.pool import pool_of
from collector_processor.app.database import DatabaseKeeper
from collector_processor.app.journalling.front import Front
from collector_processor.config import Settings
from collector_processor.errors import AnalysisError, DamagedEntryError, StoreError, told
from collector_processor.journal.format import Analysis
from collector_processor.model.record import encode_point, point_id
from collector_processor.model.samples import Sample, SampleReason, SampleStatus
from collector_processor.model.sampling import Facet, Spent, Tally
from collector_processor.model.stages import PrivacyKeys, RawTask, Signal
from collector_processor.store.database import Database
from collector_processor.store.halts import source_of
from collector_processor.store.samples import Ready, read_ready, write_samples
from collector_processor.telemetry import get_logger, metrics

log = get_logger(__name__)
T = TypeVar("T")

LOOK_SECONDS: Final = 1.0
"""Pending analyses are looked for so often."""
HOLD_SECONDS: Final = 60.0
"""What a halted source holds back, or what failed in a way that nobody foresaw, is looked at again after this."""
FIRST_PAUSE: Final = 0.5
LAST_PAUSE: Final = 10.0
PAGE: Final = 50


class Analysing:
    """One per processor.

    Attributes:
        problem: why nothing is analysed right now; None while all is well.
    """

    def __init__(
        self, settings: Settings, database: DatabaseKeeper, front: Front, privacy_keys: PrivacyKeys | None
    ) -> None:
        self._keeper = database
        self._front = front
        self._pool = pool_of(settings, privacy_keys)
        self._free = asyncio.Semaphore(settings.analysts + 1)  # one more reads while the others are looked at
        self._mine: set[int] = set()
        self._later: dict[int, float] = {}
        self._erased: set[int] = set()
        self._storing = asyncio.Lock()
        self._connected: Database | None = None
        self._url: str | None = None
        self._task: asyncio.Task[None] | None = None
        self.problem: str | None = None

    # -- Life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin as soon as the database is ready."""
        self._task = asyncio.create_task(self._run(), name="analysis")

    async def stop(self) -> None:
        """End; what is not stored is done after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._pool.stop()
        if self._connected is not None:
            await self._connected.close()

    async def let_go(self, numbers: Iterable[int]) -> None:
        """Analyses that were erased: when this returns, none of them is stored any more."""
        self._erased |= self._mine.intersection(numbers)
        async with self._storing:
            pass

    async def _run(self) -> None:
        await self._keeper.ready.wait()
        async with asyncio.TaskGroup() as tasks:
            after = 0
            while True:
                page = self._front.reader.analyses(after, PAGE)
                for number, analysis in page:
                    if number not in self._mine and self._later.get(number, 0.0) <= time.monotonic():
                        await self._free.acquire()
                        self._mine.add(number)
                        tasks.create_task(self._do(number, analysis))
                after = page[-1][0] if page else 0
                await asyncio.sleep(0 if page else LOOK_SECONDS)

    async def _do(self, number: int, analysis: Analysis) -> None:
        try:
            await self._analyse(number, analysis)
        except Exception as error:
            log.exception("analysis: it is tried again later")
            self.problem = told(error)
            self._later[number] = time.monotonic() + HOLD_SECONDS
        finally:
            self._mine.discard(number)
            self._erased.discard(number)
            self._free.release()

    # -- One task --------------------------------------------------------------------------------------------

    async def _analyse(self, number: int, analysis: Analysis) -> None:
        id_ = point_id(analysis.trace_id, analysis.span_id)
        ready = await self._patiently(lambda: self._ask(lambda database: read_ready(database, id_)))
        if ready is None:
            await self._front.analysed(number, Tally(), void=True)
            return
        if source_of(ready.record.provenance.source) in self._front.halted:
            self._later[number] = time.monotonic() + HOLD_SECONDS
            return
        task = await asyncio.to_thread(self._read, analysis)
        samples = [
            await self._sample(facet, analysis, ready, task) for facet in analysis.facets if facet not in ready.done
        ]
        stored = await self._patiently(lambda: self._store(number, id_, samples))
        self._later.pop(number, None)
        await self._front.analysed(number, _cost(samples), void=not stored)
        for sample in samples if stored else ():
            metrics.DEEP_SAMPLES.labels(sample.facet, sample.status, sample.reason or "").inc()
            metrics.ANALYSIS_SECONDS.labels(sample.facet).observe(sample.seconds)

    def _read(self, analysis: Analysis) -> RawTask | None:
        """The task's spans; None where they are gone."""
        if not analysis.members:
            return None
        try:
            return self._front.reader.task(analysis)
        except DamagedEntryError as error:
            log.warning("analysis: a task's spans can't be read", problem=str(error))
            return None

    async def _sample(self, facet: Facet, analysis: Analysis, ready: Ready, task: RawTask | None) -> Sample:
        if facet in analysis.shed:
            return Sample(facet, facet, SampleStatus.SHED, SampleReason.BUDGET)
        work = Work(
            facet,
            encode_point(ready.record),
            _parts(task) if task is not None else (),
            tuple([Facet(each.facet) for each in ready.record.sampling.facets]),
            gone=task is None,
        )
        return await self._patiently(lambda: self._pool.analyse(work))

    async def _store(self, number: int, id_: UUID, samples: list[Sample]) -> bool:
        async with self._storing:
            if number in self._erased:
                return False
            return await self._ask(lambda database: write_samples(database, id_, samples))

    # -- Database --------------------------------------------------------------------------------------------

    async def _ask(self, question: Callable[[Database], Awaitable[T]]) -> T:
        return await question(await self._database())

    async def _database(self) -> Database:
        """The database where it is now: an embedded one that was started again has another address."""
        url = self._keeper.url
        assert url is not None, "a database that is ready has been reached"
        if self._connected is None or url != self._url:
            if self._connected is not None:
                await self._connected.close()
            self._connected = Database(url, application_name="otel-benchmark analysis", connections=2)
            self._url = url
            await self._connected.open()
        return self._connected

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it until the database, or an analyst, is there for it."""
        pause = FIRST_PAUSE
        while True:
            try:
                done = await work()
            except (AnalysisError, StoreError) as error:
                if self.problem is None:
                    log.warning("analysis: it waits", problem=str(error))
                self.problem = str(error)
            else:
                self.problem = None
                return done
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)


def _parts(task: RawTask) -> tuple[Part, ...]:
    spans = [Part(payload, positions) for _, payload, positions in task.payloads]
    logs = [Part(payload, positions, Signal.LOGS) for _, payload, positions in task.logs]
    return (*spans, *logs)


def _cost(samples: Iterable[Sample]) -> Tally:
    """What analyses took that were carried out."""
    spent = {
        sample.facet: Spent(1, len(sample.content), sample.calls)
        for sample in samples
        if sample.status is not SampleStatus.SHED
    }
    return Tally(spent=spent)
