"""When batches go to the local fallback, and how they come back.

They go while the database is down and the journal is filling: their facts, redacted, are durable in a file before the
journal lets them go. They come back in the order of going, each under the identity by which the ledger knows it, by
the one write path that everything takes: so a crash at any point repeats a step and changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import SECOND
from collector_processor.app.outage import Outage
from collector_processor.app.protocol import Import, Imported, Prepared
from collector_processor.config import Settings
from collector_processor.errors import DeadLettersFullError, FallbackError, FallbackFullError
from collector_processor.fallback import Block, Folder, Line, converted_of, decode
from collector_processor.journal import letters, spilled
from collector_processor.journal.environment import readable
from collector_processor.journal.format import DeadLetter, Spilled, UndecodableSpan
from collector_processor.journal.kept import task_of
from collector_processor.journal.spilled import Buried
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Applied, Refused, SealKind, SpanKey
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

REST_SECONDS: Final = 30.0
"""After a failure of the fallback itself it is left alone for so long."""

Mine = Callable[[Line], bool]


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


class Fallback:
    """The fallback of one processor.

    Args:
        settings: where it is, and when it begins.
        front: holds the journal, which knows what lies there.
        outage: whether the database is down.

    Attributes:
        problem: why nothing goes there or comes back; None while all is well.
    """

    def __init__(self, settings: Settings, front: Front, outage: Outage) -> None:
        path = settings.fallback_dir or settings.data_dir / "fallback"
        self.folder = Folder(path, front.identity, settings.fallback_max_bytes)
        self._threshold = settings.fallback_at * settings.journal_max_bytes
        self._front = front
        self._outage = outage
        self._rows: dict[UUID, Spilled] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._erasing = False
        self._lock = asyncio.Lock()
        self._keep_at = self._import_at = 0.0
        self._bytes = 0
        self.problem: str | None = None
        self.imported = 0
        self.damaged_lines = 0

    async def start(self) -> None:
        """Learn what lies there. A directory that can't be used is told, and used once it can."""
        with readable(self._front.folder):
            self._rows = dict(await self._front.run(lambda transaction: spilled.spilled(transaction.view)))
        with self._telling():
            await asyncio.to_thread(self.folder.prepare)
        await self._tidy()

    # -- Going there -----------------------------------------------------------------------------------------

    @property
    def wanted(self) -> bool:
        """Whether the next batch is to go there, and not to the database."""
        return self._outage.down and self._front.used_bytes > self._threshold and time.monotonic() >= self._keep_at

    async def keep(self, prepared: Prepared) -> bool:
        """Write a batch's lines and let it leave the journal; where there is no room for it, it stays sealed.

        Raises DeadLettersFullError: so it does, for want of room among the dead letters.
        """
        if prepared.left is None:
            return True
        lines = b"".join(line.raw for line in prepared.lines)
        async with self._lock:
            try:
                await asyncio.to_thread(self.folder.prepare)
                block = await asyncio.to_thread(self.folder.append, lines, _when(self._front.now))
            except FallbackError as error:
                self._rest(error, full=isinstance(error, FallbackFullError))
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
                self._rows[prepared.batch_id] = kept
            self.problem = None
            await self._measure()
        log.warning("fallback: a batch waits there for the database", batch=str(prepared.batch_id), file=block.file)
        return True

    # -- Coming back -----------------------------------------------------------------------------------------

    def next(self) -> Import | None:
        """The oldest batch that lies there, unless one is on its way already."""
        resting = self._erasing or time.monotonic() < self._import_at
        if resting or not (self._idle.is_set() and self._rows):
            return None
        self._idle.clear()
        batch_id, row = next(iter(self._rows.items()))
        places = tuple(place for place, _, _ in row.places)
        block = Block(row.file, row.offset, row.length)
        return Import(batch_id, str(self.folder.path), block, row.source, places, row.sampling)

    def given_up(self) -> None:
        """The import that was on its way has failed, and will be tried again."""
        self._idle.set()

    def lines(self, batch_id: UUID) -> int:
        """How many lines a batch has."""
        return len(self._rows[batch_id].places)

    def step_back(self, batch_id: UUID) -> None:
        """Let the others come back before a batch."""
        if (row := self._rows.pop(batch_id, None)) is not None:
            self._rows[batch_id] = row

    async def take_back(self, done: Imported) -> None:
        """The database has a batch: act on its ledger row. Raises DeadLettersFullError, and other JournalErrors."""
        try:
            if done.problem is not None:
                self._rest(FallbackError(done.problem))
                return
            async with self._lock:
                row = self._rows[done.batch_id]
                if done.damaged:
                    await self._set_apart(row, done)
                buried = [Buried(each.place, each.task, each.spans, each.error, each.raw) for each in done.refused]
                await self._finish(done.batch_id, done.applied, done.damaged, buried)
                self.imported += 1
                self.problem = None
        finally:
            self._idle.set()

    async def halve(self, batch_id: UUID) -> bool:
        """Have a batch that may be the death of its worker imported in halves; whether it could be."""
        halves = await self._front.run(partial(spilled.halve, batch_id=batch_id))
        if halves:
            rows = {id_: row for id_, row in self._rows.items() if id_ != batch_id}
            self._rows = dict(halves) | rows
        return bool(halves)

    async def bury(self, batch_id: UUID, error: str) -> None:
        """Make a batch that is the death of its worker dead letters. Raises DeadLettersFullError, JournalError."""
        row = self._rows[batch_id]
        counted = {place: spans for place, spans, _ in row.places}
        buried = [
            Buried(line.place, converted_of(line).sealed, counted.pop(line.place), error, raw)
            for raw, line in await self._lines(row)
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
            self._rest(error)
            raise
        del self._rows[batch_id]
        await self._tidy()

    async def put_back(self, id_: str) -> bool:
        """Have a dead letter that came from here imported again; whether it was one. Raises FallbackError."""
        found = await self._front.run(lambda transaction: letters.keyed(transaction.view, id_))
        if found is None or not found[1].line:
            return False
        key, letter = found
        line = decode(letter.line)
        tasks = int(task_of(letter).kind is SealKind.TASK)
        async with self._lock:
            await asyncio.to_thread(self.folder.prepare)
            block = await asyncio.to_thread(self.folder.append, letter.line + b"\n", _when(self._front.now))
            row = Spilled(*block, source=line.batch, places=((line.place, letter.spans, tasks),))
            batch_id, row = await self._front.run(partial(spilled.put_back, key=key, letter=letter, row=row))
            self._rows[batch_id] = row
            await self._measure()
        return True

    # -- Erasure ---------------------------------------------------------------------------------------------

    async def withdraw(self, mine: Mine, *, dry: bool) -> tuple[int, int, int, list[SpanKey]]:
        """Erase what is `mine`: lines, spans of them, dead letters that were lines, and tasks that must not come back.

        Raises FallbackError, JournalError.
        """
        self._erasing = True
        try:
            await self._idle.wait()  # what a worker has in hand must not be stored after it was looked for
            # Letters first: who retries one meanwhile makes it a line again.
            gone, of_letters = await self._withdraw_letters(mine, dry=dry)
            lines, spans, tasks = await self._withdraw_lines(mine, dry=dry)
        finally:
            self._erasing = False
        await self._tidy()
        return lines, spans, gone, tasks + of_letters

    async def _withdraw_lines(self, mine: Mine, *, dry: bool) -> tuple[int, int, list[SpanKey]]:
        lines, spans, tasks = 0, 0, []
        async with self._lock:
            for batch_id, row in list(self._rows.items()):
                counted = {place: (spans, tasks) for place, spans, tasks in row.places}
                gone = [
                    (raw, line)
                    for raw, line in await self._lines(row)
                    if line.batch == row.source and line.place in counted and mine(line)
                ]
                if not gone:
                    continue
                lines += len(gone)
                spans += sum(counted[line.place][0] for _, line in gone)
                tasks += [_key_of(line) for _, line in gone if line.kind is SealKind.TASK]
                if dry:
                    continue
                places = [line.place for _, line in gone]
                left = await self._front.run(partial(spilled.withdraw, batch_id=batch_id, places=places))
                if left is None:
                    del self._rows[batch_id]
                else:
                    self._rows[batch_id] = left
                block = Block(row.file, row.offset, row.length)
                await asyncio.to_thread(self.folder.blank, block, [raw for raw, _ in gone])
            if not dry:
                await self._blank_leftovers(mine)
        return lines, spans, tasks

    async def _withdraw_letters(self, mine: Mine, *, dry: bool) -> tuple[int, list[SpanKey]]:
        def named(item: DeadLetter | UndecodableSpan) -> bool:
            return isinstance(item, DeadLetter) and bool(item.line) and mine(decode(item.line))

        def erase(transaction: Transaction) -> list[DeadLetter | UndecodableSpan]:
            if not dry:
                return transaction.erase_kept(named)
            return [letter for _, letter in letters.letters(transaction.view) if named(letter)]

        gone = [item for item in await self._front.run(erase) if isinstance(item, DeadLetter)]
        tasks = [task for task in map(task_of, gone) if task.kind is SealKind.TASK]
        return len(gone), [SpanKey(task.trace_id, task.span_id) for task in tasks]

    async def _blank_leftovers(self, mine: Mine) -> None:
        """Lines that nobody will import any more are erased too, and damaged ones that nobody can tell the owner of."""
        for file in self.folder.files():
            whole = await asyncio.to_thread(self.folder.whole, file)
            found = []
            for raw in await asyncio.to_thread(self.folder.read, whole):
                with contextlib.suppress(FallbackError):
                    if mine(decode(raw)):
                        found.append(raw)
            await asyncio.to_thread(self.folder.blank, whole, found)
        for file in self.folder.damaged_files():
            await asyncio.to_thread(self.folder.remove, file)

    async def _lines(self, row: Spilled) -> list[tuple[bytes, Line]]:
        found = []
        for raw in await asyncio.to_thread(self.folder.read, Block(row.file, row.offset, row.length)):
            with contextlib.suppress(FallbackError):
                found.append((raw, decode(raw)))
        return found

    # -- Files -----------------------------------------------------------------------------------------------

    async def _set_apart(self, row: Spilled, done: Imported) -> None:
        """Keep the damaged lines of a block, name them, and count them."""
        damaged = []
        for raw in await asyncio.to_thread(self.folder.read, Block(row.file, row.offset, row.length)):
            try:
                decode(raw)
            except FallbackError as error:
                damaged.append(raw)
                log.error("fallback: a line is damaged", file=row.file, batch=str(done.batch_id), problem=str(error))  # noqa: TRY400  # the message says it
        self.damaged_lines += len(done.damaged)
        lost = sum(spans for place, spans, _ in row.places if place in done.damaged)
        log.critical("fallback: facts are lost", file=row.file, batch=str(done.batch_id), spans=lost)
        if damaged:
            with self._telling():
                await asyncio.to_thread(self.folder.set_apart, row.file, damaged)

    async def _tidy(self) -> None:
        """Delete our files that nothing is to be imported of any more."""
        needed = {row.file for row in self._rows.values()}
        with self._telling():
            for file in await asyncio.to_thread(self.folder.files):
                if file not in needed and self.folder.is_ours(file):
                    await asyncio.to_thread(self.folder.remove, file)
        await self._measure()

    async def _measure(self) -> None:
        with self._telling():
            self._bytes = await asyncio.to_thread(lambda: self.folder.used_bytes)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except FallbackError as error:
            self._rest(error)

    def _rest(self, error: Exception, *, full: bool = False) -> None:
        """Leave it alone for a while; what comes back makes room, so that goes on where it is `full`."""
        if self.problem != str(error):
            log.error("fallback: it can't be used now", problem=str(error))
        self.problem = str(error)
        self._keep_at = time.monotonic() + REST_SECONDS
        if not full:
            self._import_at = self._keep_at

    def hurry(self) -> None:
        """Try again now."""
        self._keep_at = self._import_at = 0.0

    def figures(self) -> Figures:
        """What lies there."""
        rows = self._rows.values()
        return Figures(
            folder=str(self.folder.path),
            files=len({row.file for row in rows}),
            bytes=self._bytes,
            max_bytes=self.folder.max_bytes,
            batches=len(rows),
            tasks=sum(tasks for row in rows for _, _, tasks in row.places),
            spans=sum(spans for row in rows for _, spans, _ in row.places),
            imported=self.imported,
            damaged_lines=self.damaged_lines,
            problem=self.problem,
        )


def _key_of(line: Line) -> SpanKey:
    return SpanKey(bytes.fromhex(line.trace_id), bytes.fromhex(line.span_id))


def _when(now: int) -> datetime:
    return datetime.fromtimestamp(now / SECOND, UTC)
