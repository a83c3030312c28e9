"""Maintenance while the processor runs: every minute statistics and quality are settled, every hour old records go.

What waits for its task is kept within its bounds every minute. Neither is ever waited for. What fails is logged, shown
in the status, and tried again the next time; of several processors on one database one does it.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from collector_processor.app.database import DatabaseKeeper, lifetimes
from collector_processor.app.memory import give_back
from collector_processor.app.quality import QualityKeeper
from collector_processor.config import Settings
from collector_processor.errors import BenchmarkError
from collector_processor.store.maintenance import Retired, retire, settle
from collector_processor.store.waiting import bound_waiting
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

SETTLE_EVERY: Final = 60.0
RETIRE_EVERY: Final = 3600.0


class Upkeep:
    """Maintains one database, in a task of its own and over connections of its own.

    Attributes:
        quality: what is usual for a type of task.
        problem: why the last maintenance failed; None where it didn't.
    """

    def __init__(self, settings: Settings, database: DatabaseKeeper) -> None:
        self.quality = QualityKeeper(settings)
        self._settings = settings
        self._lifetimes = lifetimes(settings)
        self._database = database
        self._retire_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self.problem: str | None = None

    def start(self) -> None:
        """Begin as soon as the database is ready."""
        self._task = asyncio.create_task(self._run(), name="upkeep")

    async def stop(self) -> None:
        """End; a page that is being worked on is undone, and done again by the next who maintains."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        await self._database.ready.wait()
        while True:
            await self._maintain()
            await asyncio.to_thread(give_back)
            await asyncio.sleep(SETTLE_EVERY)

    async def _bound_waiting(self, url: str) -> None:
        before = datetime.now(UTC) - timedelta(seconds=self._settings.max_waiting_age)
        if gone := await bound_waiting(url, before=before, most=self._settings.max_waiting):
            log.warning("maintenance: facts have waited for their task in vain", facts=gone)

    async def _maintain(self) -> None:
        url = self._database.url
        assert url is not None, "a database that is ready has been reached"
        try:
            await settle(url)
            await self._bound_waiting(url)
            await self.quality.tend(url, datetime.now(UTC))
            if time.monotonic() >= self._retire_at:
                retired = await retire(url, self._lifetimes, datetime.now(UTC))
                self._retire_at = time.monotonic() + RETIRE_EVERY
                if retired != Retired():
                    log.info("maintenance: retired", **retired._asdict())
            self.problem = None
        except BenchmarkError as error:
            log.warning("maintenance: it will be tried again", problem=str(error))
            self.problem = str(error)
        except Exception as error:
            log.exception("maintenance: it will be tried again")
            self.problem = repr(error)
