"""The database as the front sees it: brought up and migrated in the background, brought back when it is gone.

The front receives and journals without it. The embedded server is started here; any other one is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from collector_processor.app.outage import Outage
from collector_processor.config import EMBEDDED, Settings, mask_url
from collector_processor.errors import BenchmarkError, MigrationError
from collector_processor.store.embedded import EmbeddedServer
from collector_processor.store.inspection import check
from collector_processor.store.migrations import migrate
from collector_processor.store.tiers import Lifetimes
from collector_processor.telemetry import get_logger

log = get_logger(__name__)
T = TypeVar("T")

FIRST_PAUSE: Final = 0.5
LAST_PAUSE: Final = 5.0


def embedded_directory(settings: Settings) -> Path:
    """Where the embedded server keeps its cluster."""
    return settings.data_dir / "database"


def lifetimes(settings: Settings) -> Lifetimes:
    """How long what is kept in which form."""
    seconds = (settings.chunk_interval, settings.compress_after, settings.retain_records, settings.retain_statistics)
    chunk, *ages = (None if each is None else timedelta(seconds=each) for each in seconds)
    assert chunk is not None
    return Lifetimes(chunk, *ages)


class DatabaseKeeper:
    """Knows where the database is and gets it ready; what fails until then is told to `outage`.

    Attributes:
        url: libpq URL with its password, once known.
        tier: what the database offers, once it was reached.
        problem: why it can't be used right now; None when it can.
    """

    def __init__(self, settings: Settings, outage: Outage | None = None) -> None:
        self._embedded = EmbeddedServer(embedded_directory(settings)) if settings.database_url == EMBEDDED else None
        self._outage = outage or Outage(settings.store_attempts, settings.store_pause)
        self._lifetimes = lifetimes(settings)
        # One thread, so that starts and the stop come one after the other: who gives up waiting ends no start.
        self._operator = ThreadPoolExecutor(1, "embedded-database")
        self.url: str | None = None if self._embedded else settings.database_url
        self.tier: str | None = None
        self.problem: str | None = "not reached yet"
        self.ready = asyncio.Event()

    @property
    def shown_url(self) -> str:
        """For people: the password masked."""
        return mask_url(self.url) if self.url else EMBEDDED

    async def bring_up(self) -> None:
        """Try until the database is there and migrated.

        Raises:
            MigrationError: its schema is not this program's; trying again won't help.
        """
        pause, tries = FIRST_PAUSE, 0
        while True:
            tries += 1
            try:
                await self._reach()
            except MigrationError as error:
                self.problem = str(error)
                self._outage.failed(str(error), self._outage.attempts)
                raise
            except BenchmarkError as error:
                self._outage.failed(str(error), tries)
                if self.problem != str(error):
                    log.warning("database: not ready", problem=str(error), url=self.shown_url)
                self.problem = str(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_PAUSE)
            else:
                self.problem = None
                self._outage.ended()
                self.ready.set()
                return

    async def _reach(self) -> None:
        if self._embedded is not None:
            self.url = await self._operate(self._embedded.start)
        assert self.url is not None
        for name in await migrate(self.url, self._lifetimes):
            log.info("database: migrated", migration=name)
        self.tier = (await check(self.url)).tier

    async def recover(self) -> None:
        """After a failure of a worker: an embedded server that was killed is started again."""
        if self._embedded is None:
            return
        try:
            self.url = await self._operate(self._embedded.start)
        except BenchmarkError as error:
            log.warning("database: the embedded server could not be started", problem=str(error))

    async def close(self) -> None:
        """Leave the embedded server, also one that is being started; the last user stops it."""
        if self._embedded is not None:
            await self._operate(self._embedded.stop)
        self._operator.shutdown()

    async def _operate(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._operator, work)
