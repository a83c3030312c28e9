"""The worker processes as the front sees them: started, fed one sealed batch at a time, replaced when they die.

A batch stays with its slot until it is done: a slot's next process first ends what its predecessor left in the
database, so that no batch is ever applied by two at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from uuid import UUID

from collector_processor.app.front import Waiting
from collector_processor.app.protocol import (
    Apply,
    Begin,
    Done,
    Failed,
    JoinOrphans,
    OrphansJoined,
    Reply,
    Request,
    Up,
    decode_reply,
    frame,
    read_frame,
)
from collector_processor.errors import told
from collector_processor.model.stages import Applied, Redactions
from collector_processor.telemetry import get_logger, metrics

log = get_logger(__name__)

JOIN_SECONDS: Final = 60.0
FIRST_PAUSE: Final = 0.25
LAST_PAUSE: Final = 5.0
"""A failed batch is tried again after a pause that doubles from the first to the last."""


class WorkerPool:
    """Feeds sealed batches to worker processes, oldest first.

    Args:
        begin: makes a slot's first message (slot name → message); asked again at each start of a process.
        complete: called with a batch's ledger row; the slot goes on when it returns.
        recover: called before a failed slot tries again, so that a dead database can be brought back.
        begun: called with a batch when a slot takes it up.
    """

    def __init__(
        self,
        begin: Callable[[str], Begin],
        complete: Callable[[UUID, Applied], Awaitable[None]],
        recover: Callable[[], Awaitable[None]],
        begun: Callable[[Waiting], None],
    ) -> None:
        self._begin = begin
        self._complete = complete
        self._recover = recover
        self._begun = begun
        self._waiting: deque[Waiting] = deque()
        self._held: dict[str, Waiting] = {}
        self._news = asyncio.Condition()
        self._slots: list[asyncio.Task[None]] = []
        self._joined_at = time.monotonic()
        self.redactions = Redactions()
        """What the privacy pass did in all workers since the start; a batch that is done again counts again."""
        self.problem: str | None = None
        """Why batches are not being stored right now; None while all is well."""

    # -- Feeding ---------------------------------------------------------------------------------------------

    def add(self, batches: Iterable[Waiting]) -> None:
        """Queue sealed batches; called in the event loop."""
        self._waiting.extend(batches)
        self._wake()

    def _wake(self) -> None:
        async def notify() -> None:
            async with self._news:
                self._news.notify_all()

        self._notifying = asyncio.get_running_loop().create_task(notify())

    @property
    def backlog(self) -> list[Waiting]:
        """Batches not stored yet, oldest first."""
        return [*self._held.values(), *self._waiting]

    async def drained(self) -> None:
        """Wait until every sealed batch is stored."""
        async with self._news:
            await self._news.wait_for(lambda: not self._held and not self._waiting)

    async def _next(self, slot: str) -> Request:
        while True:
            held = self._held.get(slot)
            if held is None and self._waiting:
                held = self._held[slot] = self._waiting.popleft()
                self._begun(held)
            if held is not None:
                return Apply(held.id)
            if time.monotonic() - self._joined_at > JOIN_SECONDS:
                self._joined_at = time.monotonic()
                return JoinOrphans()
            async with self._news:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait_for(lambda: bool(self._waiting)), JOIN_SECONDS)

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
        pause, failed = FIRST_PAUSE, False
        while True:
            began = time.monotonic()
            try:
                if failed:
                    await self._recover()
                await self._run(slot)
            except (EOFError, ConnectionError):
                problem = "a worker process ended unexpectedly"
            except _WorkFailedError as error:
                problem = str(error)
            except Exception as error:
                log.exception("worker: the slot failed", slot=slot)
                problem = told(error)
            failed = True
            if time.monotonic() - began > LAST_PAUSE * 2:
                pause = FIRST_PAUSE
            self.problem = problem
            metrics.WORKER_RESTARTS.inc()
            log.warning("worker: tried again after a pause", slot=slot, problem=problem, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)

    async def _run(self, slot: str) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "collector_processor.app.worker",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(frame(self._begin(slot)))
            reply = await self._reply(process.stdout)
            if not isinstance(reply, Up):
                raise _WorkFailedError(reply.error if isinstance(reply, Failed) else repr(reply))
            self.problem = None
            while True:
                request = await self._next(slot)
                process.stdin.write(frame(request))
                await process.stdin.drain()
                await self._handle(slot, await self._reply(process.stdout))
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    @staticmethod
    async def _reply(reader: asyncio.StreamReader) -> Reply:
        return decode_reply(await read_frame(reader))

    async def _handle(self, slot: str, reply: Reply) -> None:
        match reply:
            case Done(batch_id, applied, seconds, redactions):
                if applied is not None:
                    await self._complete(batch_id, applied)
                self._held.pop(slot, None)
                self.problem = None
                metrics.BATCHES.labels("stored").inc()
                for stage, spent in seconds.items():
                    metrics.BATCH_SECONDS.labels(stage).observe(spent)
                self.redactions = _added(self.redactions, redactions)
                async with self._news:
                    self._news.notify_all()
            case OrphansJoined(count):
                if count:
                    log.info("orphans found their task", count=count)
            case Failed(error):
                if slot in self._held:
                    metrics.BATCHES.labels("again").inc()
                raise _WorkFailedError(error)
            case Up():
                raise _WorkFailedError("a worker spoke out of turn")


def _added(before: Redactions, more: Redactions) -> Redactions:
    return Redactions(
        before.texts + more.texts,
        dict(Counter(before.replaced) + Counter(more.replaced)),
        dict(Counter(before.withheld) + Counter(more.withheld)),
    )


class _WorkFailedError(Exception):
    """A worker said that it could not do what it was asked."""
