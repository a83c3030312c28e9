"""What lies in the fallback, as files and journal know it, and whether it can be used now."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import SECOND
from collector_processor.app.protocol import Imported
from collector_processor.config import Settings
from collector_processor.errors import FallbackError
from collector_processor.fallback import Block, Folder, Line, decode
from collector_processor.journal import spilled
from collector_processor.journal.environment import readable
from collector_processor.journal.format import Spilled
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

REST_SECONDS: Final = 30.0
"""After a failure of the fallback itself it is left alone for so long."""


class Figures(NamedTuple):
    """What lies in the fallback. `imported` batches since the start; `damaged_lines` likewise."""

    folder: str
    files: int
    bytes: int
    max_bytes: int
    batches: int
    tasks: int
    spans: int
    imported: int
    damaged_lines: int
    problem: str | None


class Books:
    """The books of one fallback.

    Args:
        settings: where its files are.
        front: holds the journal, which knows what lies there.

    Attributes:
        folder: the files.
        rows: batches that lie there, in the order of coming back.
        lock: held by whoever changes files and rows together.
        keep_at, import_at: before then nothing goes there, and nothing comes back; a monotonic clock.
        problem: why nothing goes there or comes back; None while all is well.
        imported: batches that came back since the start.
    """

    def __init__(self, settings: Settings, front: Front) -> None:
        path = settings.fallback_dir or settings.data_dir / "fallback"
        self.folder = Folder(path, front.identity, settings.fallback_max_bytes)
        self.rows: dict[UUID, Spilled] = {}
        self.lock = asyncio.Lock()
        self.keep_at = self.import_at = 0.0
        self.problem: str | None = None
        self.imported = 0
        self._front = front
        self._bytes = 0
        self._damaged_lines = 0

    async def start(self) -> None:
        """Learn what lies there. A directory that can't be used is told, and used once it can."""
        with readable(self._front.folder):
            self.rows = dict(await self._front.run(lambda transaction: spilled.spilled(transaction.view)))
        with self._telling():
            await asyncio.to_thread(self.folder.prepare)
        await self.tidy()

    async def append(self, lines: bytes) -> Block:
        """Write whole lines; they are on disk when this returns. Raises FallbackError, FallbackFullError."""
        await asyncio.to_thread(self.folder.prepare)
        now = datetime.fromtimestamp(self._front.now / SECOND, UTC)
        return await asyncio.to_thread(self.folder.append, lines, now)

    async def lines_of(self, row: Spilled) -> list[tuple[bytes, Line]]:
        """The lines of a block, raw and decoded; damaged ones are left out."""
        found = []
        for raw in await asyncio.to_thread(self.folder.read, Block(row.file, row.offset, row.length)):
            with contextlib.suppress(FallbackError):
                found.append((raw, decode(raw)))
        return found

    async def set_apart(self, row: Spilled, done: Imported) -> None:
        """Keep the damaged lines of a block, name them, and count them."""
        damaged = []
        for raw in await asyncio.to_thread(self.folder.read, Block(row.file, row.offset, row.length)):
            try:
                decode(raw)
            except FallbackError as error:
                damaged.append(raw)
                log.error("fallback: a line is damaged", file=row.file, batch=str(done.batch_id), problem=str(error))  # noqa: TRY400  # the message says it
        self._damaged_lines += len(done.damaged)
        lost = sum(spans for place, spans, _ in row.places if place in done.damaged)
        log.critical("fallback: facts are lost", file=row.file, batch=str(done.batch_id), spans=lost)
        if damaged:
            with self._telling():
                await asyncio.to_thread(self.folder.set_apart, row.file, damaged)

    async def tidy(self) -> None:
        """Delete our files that nothing is to be imported of any more."""
        needed = {row.file for row in self.rows.values()}
        with self._telling():
            for file in await asyncio.to_thread(self.folder.files):
                if file not in needed and self.folder.is_ours(file):
                    await asyncio.to_thread(self.folder.remove, file)
        await self.measure()

    async def measure(self) -> None:
        """Learn how much room the files take."""
        with self._telling():
            self._bytes = await asyncio.to_thread(lambda: self.folder.used_bytes)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except FallbackError as error:
            self.rest(error)

    def rest(self, error: Exception, *, full: bool = False) -> None:
        """Leave it alone for a while; what comes back makes room, so that goes on where it is `full`."""
        if self.problem != str(error):
            log.error("fallback: it can't be used now", problem=str(error))
        self.problem = str(error)
        self.keep_at = time.monotonic() + REST_SECONDS
        if not full:
            self.import_at = self.keep_at

    def hurry(self) -> None:
        """Try again now."""
        self.keep_at = self.import_at = 0.0

    def figures(self) -> Figures:
        """What lies there."""
        rows = self.rows.values()
        return Figures(
            folder=str(self.folder.path),
            files=len({row.file for row in rows}),
            bytes=self._bytes,
            max_bytes=self.folder.max_bytes,
            batches=len(rows),
            tasks=sum(tasks for row in rows for _, _, tasks in row.places),
            spans=sum(spans for row in rows for _, spans, _ in row.places),
            imported=self.imported,
            damaged_lines=self._damaged_lines,
            problem=self.problem,
        )
