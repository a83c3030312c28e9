"""When batches go to the local fallback, and how they come back.

They go while the database is down and the journal is filling: their facts, redacted, are durable in a file before the
journal lets them go. They come back in the order of going, each under the identity by which the ledger knows it, by
the one write path that everything takes: so a crash at any point repeats a step and changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from uuid import UUID

from collector_processor.app.journalling.front import Front
from collector_processor.app.outage import Outage
from collector_processor.app.protocol import Import, Imported, Prepared
from collector_processor.app.storing.fallback_books import Books, Figures
from collector_processor.config import Settings
from collector_processor.errors import DeadLettersFullError, FallbackError, FallbackFullError
from collector_processor.fallback import Block, converted_of, decode
from collector_processor.journal import letters, spilled
from collector_processor.journal.format import Spilled
from collector_processor.journal.kept import task_of
from collector_processor.journal.spilled import Buried
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Applied, Refused, SealKind
from collector_processor.telemetry import get_logger

log = get_logger(__name__)


class Fallback:
    """The fallback of one processor.

    Args:
        settings: where it is, and when it begins.
        front: holds the journal, which knows what lies there.
        outage: whether the database is down.

    Attributes:
        books: what lies there.
    """

    def __init__(self, settings: Settings, front: Front, outage: Outage) -> None:
        self.books = Books(settings, front)
        self._threshold = settings.fallback_at * settings.journal_max_bytes
        self._front = front
        self._outage = outage
        self._idle = asyncio.Event()
        self._idle.set()
        self._paused = False

    async def start(self) -> None:
        """Learn what lies there. A directory that can't be used is told, and used once it can."""
        await self.books.start()

    @property
    def problem(self) -> str | None:
        """Why nothing goes there or comes back; None while all is well."""
        return self.books.problem

    def figures(self) -> Figures:
        """What lies there."""
        return self.books.figures()

    def hurry(self) -> None:
        """Try again now."""
        self.books.hurry()

    # -- Going there -----------------------------------------------------------------------------------------

    @property
    def wanted(self) -> bool:
        """Whether the next batch is to go there, and not to the database."""
        return self._outage.down and self._front.used_bytes > self._threshold and time.monotonic() >= self.books.keep_at

    async def keep(self, prepared: Prepared) -> bool:
        """Write a batch's lines and let it leave the journal; where there is no room for it, it stays sealed.

        Raises DeadLettersFullError: so it does, for want of room among the dead letters.
        """
        if prepared.left is None:
            return True
        lines = b"".join(line.raw for line in prepared.lines)
        async with self.books.lock:
            try:
                block = await self.books.append(lines)
            except FallbackError as error:
                self.books.rest(error, full=isinstance(error, FallbackFullError))
                return False
            places = tuple((line.place, line.spans, line.tasks) for line in prepared.lines)
            row = Spilled(*block, source=prepared.batch_id, places=places)
            spill = partial(
                spilled.spill,
                batch_id=prepared.batch_id,
                row=row,
                left=prepared.left,
                graveyard=self._front.graveyard,
                now=self._front.now,
            )
            kept = await self._front.run(spill)
            if kept is not None:
                self.books.rows[prepared.batch_id] = kept
            self.books.problem = None
            await self.books.measure()
        log.warning("fallback: a batch waits there for the database", batch=str(prepared.batch_id), file=block.file)
        return True

    # -- Coming back -----------------------------------------------------------------------------------------

    def next(self) -> Import | None:
        """The oldest batch that lies there, unless one is on its way already."""
        resting = self._paused or time.monotonic() < self.books.import_at
        if resting or not (self._idle.is_set() and self.books.rows):
            return None
        self._idle.clear()
        batch_id, row = next(iter(self.books.rows.items()))
        places = tuple(place for place, _, _ in row.places)
        block = Block(row.file, row.offset, row.length)
        return Import(batch_id, str(self.books.folder.path), block, row.source, places, row.sampling)

    def given_up(self) -> None:
        """The import that was on its way has failed, and will be tried again."""
        self._idle.set()

    def lines(self, batch_id: UUID) -> int:
        """How many lines a batch has."""
        return len(self.books.rows[batch_id].places)

    def step_back(self, batch_id: UUID) -> None:
        """Let the others come back before a batch."""
        if (row := self.books.rows.pop(batch_id, None)) is not None:
            self.books.rows[batch_id] = row

    async def take_back(self, done: Imported) -> None:
        """The database has a batch: act on its ledger row. Raises DeadLettersFullError, and other JournalErrors."""
        try:
            if done.problem is not None:
                self.books.rest(FallbackError(done.problem))
                return
            async with self.books.lock:
                row = self.books.rows[done.batch_id]
                if done.damaged:
                    await self.books.set_apart(row, done)
                buried = [Buried(each.place, each.task, each.spans, each.error, each.raw) for each in done.refused]
                await self._finish(done.batch_id, done.applied, done.damaged, buried)
                self.books.imported += 1
                self.books.problem = None
        finally:
            self._idle.set()

    async def halve(self, batch_id: UUID) -> list[UUID]:
        """Have a batch that may be the death of its worker imported in halves; none where it has a single line."""
        halves = await self._front.run(partial(spilled.halve, batch_id=batch_id))
        if halves:
            rows = {id_: row for id_, row in self.books.rows.items() if id_ != batch_id}
            self.books.rows = dict(halves) | rows
        return [id_ for id_, _ in halves]

    async def bury(self, batch_id: UUID, error: str) -> None:
        """Make a batch that is the death of its worker dead letters. Raises DeadLettersFullError, JournalError."""
        row = self.books.rows[batch_id]
        counted = {place: spans for place, spans, _ in row.places}
        buried = [
            Buried(line.place, converted_of(line).sealed, counted.pop(line.place), error, raw)
            for raw, line in await self.books.lines_of(row)
            if line.batch == row.source and line.place in counted
        ]
        refused = tuple(Refused(each.task.trace_id, each.task.span_id, each.spans, error) for each in buried)
        await self._finish(batch_id, Applied(refused=refused), tuple(counted), buried)

    async def _finish(self, batch_id: UUID, applied: Applied, damaged: Sequence[int], buried: Sequence[Buried]) -> None:
        """Let a batch leave the fallback."""
        now = self._front.now

        def finish(transaction: Transaction) -> None:
            if spilled.imported(
                transaction,
                batch_id,
                applied,
                damaged=damaged,
                buried=buried,
                graveyard=self._front.graveyard,
                now=now,
                limits=self._front.limits(transaction, now),
            ):
                self._front.learn(transaction, applied)

        try:
            await self._front.run(finish)
        except DeadLettersFullError as error:
            self.books.rest(error)
            raise
        del self.books.rows[batch_id]
        await self.books.tidy()

    async def put_back(self, id_: str) -> bool:
        """Have a dead letter that came from here imported again; whether it was one. Raises FallbackError."""
        found = await self._front.run(lambda transaction: letters.keyed(transaction.view, id_))
        if found is None or not found[1].line:
            return False
        key, letter = found
        line = decode(letter.line)
        tasks = int(task_of(letter).kind is SealKind.TASK)
        async with self.books.lock:
            block = await self.books.append(letter.line + b"\n")
            row = Spilled(*block, source=line.batch, places=((line.place, letter.spans, tasks),))
            batch_id, row = await self._front.run(partial(spilled.put_back, key=key, letter=letter, row=row))
            self.books.rows[batch_id] = row
            await self.books.measure()
        return True

    @contextlib.asynccontextmanager
    async def idle(self) -> AsyncIterator[None]:
        """Let nothing come back meanwhile; entered when what was on its way has come."""
        self._paused = True
        try:
            await self._idle.wait()
            yield
        finally:
            self._paused = False
