"""Deep analysis: takes what the journal has pending, has analysts look at it, stores the samples.

Nothing waits for it: records are stored before. Whatever ends it in between leaves the analysis pending in the journal,
and what it had stored until then is noticed when it is done again.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar
from uuid import UUID

from collector_processor.analyse import Part, Work
from collector_processor.app.analysing.outbox import Ended, Outbox
from collector_processor.app.analysing.pool import pool_of
from collector_processor.app.analysing.requests import Requests
from collector_processor.app.database import DatabaseKeeper
from collector_processor.app.journalling.front import Front
from collector_processor.config import Settings
from collector_processor.errors import AnalysisError, DamagedEntryError, StoreError, Trouble, told
from collector_processor.journal.analyses import Analysed
from collector_processor.journal.format import Analysis
from collector_processor.model.record import encode_point, point_id
from collector_processor.model.samples import Sample, SampleReason, SampleStatus
from collector_processor.model.sampling import Facet
from collector_processor.model.stages import PrivacyKeys, RawTask, Signal
from collector_processor.store.database import Database
from collector_processor.store.halts import source_of
from collector_processor.store.samples import Ready, read_ready, write_samples
from collector_processor.telemetry import get_logger, metrics

log = get_logger(__name__)
T = TypeVar("T")
N = TypeVar("N", bound="_Numbered")

LOOK_SECONDS: Final = 1.0
"""Pending analyses are looked for so often."""
HOLD_SECONDS: Final = 60.0
"""What a halted source holds back, or what failed in a way that nobody foresaw, is looked at again after this."""
FIRST_PAUSE: Final = 0.5
LAST_PAUSE: Final = 10.0
PAGE: Final = 50
"""Pending analyses whose records are read at once."""


class _Numbered(Protocol):
    """An analysis, as the journal tells it from others."""

    @property
    def number(self) -> int: ...


class _Pending(NamedTuple):
    """An analysis to do, and the record that it is of."""

    number: int
    analysis: Analysis
    point: UUID


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
        self._requests = Requests(front.run)
        self._recalled = False
        self._free = asyncio.Semaphore(settings.analysts + 1)  # one more reads while the others are looked at
        self._after = 0
        self._mine: set[int] = set()
        self._outbox = Outbox(lambda: len(self._mine))
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
            tasks.create_task(self._repeat(self._store_next))
            await self._repeat(partial(self._look, tasks))

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do it for ever; after a failure that nobody foresaw, with a pause."""
        failing = False
        while True:
            try:
                await step()
            except Exception as error:
                log.exception("analysis: it goes on after a pause")
                self.problem, failing = told(error), True
                await asyncio.sleep(LAST_PAUSE)
            else:
                if failing:
                    self.problem, failing = None, False

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        """Begin with the next analyses that are pending, or wait for some."""
        if not self._recalled:
            self._pool.remember(await self._requests.recall(), self._requests.keep)
            self._recalled = True
        page = self._front.reader.analyses(self._after, PAGE)
        found = [_Pending(number, each, point_id(each.trace_id, each.span_id)) for number, each in page]
        mine = [each for each in found if self._is_due(each.number)]
        if mine:
            self._mine.update(each.number for each in mine)
            await self._together(partial(self._begin, tasks), mine)
        self._after = page[-1][0] if page else 0
        await asyncio.sleep(0 if page else LOOK_SECONDS)

    def _is_due(self, number: int) -> bool:
        return number not in self._mine and self._later.get(number, 0.0) <= time.monotonic()

    async def _together(self, do: Callable[[Sequence[N]], Awaitable[None]], some: Sequence[N]) -> None:
        """Do something with many analyses at once; where that fails, with each by itself: one may be to blame."""
        try:
            await do(some)
        except Exception as error:  # noqa: BLE001  # the last one to be tried alone tells it
            if len(some) == 1:
                self._put_off(some[0].number, error)
                return
            for each in some:
                await self._together(do, [each])

    def _put_off(self, number: int, error: Exception | None = None) -> None:
        """Let go of an analysis for a while."""
        if error is not None:
            log.error("analysis: it is tried again later", exc_info=error)
            self.problem = told(error)
        self._later[number] = time.monotonic() + HOLD_SECONDS
        self._let_go(number)

    def _let_go(self, number: int) -> None:
        self._mine.discard(number)
        self._erased.discard(number)

    # -- One task --------------------------------------------------------------------------------------------

    async def _begin(self, tasks: asyncio.TaskGroup, pending: Sequence[_Pending]) -> None:
        """Read the records of some analyses, and do one after the other as analysts are free."""
        points = {each.point for each in pending}
        ready = await self._patiently(lambda: self._ask(lambda database: read_ready(database, points)))
        for each in pending:
            await self._free.acquire()
            tasks.create_task(self._do(each, ready.get(each.point)))

    async def _do(self, pending: _Pending, ready: Ready | None) -> None:
        number, analysis, point = pending
        try:
            if ready is None:
                await self._outbox.put(Ended(number, point))
            elif source_of(ready.record.provenance.source) in self._front.halted:
                self._put_off(number)
            else:
                await self._outbox.put(Ended(number, point, await self._samples(analysis, ready)))
        except Exception as error:  # noqa: BLE001  # it is told there
            self._put_off(number, error)
        finally:
            self._free.release()

    async def _samples(self, analysis: Analysis, ready: Ready) -> list[Sample]:
        """The samples that the record doesn't have yet."""
        facets = [facet for facet in analysis.facets if facet not in ready.done]
        task = await asyncio.to_thread(self._read, analysis) if facets else None
        return [await self._sample(facet, analysis, ready, task) for facet in facets]

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

    # -- Storing ---------------------------------------------------------------------------------------------

    async def _store_next(self) -> None:
        await self._together(self._store, await self._outbox.take())

    async def _store(self, ended: Sequence[Ended]) -> None:
        """Write what analyses gave, and end them in the journal."""
        there = await self._patiently(lambda: self._write(ended))
        await self._front.analysed([Analysed(each.number, each.cost, each.point not in there) for each in ended])
        for each in ended:
            self._later.pop(each.number, None)
            self._let_go(each.number)
            for sample in each.samples if each.point in there else ():
                metrics.DEEP_SAMPLES.labels(sample.facet, sample.status, sample.reason or "").inc()
                metrics.ANALYSIS_SECONDS.labels(sample.facet).observe(sample.seconds)

    async def _write(self, ended: Sequence[Ended]) -> frozenset[UUID]:
        """The points that are there still; those of erased analyses are not."""
        async with self._storing:
            samples: defaultdict[UUID, list[Sample]] = defaultdict(list)
            for each in ended:
                if each.number not in self._erased:
                    samples[each.point] += each.samples
            return await self._ask(lambda database: write_samples(database, samples))

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
                if isinstance(error, StoreError) and error.trouble is Trouble.SUSPECT:
                    raise
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
