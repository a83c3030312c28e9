"""The worker processes as the front sees them: fed one sealed batch at a time, replaced when they die.

A batch stays with its slot until it is done: a slot's next process first ends what its predecessor left in the
database, so that no batch is ever applied by two at once. `batch_queue` says what is next, `failures` what becomes of a
batch that the store doesn't take.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from collector_processor.app.outage import Outage
from collector_processor.app.protocol import (
    Begin,
    Done,
    Failed,
    Imported,
    OrphansJoined,
    Prepared,
    Reply,
    Unapplied,
    Up,
)
from collector_processor.app.storing.batch_queue import BatchQueue
from collector_processor.app.storing.desk import Desk
from collector_processor.app.storing.failures import FIRST_PAUSE, Failures
from collector_processor.app.storing.fallback import Fallback
from collector_processor.app.storing.process import EndedError, StartError, WorkerProcess, started
from collector_processor.errors import DeadLettersFullError, told
from collector_processor.model.stages import Redactions
from collector_processor.telemetry import get_logger, metrics

log = get_logger(__name__)

LAST_PAUSE: Final = 5.0
"""A process that ended is replaced after a pause that doubles from the first to the last."""


class WorkerPool:
    """Feeds sealed batches to worker processes, oldest first, and what comes back from the fallback between them.

    Args:
        begin: makes a slot's first message (slot name → message); a process whose message has changed is replaced.
        desk: where batches go.
        fallback: where they wait for a database that is down.
        outage: told how the store is.

    Attributes:
        queue: batches not stored yet.
        redactions: what the privacy pass did in all workers since the start; a batch that is done again counts again.
    """

    def __init__(self, begin: Callable[[str], Begin], desk: Desk, fallback: Fallback, outage: Outage) -> None:
        self._begin = begin
        self._desk = desk
        self._fallback = fallback
        self._outage = outage
        self.queue = BatchQueue(fallback, outage, desk.begun)
        self._failures = Failures(self.queue, desk, fallback, outage)
        self._slots: list[asyncio.Task[None]] = []
        self.redactions = Redactions()

    def hurry(self) -> None:
        """Try now what waits for a pause, or for room among the dead letters."""
        self._fallback.hurry()
        self.queue.hurry()
        self._failures.hurry()

    def start(self, workers: int) -> None:
        """Start that many processes; each is replaced for as long as the pool lives."""
        self._slots = [asyncio.create_task(self._keep(f"worker-{number}")) for number in range(workers)]

    async def stop(self) -> None:
        """End the processes. What they have not finished is applied after the next start."""
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)

    async def _keep(self, slot: str) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                problem = await self._serve(slot)
                if problem is None:
                    continue
                if await self._failures.judge(slot, problem):
                    pause = FIRST_PAUSE
            except StartError as error:
                problem = str(error)
            except Exception as error:
                log.exception("worker: the slot failed", slot=slot)
                problem = told(error)
            self.queue.give_up_import(slot)
            if time.monotonic() - began > LAST_PAUSE * 2:
                pause = FIRST_PAUSE
            self.queue.problem = problem
            metrics.WORKER_RESTARTS.inc()
            log.warning("worker: started again after a pause", slot=slot, problem=problem, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)

    async def _serve(self, slot: str) -> str | None:
        """Feed one process for as long as its settings hold; returns why it ended before that."""
        # A process takes a second to start, which it may do before the database is there, but not to be told the URL.
        while not (self._begin(slot).database_url or self._fallback.wanted):
            await self.queue.news()
        begin = self._begin(slot)
        try:
            async with started(begin) as process:
                while self._begin(slot) == begin:
                    await self._turn(slot, process)
        except EndedError as error:
            return str(error)
        return None

    async def _turn(self, slot: str, process: WorkerProcess) -> None:
        request = await self.queue.next(slot)
        began = time.monotonic()
        reply = await process.ask(request)
        if not isinstance(reply, Failed):
            if isinstance(reply, Done | Imported | Unapplied | OrphansJoined):
                self._outage.ended()
            await self._handle(slot, reply)
        else:
            await self._failures.failed(slot, reply, time.monotonic() - began)

    async def _handle(self, slot: str, reply: Reply) -> None:
        match reply:
            case Done(batch_id, applied, seconds, redactions):
                if applied is not None:
                    try:
                        await self._desk.complete(batch_id, applied)
                    except DeadLettersFullError as error:
                        await self.queue.put_aside(slot, error)
                        return
                for stage, spent in seconds.items():
                    metrics.BATCH_SECONDS.labels(stage).observe(spent)
                metrics.BATCHES.labels("stored").inc()
                self.queue.suspects.stored()
                self.redactions = self.redactions.plus(redactions)
                await self.queue.done_with(slot)
            case Unapplied(batch_id):
                await self._failures.carry_out(slot, batch_id)
            case Prepared():
                await self._keep_prepared(slot, reply)
            case Imported():
                del self.queue.imports[slot]
                with contextlib.suppress(DeadLettersFullError):  # it is told, and tried again after a rest
                    await self._fallback.take_back(reply)
                self.queue.suspects.stored()
                self.queue.acquit(reply.batch_id)
            case OrphansJoined(count):
                del self.queue.tries[slot]
                if count:
                    log.info("orphans found their task", count=count)
            case Up() | Failed():
                raise StartError("a worker spoke out of turn")

    async def _keep_prepared(self, slot: str, prepared: Prepared) -> None:
        """Let a batch go to the fallback, unless it can't: then it is tried with the database again."""
        try:
            kept = await self._fallback.keep(prepared)
        except DeadLettersFullError as error:
            await self.queue.put_aside(slot, error)
            return
        if kept:
            self._desk.spilled(prepared.batch_id)
            self.redactions = self.redactions.plus(prepared.redactions)
            metrics.BATCHES.labels("fallback").inc()
            await self.queue.done_with(slot)
