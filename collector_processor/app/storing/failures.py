"""What becomes of a batch that failed: tried again after a pause, let others go first, halved, or buried.

A batch that the store doesn't take is tried again for as long as it takes; one that may itself be the cause is halved,
until its guilty task is a dead letter.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final
from uuid import UUID

from collector_processor.app.outage import Outage
from collector_processor.app.protocol import Failed
from collector_processor.app.storing.batch_queue import BatchQueue
from collector_processor.app.storing.desk import Desk
from collector_processor.app.storing.fallback import Fallback
from collector_processor.app.storing.suspects import Sentence
from collector_processor.errors import DeadLettersFullError, Trouble
from collector_processor.telemetry import get_logger, metrics

log = get_logger(__name__)

PATIENCE: Final = 5
"""While batches go to the fallback, a try of the database that took long is repeated after so many times as long."""
FIRST_PAUSE: Final = 0.25


class Failures:
    """Judges the batches of a queue.

    Args:
        queue: whose batches they are.
        desk: where they are halved and buried.
        fallback: the same for those that come back from there.
        outage: told how the store is.
    """

    def __init__(self, queue: BatchQueue, desk: Desk, fallback: Fallback, outage: Outage) -> None:
        self._queue = queue
        self._desk = desk
        self._fallback = fallback
        self._outage = outage
        self._hurry = asyncio.Event()

    def hurry(self) -> None:
        """Wait for no pause any more."""
        self._hurry.set()

    async def failed(self, slot: str, reply: Failed, took: float) -> None:
        """A worker has said so, after so many seconds."""
        if slot in self._queue.held:
            metrics.BATCHES.labels("again").inc()
        batch_id = self._queue.batch_of(slot)
        slow = reply.trouble is Trouble.SLOW and self._queue.tries[batch_id or slot] + 1 >= self._outage.attempts
        alone = slow and batch_id is not None and self._queue.suspects.is_slow_alone(batch_id)
        if alone or reply.trouble is Trouble.SUSPECT:
            self._queue.problem = reply.error
            await self.judge(slot, reply.error)
            await asyncio.sleep(FIRST_PAUSE)
        else:
            await self._wait(slot, reply, took, slow=slow)
        if slow and batch_id is not None and batch_id not in self._queue.sentences:
            self._step_back(slot, batch_id)

    async def _wait(self, slot: str, failed: Failed, took: float, *, slow: bool) -> None:
        """The store has failed: come back after a pause, with less at a time where it was too slow."""
        batch_id, held = self._queue.batch_of(slot), self._queue.held.get(slot)
        tried = batch_id or slot
        self._queue.give_up_import(slot)
        self._queue.tries[tried] += 1
        if slow and batch_id is not None and (held.tasks if held else self._fallback.lines(batch_id)) > 1:
            self._queue.sentences[batch_id] = Sentence.HALVE, failed.error
        pause = self._outage.failed(failed.error, self._queue.tries[tried])
        log.warning("store: tried again after a pause", slot=slot, problem=failed.error, seconds=round(pause, 1))
        if self._fallback.wanted:
            self._queue.try_at = time.monotonic() + max(pause, took * PATIENCE)
        else:
            self._hurry.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause)
        await self._desk.recover()

    def _step_back(self, slot: str, batch_id: UUID) -> None:
        """Let others go before a task that the database takes too long over."""
        log.warning("store: others go before a task that takes too long", slot=slot, batch=str(batch_id))
        if slot in self._queue.held:
            self._queue.waiting.append(self._queue.held.pop(slot))
        else:
            self._fallback.step_back(batch_id)

    async def judge(self, slot: str, error: str) -> bool:
        """A slot's batch may be to blame for a failure; whether something is to be done about it.

        Not at once: the failure may have come when the batch was stored, and only the database knows.
        """
        batch_id, held = self._queue.batch_of(slot), self._queue.held.get(slot)
        self._queue.give_up_import(slot)
        if batch_id is None:
            return False
        sentence = self._queue.suspects.blame(batch_id, held.tasks if held else self._fallback.lines(batch_id))
        if sentence is not Sentence.AGAIN:
            self._queue.sentences[batch_id] = sentence, error
        return sentence is not Sentence.AGAIN

    async def carry_out(self, slot: str, batch_id: UUID) -> None:
        """Halve or bury a batch that the database hasn't got."""
        sentence, error = self._queue.sentences.pop(batch_id)
        if self._queue.imports.pop(slot, None) is not None:
            await self._carry_out_import(batch_id, error)
        elif sentence is Sentence.HALVE:
            await self._halve(slot)
        else:
            log.error("worker: a task is a dead letter", batch=str(batch_id), problem=error)
            try:
                await self._desk.bury(batch_id, error)
            except DeadLettersFullError as full:
                await self._queue.put_aside(slot, full)
            else:
                await self._queue.done_with(slot)

    async def _carry_out_import(self, batch_id: UUID, error: str) -> None:
        """The same for one that came back from the fallback."""
        try:
            halves = await self._fallback.halve(batch_id)
            if not halves:
                with contextlib.suppress(DeadLettersFullError):
                    await self._fallback.bury(batch_id, error)
            self._queue.acquit(batch_id)
            self._queue.suspects.halved(batch_id, *halves)
        finally:
            self._fallback.given_up()

    async def _halve(self, slot: str) -> None:
        held = self._queue.held[slot]
        halves = await self._desk.halve(held.id)
        if not halves:
            return
        log.warning("worker: a batch is halved", batch=str(held.id), tasks=held.tasks)
        await self._queue.done_with(slot)
        self._queue.suspects.halved(held.id, *(half.id for half in halves))
        self._queue.waiting.extendleft(reversed(halves))
