"""Batches that have left the journal for the fallback: what lies there, and what becomes of it.

The journal alone says what is to be imported. Lines whose batch it doesn't know as spilled are of one that is sealed
still, or was imported already.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4

import msgspec

from collector_processor.journal import analyses
from collector_processor.journal.completion import complete
from collector_processor.journal.format import NUMBER, DeadLetter, Spilled
from collector_processor.journal.letters import Graveyard, check_room
from collector_processor.journal.reader import View, read_batch, rows_of
from collector_processor.model.stages import Applied, SealedBatch, SealedTask, SealKind

if TYPE_CHECKING:
    from collector_processor.journal.transaction import Transaction

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Spilled).decode


class Buried(NamedTuple):
    """A line that the database refused: its place and task, the spans counted for it, the error, and its bytes."""

    place: int
    task: SealedTask
    spans: int
    error: str
    line: bytes


def spilled(view: View) -> list[tuple[UUID, Spilled]]:
    """All batches that lie in the fallback, in the order in which they went there."""
    rows = rows_of(view.transaction, view.databases["fallback"])
    return sorted(((UUID(bytes=key), _decode(value)) for key, value in rows), key=lambda row: row[1].number)


def spill(
    transaction: Transaction, batch_id: UUID, row: Spilled, left: Applied, *, graveyard: Graveyard, now: int
) -> Spilled | None:
    """Let a batch leave the journal, whose lines are durable. None where it had left before, or had no line.

    `left` says what is in no line: refused tasks become dead letters, undecodable spans are kept.
    Raises DeadLettersFullError: nothing has changed.
    """
    batch = read_batch(transaction.view, batch_id)
    if batch is None:
        return None
    counters = transaction.counters
    handed_over, repeated = counters.handed_over, counters.tasks_repeated
    complete(transaction, batch_id, left, graveyard, now)
    if not row.places:
        return None
    spans, tasks = counters.handed_over - handed_over, counters.tasks_repeated - repeated
    counters.handed_over -= spans
    counters.tasks_repeated -= tasks
    counters.batches -= 1
    counters.in_fallback += spans
    counters.tasks_in_fallback += tasks
    return _put(transaction, batch_id, msgspec.structs.replace(row, sampling=batch.sampling))


def imported(
    transaction: Transaction,
    batch_id: UUID,
    applied: Applied,
    *,
    damaged: Collection[int],
    buried: Sequence[Buried],
    graveyard: Graveyard,
    now: int,
    limits: analyses.Limits,
) -> bool:
    """Act on the ledger row of a batch that came back; whether it was still there.

    Deep facets that were kept of its tasks have their records to be computed from, but no spans any more.
    Raises DeadLettersFullError: nothing has changed.
    """
    row = _get(transaction, batch_id)
    if row is None:
        return False
    letters = [(batch_id.bytes + NUMBER.pack(each.place), _letter(each, now)) for each in buried]
    check_room(transaction.view, sum(len(letter) for _, letter in letters), graveyard)
    _delete(transaction, batch_id)
    analyses.plan(transaction, SealedBatch(batch_id, now, ()), applied.analyses, limits, now)
    for prefix, letter in letters:
        transaction.rows.put("dead", prefix, letter, now)
    counters = transaction.counters
    lost = [entry for entry in row.places if entry[0] in damaged]
    lost_spans, lost_tasks = sum(entry[1] for entry in lost), sum(entry[2] for entry in lost)
    dead_spans = sum(item.spans for item in applied.refused)
    dead_tasks = sum(each.task.kind is SealKind.TASK for each in buried)
    tasks = sum(entry[2] for entry in row.places)
    spans = sum(entry[1] for entry in row.places)
    counters.in_fallback -= spans
    counters.tasks_in_fallback -= tasks
    counters.damaged += lost_spans
    counters.tasks_damaged += lost_tasks
    counters.dead += dead_spans
    counters.tasks_dead += dead_tasks
    counters.handed_over += spans - lost_spans - dead_spans
    counters.in_points += applied.in_points
    counters.duplicate_facts += applied.duplicate
    counters.orphaned += applied.orphaned
    counters.discarded += applied.discarded
    counters.erased += applied.erased
    counters.tasks_accepted += applied.accepted
    counters.tasks_quarantined += applied.quarantined
    counters.tasks_repeated += tasks - lost_tasks - dead_tasks - applied.accepted - applied.quarantined
    counters.revised += applied.revised
    counters.joined += applied.joined
    counters.batches += 1
    return True


def halve(transaction: Transaction, batch_id: UUID) -> list[tuple[UUID, Spilled]]:
    """Have a batch's lines imported in two halves, under identities of their own; none where it has a single one.

    The batch must not have been applied: its identity is what the ledger knows it by.
    """
    row = _get(transaction, batch_id)
    if row is None or len(row.places) < 2:
        return []
    middle = len(row.places) // 2
    _delete(transaction, batch_id)
    halves = []
    for places in (row.places[:middle], row.places[middle:]):
        id_ = uuid4()
        halves.append((id_, _put(transaction, id_, msgspec.structs.replace(row, places=places))))
    return halves


def put_back(transaction: Transaction, key: bytes, letter: DeadLetter, row: Spilled) -> tuple[UUID, Spilled]:
    """Have a refused line, which stands in the fallback again, imported anew; returns the batch that it is now."""
    transaction.changes += 1
    view = transaction.view
    view.transaction.delete(key, db=view.databases["dead"])
    transaction.rows.deleted(key)
    tasks = sum(entry[2] for entry in row.places)
    counters = transaction.counters
    counters.dead -= letter.spans
    counters.tasks_dead -= tasks
    counters.in_fallback += letter.spans
    counters.tasks_in_fallback += tasks
    id_ = uuid4()
    return id_, _put(transaction, id_, row)


def withdraw(transaction: Transaction, batch_id: UUID, places: Collection[int]) -> Spilled | None:
    """Erase lines of a batch: they are imported no more. What is left of it; None where that is nothing."""
    row = _get(transaction, batch_id)
    if row is None:
        return None
    gone = [entry for entry in row.places if entry[0] in places]
    counters = transaction.counters
    spans, tasks = sum(entry[1] for entry in gone), sum(entry[2] for entry in gone)
    counters.in_fallback -= spans
    counters.withdrawn += spans
    counters.tasks_in_fallback -= tasks
    counters.tasks_withdrawn += tasks
    left = tuple(entry for entry in row.places if entry[0] not in places)
    _delete(transaction, batch_id)
    return _put(transaction, batch_id, msgspec.structs.replace(row, places=left)) if left else None


def _letter(buried: Buried, now: int) -> bytes:
    letter = DeadLetter(buried.error, buried.spans, _encode(buried.task), (), buried_at=now, line=buried.line)
    return _encode(letter)


def _get(transaction: Transaction, batch_id: UUID) -> Spilled | None:
    view = transaction.view
    value = view.transaction.get(batch_id.bytes, db=view.databases["fallback"])
    return None if value is None else _decode(value)


def _put(transaction: Transaction, batch_id: UUID, row: Spilled) -> Spilled:
    transaction.changes += 1
    if not row.number:
        transaction.counters.sequence += 1
        row = msgspec.structs.replace(row, number=transaction.counters.sequence)
    view = transaction.view
    view.transaction.put(batch_id.bytes, _encode(row), db=view.databases["fallback"])
    return row


def _delete(transaction: Transaction, batch_id: UUID) -> None:
    transaction.changes += 1
    view = transaction.view
    view.transaction.delete(batch_id.bytes, db=view.databases["fallback"])
