"""The worker processes as the front sees them: fed one sealed batch at a time, replaced when they die.

A batch stays with its slot until it is done: a slot's next process first ends what its predecessor left in the
database, so that no batch is ever applied by two at once. A batch that the store doesn't take is tried again for as
long as it takes; one that may itself be the cause is halved, until its guilty task is a dead letter.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol
from uuid import UUID

import msgspec

from collector_processor.app.journalling.sealing import Waiting
from collector_processor.app.outage import Outage
from collector_processor.app.protocol import (
    Apply,
    Begin,
    Done,
    Failed,
    Imported,
    JoinOrphans,
    OrphansJoined,
    Prepared,
    Reply,
    Request,
    Spill,
    Unapplied,
    Up,
)
from collector_processor.app.storing.fallback import Fallback
from collector_processor.app.storing.process import EndedError, StartError, WorkerProcess, started
from collector_processor.app.storing.suspects import Sentence, Suspects
from collector_processor.errors import DeadLettersFullError, Trouble, told
from collector_processor.model.stages import Applied, Redactions
from collector_processor.telemetry import get_logger, metrics

log = get_logger(__name__)

JOIN_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 1.0
"""How often who has nothing to do looks whether the journal fills, or something can come back."""
PATIENCE: Final = 5
"""While batches go to the fallback, a try of the database that took long is repeated after so many times as long."""
FIRST_PAUSE: Final = 0.25
LAST_PAUSE: Final = 5.0
"""A process that ended is replaced after a pause that doubles from the first to the last."""


class Desk(Protocol):
    """Where batches come from and go to."""

    async def complete(self, batch_id: UUID, applied: Applied) -> None:
        """The database has a batch. Raises DeadLettersFullError: it stays sealed."""

    async def halve(self, batch_id: UUID) -> Sequence[Waiting]:
        """Seal a batch's tasks anew in two halves."""

    async def bury(self, batch_id: UUID, error: str) -> None:
        """Make a batch's tasks dead letters. Raises DeadLettersFullError: it stays sealed."""

    async def recover(self) -> None:
        """Before the database is tried again: bring it back, where that is ours to do."""

    def begun(self, batch: Waiting) -> None:
        """A worker takes a batch up."""

    def spilled(self, batch_id: UUID) -> None:
        """A batch has gone to the fallback."""


