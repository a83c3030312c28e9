"""Somebody's spans erased from the fallback: lines, dead letters that were lines, and lines that nobody needs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

from collector_processor.app.journalling.front import Front
from collector_processor.app.storing.fallback import Fallback
from collector_processor.app.storing.fallback_books import Books
from collector_processor.errors import FallbackError
from collector_processor.fallback import Block, Folder, Line, decode
from collector_processor.journal import letters, spilled
from collector_processor.journal.format import DeadLetter, UndecodableSpan
from collector_processor.journal.kept import task_of
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import SealKind, SpanKey

Mine = Callable[[Line], bool]


async def withdraw_lines(
    front: Front, fallback: Fallback, mine: Mine, *, dry: bool
) -> tuple[int, int, int, list[SpanKey]]:
    """Erase what is `mine`: lines, spans of them, dead letters that were lines, and tasks that must not come back.

    Raises FallbackError, JournalError.
    """
    async with fallback.idle():  # what a worker has in hand must not be stored after it was looked for
        # Letters first: who retries one meanwhile makes it a line again.
        gone, of_letters = await _withdraw_letters(front, mine, dry=dry)
        lines, spans, tasks = await _withdraw_kept(front, fallback.books, mine, dry=dry)
    await fallback.books.tidy()
    return lines, spans, gone, tasks + of_letters


async def _withdraw_kept(front: Front, books: Books, mine: Mine, *, dry: bool) -> tuple[int, int, list[SpanKey]]:
    lines, spans, tasks = 0, 0, []
    async with books.lock:
        for batch_id, row in list(books.rows.items()):
            counted = {place: (spans, tasks) for place, spans, tasks in row.places}
            gone = [
                (raw, line)
                for raw, line in await books.lines_of(row)
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
            left = await front.run(partial(spilled.withdraw, batch_id=batch_id, places=places))
            if left is None:
                del books.rows[batch_id]
            else:
                books.rows[batch_id] = left
            block = Block(row.file, row.offset, row.length)
            await asyncio.to_thread(books.folder.blank, block, [raw for raw, _ in gone])
        if not dry:
            await _blank_leftovers(books.folder, mine)
    return lines, spans, tasks


async def _withdraw_letters(front: Front, mine: Mine, *, dry: bool) -> tuple[int, list[SpanKey]]:
    def named(item: DeadLetter | UndecodableSpan) -> bool:
        return isinstance(item, DeadLetter) and bool(item.line) and mine(decode(item.line))

    def erase(transaction: Transaction) -> list[DeadLetter | UndecodableSpan]:
        if not dry:
            return transaction.erase_kept(named)
        return [letter for _, letter in letters.letters(transaction.view) if named(letter)]

    gone = [item for item in await front.run(erase) if isinstance(item, DeadLetter)]
    tasks = [task for task in map(task_of, gone) if task.kind is SealKind.TASK]
    return len(gone), [SpanKey(task.trace_id, task.span_id) for task in tasks]


async def _blank_leftovers(folder: Folder, mine: Mine) -> None:
    """Lines that nobody will import any more are erased too, and damaged ones that nobody can tell the owner of."""
    for file in folder.files():
        whole = await asyncio.to_thread(folder.whole, file)
        found = []
        for raw in await asyncio.to_thread(folder.read, whole):
            with contextlib.suppress(FallbackError):
                if mine(decode(raw)):
                    found.append(raw)
        await asyncio.to_thread(folder.blank, whole, found)
    for file in folder.damaged_files():
        await asyncio.to_thread(folder.remove, file)


def _key_of(line: Line) -> SpanKey:
    return SpanKey(bytes.fromhex(line.trace_id), bytes.fromhex(line.span_id))
