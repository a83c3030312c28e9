"""Which sources are halted, as the running processor knows it: from the database, and from a file until that answers.

A start must not seal what a violation halted before, whether the database is there or not. So a command that finds no
processor to tell writes the file itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from collector_processor.app.database import DatabaseKeeper
from collector_processor.app.journalling.front import Front
from collector_processor.config import Settings
from collector_processor.errors import BenchmarkError, ConfigError
from collector_processor.store.database import Database
from collector_processor.store.halts import Halt, halted
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

ASK_EVERY: Final = 60.0
FILE_NAME: Final = "privacy.halts"
"""In DATA_DIR: what the database said last."""


class Halts:
    """Tells the front which sources are halted, from its start on.

    Attributes:
        current: as last known.
    """

    def __init__(self, settings: Settings, database: DatabaseKeeper, front: Front) -> None:
        self._folder = settings.data_dir
        self._database = database
        self._front = front
        self._task: asyncio.Task[None] | None = None
        self._asking = asyncio.Lock()
        """An answer that came late must not take the place of a newer one."""
        self.current: tuple[Halt, ...] = ()

    async def start(self) -> None:
        """Halt what was halted before, and begin to ask the database. Raises ConfigError."""
        if known := remembered(self._folder):
            await self._apply(known)
        self._task = asyncio.create_task(self._run(), name="halts")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def refresh(self) -> None:
        """Ask the database now. Raises BenchmarkError."""
        assert self._database.url is not None, "a database that is ready has been reached"
        async with (
            self._asking,
            Database(self._database.url, application_name="otel-benchmark halts") as database,
        ):
            await self._apply(tuple(await halted(database)))

    async def _run(self) -> None:
        await self._database.ready.wait()
        while True:
            try:
                await self.refresh()
            except BenchmarkError as error:
                log.warning("privacy: halted sources stay as they were", problem=str(error))
            await asyncio.sleep(ASK_EVERY)

    async def _apply(self, halts: tuple[Halt, ...]) -> None:
        await self._front.halt(frozenset(each.source for each in halts))
        if halts != self.current:
            remember(self._folder, halts)
            for each in set(halts) - set(self.current):
                log.warning("privacy: a source is halted", source=each.source, found=each.found, record=str(each.id))
        self.current = halts


def remembered(folder: Path) -> tuple[Halt, ...]:
    """What a data directory remembers. Raises ConfigError: a start that doesn't know could store what it must not."""
    path = folder / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Halt, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} (halted sources) can't be read: the database knows them too, delete it") from error


def remember(folder: Path, halts: Sequence[Halt]) -> None:
    """Write it, durable and whole or not at all. Raises ConfigError."""
    path = folder / FILE_NAME
    try:
        _write(path, msgspec.json.encode(halts))
    except OSError as error:
        raise ConfigError(
            f"{path} (halted sources) can't be written: {error.strerror}; check the disk of DATA_DIR"
        ) from error


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