class WorkerPool:
    """Feeds sealed batches to worker processes, oldest first, and what comes back from the fallback between them.

    Args:
        begin: makes a slot's first message (slot name → message); a process whose message has changed is replaced.
        desk: where batches go.
        fallback: where they wait for a database that is down.
        outage: told how the store is.

    Attributes:
        redactions: what the privacy pass did in all workers since the start; a batch that is done again counts again.
        problem: why batches are not being stored right now, if it isn't the store; None while all is well.
        aside: batches whose refused tasks have no room among the dead letters.
    """

    def __init__(self, begin: Callable[[str], Begin], desk: Desk, fallback: Fallback, outage: Outage) -> None:
        self._begin = begin
        self._desk = desk
        self._fallback = fallback
        self._outage = outage
        self._waiting: deque[Waiting] = deque()
        self._held: dict[str, Waiting] = {}
        self._imports: dict[str, UUID] = {}
        self._imported_last = False
        self._is_open = False
        self._try_at = 0.0
        self._tries: Counter[UUID | str] = Counter()
        self._suspects = Suspects()
        self._sentences: dict[UUID, tuple[Sentence, str]] = {}
        self._news = asyncio.Condition()
        self._hurry = asyncio.Event()
        self._slots: list[asyncio.Task[None]] = []
        self._joined_at = time.monotonic()
        self.redactions = Redactions()
        self.problem: str | None = None
        self.aside: list[Waiting] = []

    # -- Feeding ---------------------------------------------------------------------------------------------

    def add(self, batches: Iterable[Waiting]) -> None:
        """Queue sealed batches; called in the event loop."""
        self._waiting.extend(batches)
        self._wake()

    def open(self) -> None:
        """The database may be used from now on."""
        self._is_open = True
        self._wake()

    def hurry(self) -> None:
        """Try now what waits for a pause, or for room among the dead letters."""
        self._fallback.hurry()
        self._try_at = 0.0
        self._waiting.extendleft(reversed(self.aside))
        self.aside.clear()
        self._hurry.set()
        self._wake()

    def _wake(self) -> None:
        async def notify() -> None:
            async with self._news:
                self._news.notify_all()

        self._notifying = asyncio.get_running_loop().create_task(notify())

    @property
    def backlog(self) -> list[Waiting]:
        """Batches not stored yet, oldest first."""
        return [*self.aside, *self._held.values(), *self._waiting]

    async def drained(self) -> None:
        """Wait until every sealed batch is stored that can be."""
        async with self._news:
            await self._news.wait_for(lambda: not self._held and not self._waiting)

    async def _next(self, slot: str) -> Request:
        while True:
            if (request := self._choose(slot)) is not None:
                return request
            async with self._news:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), LOOK_SECONDS)

    def _choose(self, slot: str) -> Request | None:
        """What a slot is to do now, if anything."""
        held = self._held.get(slot)
        spilling = self._fallback.wanted and (not self._is_open or time.monotonic() < self._try_at)
        if not (self._is_open or spilling):
            return None
        behind = bool(self._waiting) and (self._imported_last or self._outage.down)
        if held is None and not spilling and not behind:  # where nothing else waits, an import tries whether it is back
            request = self._fallback.next()
            if request is not None:
                self._imported_last = True
                self._imports[slot] = request.batch_id
                look = request.batch_id in self._sentences
                return msgspec.structs.replace(request, tries=self._failures(request.batch_id), look=look)
        self._imported_last = False
        if held is not None and spilling and held.id in self._sentences:
            # The database can't be asked for it now, and others mustn't wait for that.
            self._waiting.append(self._held.pop(slot))
            held = None
        if held is None and self._waiting:
            held = self._held[slot] = self._waiting.popleft()
            self._desk.begun(held)
        if held is not None:
            look = held.id in self._sentences
            return Spill(held.id) if spilling and not look else Apply(held.id, self._failures(held.id), look)
        if not spilling and time.monotonic() - self._joined_at > JOIN_SECONDS:
            self._joined_at = time.monotonic()
            return JoinOrphans()
        return None

    def _batch_of(self, slot: str) -> UUID | None:
        held = self._held.get(slot)
        return held.id if held else self._imports.get(slot)

    def _failures(self, batch_id: UUID) -> int:
        return self._tries[batch_id] + self._suspects.failures(batch_id)

    # -- Slots -----------------------------------------------------------------------------------------------

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
                if await self._judge(slot, problem):
                    pause = FIRST_PAUSE
            except StartError as error:
                problem = str(error)
            except Exception as error:
                log.exception("worker: the slot failed", slot=slot)
                problem = told(error)
            if time.monotonic() - began > LAST_PAUSE * 2:
                pause = FIRST_PAUSE
            self.problem = problem
            metrics.WORKER_RESTARTS.inc()
            log.warning("worker: started again after a pause", slot=slot, problem=problem, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)

    async def _serve(self, slot: str) -> str | None:
        """Feed one process for as long as its settings hold; returns why it ended before that."""
        # A process takes a second to start, which it may do before the database is there, but not to be told the URL.
        while not (self._begin(slot).database_url or self._fallback.wanted):
            async with self._news:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), LOOK_SECONDS)
        begin = self._begin(slot)
        try:
            async with started(begin) as process:
                while self._begin(slot) == begin:
                    await self._turn(slot, process)
        except EndedError as error:
            return str(error)
        return None

    async def _turn(self, slot: str, process: WorkerProcess) -> None:
        request = await self._next(slot)
        began = time.monotonic()
        reply = await process.ask(request)
        if not isinstance(reply, Failed):
            if isinstance(reply, Done | Imported | Unapplied | OrphansJoined):
                self._outage.ended()
            await self._handle(slot, reply)
            return
        if slot in self._held:
            metrics.BATCHES.labels("again").inc()
        batch_id = self._batch_of(slot)
        slow = reply.trouble is Trouble.SLOW and self._tries[batch_id or slot] + 1 >= self._outage.attempts
        alone = slow and batch_id is not None and self._suspects.is_slow_alone(batch_id)
        if alone or reply.trouble is Trouble.SUSPECT:
            self.problem = reply.error
            await self._judge(slot, reply.error)
            await asyncio.sleep(FIRST_PAUSE)
        else:
            await self._wait(slot, reply, time.monotonic() - began, slow=slow)
        if slow and batch_id is not None and batch_id not in self._sentences:
            self._step_back(slot, batch_id)

    async def _handle(self, slot: str, reply: Reply) -> None:
        match reply:
            case Done(batch_id, applied, seconds, redactions):
                if applied is not None:
                    try:
                        await self._desk.complete(batch_id, applied)
                    except DeadLettersFullError as error:
                        await self._put_aside(slot, error)
                        return
                for stage, spent in seconds.items():
                    metrics.BATCH_SECONDS.labels(stage).observe(spent)
                metrics.BATCHES.labels("stored").inc()
                self._suspects.stored()
                self.redactions = self.redactions.plus(redactions)
                await self._done_with(slot)
            case Unapplied(batch_id):
                await self._carry_out(slot, batch_id)
            case Prepared():
                await self._keep_prepared(slot, reply)
            case Imported():
                del self._imports[slot]
                with contextlib.suppress(DeadLettersFullError):  # it is told, and tried again after a rest
                    await self._fallback.take_back(reply)
                self._suspects.stored()
                self._acquit(reply.batch_id)
            case OrphansJoined(count):
                del self._tries[slot]
                if count:
                    log.info("orphans found their task", count=count)
            case Up() | Failed():
                raise StartError("a worker spoke out of turn")

    async def _keep_prepared(self, slot: str, prepared: Prepared) -> None:
        """Let a batch go to the fallback, unless it can't: then it is tried with the database again."""
        try:
            kept = await self._fallback.keep(prepared)
        except DeadLettersFullError as error:
            await self._put_aside(slot, error)
            return
        if kept:
            self._desk.spilled(prepared.batch_id)
            self.redactions = self.redactions.plus(prepared.redactions)
            metrics.BATCHES.labels("fallback").inc()
            await self._done_with(slot)

    async def _done_with(self, slot: str) -> None:
        """A slot's batch is stored or gone."""
        held = self._held.pop(slot, None)
        if held is not None:
            self._acquit(held.id)
        self.problem = None
        async with self._news:
            self._news.notify_all()

    def _acquit(self, batch_id: UUID) -> None:
        """A batch is stored or gone, and blamed no more."""
        self._suspects.forget(batch_id)
        self._sentences.pop(batch_id, None)
        del self._tries[batch_id]

    async def _put_aside(self, slot: str, why: DeadLettersFullError) -> None:
        log.warning("dead letters: a batch stays sealed", problem=str(why))
        self.aside.append(self._held[slot])
        await self._done_with(slot)

    # -- Failures --------------------------------------------------------------------------------------------

    async def _wait(self, slot: str, failed: Failed, took: float, *, slow: bool) -> None:
        """The store has failed: come back after a pause, with less at a time where it was too slow."""
        batch_id, held = self._batch_of(slot), self._held.get(slot)
        tried = batch_id or slot
        if self._imports.pop(slot, None) is not None:
            self._fallback.given_up()
        self._tries[tried] += 1
        if slow and batch_id is not None and (held.tasks if held else self._fallback.lines(batch_id)) > 1:
            self._sentences[batch_id] = Sentence.HALVE, failed.error
        pause = self._outage.failed(failed.error, self._tries[tried])
        log.warning("store: tried again after a pause", slot=slot, problem=failed.error, seconds=round(pause, 1))
        if self._fallback.wanted:
            self._try_at = time.monotonic() + max(pause, took * PATIENCE)
        else:
            self._hurry.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause)
        await self._desk.recover()

    def _step_back(self, slot: str, batch_id: UUID) -> None:
        """Let others go before a task that the database takes too long over."""
        log.warning("store: others go before a task that takes too long", slot=slot, batch=str(batch_id))
        if slot in self._held:
            self._waiting.append(self._held.pop(slot))
        else:
            self._fallback.step_back(batch_id)

    async def _judge(self, slot: str, error: str) -> bool:
        """A slot's batch may be to blame for a failure; whether something is to be done about it.

        Not at once: the failure may have come when the batch was stored, and only the database knows.
        """
        batch_id, held = self._batch_of(slot), self._held.get(slot)
        if self._imports.pop(slot, None) is not None:
            self._fallback.given_up()
        if batch_id is None:
            return False
        sentence = self._suspects.blame(batch_id, held.tasks if held else 1)
        if sentence is not Sentence.AGAIN:
            self._sentences[batch_id] = sentence, error
        return sentence is not Sentence.AGAIN

    async def _carry_out(self, slot: str, batch_id: UUID) -> None:
        """Halve or bury a batch that the database hasn't got."""
        sentence, error = self._sentences.pop(batch_id)
        if self._imports.pop(slot, None) is not None:
            await self._carry_out_import(batch_id, error)
        elif sentence is Sentence.HALVE:
            await self._halve(slot)
        else:
            log.error("worker: a task is a dead letter", batch=str(batch_id), problem=error)
            try:
                await self._desk.bury(batch_id, error)
            except DeadLettersFullError as full:
                await self._put_aside(slot, full)
            else:
                await self._done_with(slot)

    async def _carry_out_import(self, batch_id: UUID, error: str) -> None:
        """The same for one that came back from the fallback."""
        try:
            if not await self._fallback.halve(batch_id):
                with contextlib.suppress(DeadLettersFullError):
                    await self._fallback.bury(batch_id, error)
            self._acquit(batch_id)
        finally:
            self._fallback.given_up()

    async def _halve(self, slot: str) -> None:
        held = self._held[slot]
        halves = await self._desk.halve(held.id)
        if not halves:
            return
        log.warning("worker: a batch is halved", batch=str(held.id), tasks=held.tasks)
        await self._done_with(slot)
        self._suspects.halved(held.id, *(half.id for half in halves))
        self._waiting.extendleft(reversed(halves))
