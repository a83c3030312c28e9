"""`fallback`: what lies there, and its way into the database, of which the asked is told.

The running processor is asked; without one a command takes the journal's lock itself, and one worker of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

from collector_processor.app.control import ask
from collector_processor.app.database import DatabaseKeeper
from collector_processor.app.journalling.front import Front
from collector_processor.app.outage import Outage
from collector_processor.app.privacy import privacy_keys
from collector_processor.app.storing.batch_queue import BatchQueue
from collector_processor.app.storing.begin import beginner
from collector_processor.app.storing.desk import BatchDesk
from collector_processor.app.storing.fallback import Fallback
from collector_processor.app.storing.fallback_books import Figures
from collector_processor.app.storing.pool import WorkerPool
from collector_processor.config import Settings
from collector_processor.errors import NotRunningError

LOOK_SECONDS: Final = 0.5
RESTART_SECONDS: Final = 60.0
"""For so long a worker that ends is started again; beside its patience, where a line may be the cause."""

Tell = Callable[[str], None]


def figures_of(settings: Settings) -> Figures:
    """What lies in the fallback. Raises BenchmarkError."""
    try:
        return Figures(**ask(settings.data_dir, "fallback"))
    except NotRunningError:
        if not _is_journal_there(settings):
            raise
        return asyncio.run(_look(settings))


def import_all(settings: Settings, tell: Tell) -> Figures:
    """Store what lies in the fallback, or as much of it as the database takes; what is left. Raises BenchmarkError."""
    try:
        began = figures = Figures(**ask(settings.data_dir, "import_fallback"))
    except NotRunningError:
        if not _is_journal_there(settings):
            raise
        return asyncio.run(_import_alone(settings, tell))
    progress = _Progress(began, tell)
    while progress.goes_on(figures, figures.problem or ask(settings.data_dir, "outage")):
        time.sleep(LOOK_SECONDS)
        figures = Figures(**ask(settings.data_dir, "fallback"))
    return figures


async def _look(settings: Settings) -> Figures:
    async with AsyncExitStack() as opened:
        return (await _opened(settings, opened))[2].figures()


async def _import_alone(settings: Settings, tell: Tell) -> Figures:
    async with AsyncExitStack() as opened:
        front, outage, fallback = await _opened(settings, opened)
        progress = _Progress(fallback.figures(), tell, settings.worker_timeout + settings.database_timeout)
        if not fallback.figures().batches:
            return fallback.figures()
        database = DatabaseKeeper(settings, outage)
        opened.push_async_callback(database.close)
        await _bring_up(database, outage)
        begin = beginner(settings, privacy_keys(settings), front, database)
        pool = WorkerPool(begin, BatchDesk(front, database, None), fallback, outage)
        if database.ready.is_set():
            opened.push_async_callback(pool.stop)
            pool.start(1)
            pool.queue.open()
        while progress.goes_on(fallback.figures(), fallback.problem or outage.problem, pool.queue):  # noqa: ASYNC110  # problems are no events
            await asyncio.sleep(LOOK_SECONDS)
        return fallback.figures()


async def _opened(settings: Settings, opened: AsyncExitStack) -> tuple[Front, Outage, Fallback]:
    """The journal, which is ours until `opened` ends, and the fallback that it knows of."""
    front = Front(settings, lambda _: None)
    await front.recover()
    opened.push_async_callback(front.stop)
    outage = Outage(settings.store_attempts, settings.store_pause)
    fallback = Fallback(settings, front, outage)
    await fallback.start()
    return front, outage, fallback


async def _bring_up(database: DatabaseKeeper, outage: Outage) -> None:
    """Come back when the database is ready, or was tried in vain. Raises MigrationError."""
    bringing_up = asyncio.create_task(database.bring_up())
    while not (bringing_up.done() or outage.problem):
        await asyncio.wait({bringing_up}, timeout=LOOK_SECONDS)
    if bringing_up.done():
        await bringing_up
    else:
        bringing_up.cancel()
        await asyncio.wait({bringing_up})


class _Progress:
    """Says how far an import is."""

    def __init__(self, began: Figures, tell: Tell, patience: float = 0.0) -> None:
        self._began = began
        self._tell = tell
        self._patience = patience
        self._left = began.batches
        self._blamed = 0
        self._moved_at = time.monotonic()

    def goes_on(self, figures: Figures, problem: str | None, queue: BatchQueue | None = None) -> bool:
        """Whether something is left, and no `problem` in its way.

        That of a queue's workers may pass, and takes their patience while the line that they die of is looked for.
        """
        if queue is not None:
            if queue.suspects.blamed != self._blamed:
                self._blamed, self._moved_at = queue.suspects.blamed, time.monotonic()
            if time.monotonic() - self._moved_at > RESTART_SECONDS + self._patience * bool(self._blamed):
                problem = problem or queue.problem
        if figures.batches != self._left:
            self._left, self._moved_at = figures.batches, time.monotonic()
            self._tell(f"imported {figures.imported - self._began.imported} of {self._began.batches} batches")
        elif figures.batches and problem:
            self._tell(f"otel-benchmark: {figures.batches} batches wait still: {problem}")
            return False
        return bool(figures.batches)


def _is_journal_there(settings: Settings) -> bool:
    return (settings.data_dir / "journal" / "data.mdb").exists()
