"""The end of a sealed batch: its spans leave the journal, but for what a person or an analysis has still to see."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from collector_processor.journal import analyses, kept
from collector_processor.journal.analyses import NO_ROOM, Limits
from collector_processor.journal.format import UndecodableSpan
from collector_processor.journal.letters import Corpse, Graveyard, bury
from collector_processor.journal.reader import read_batch
from collector_processor.model.stages import Applied, SealedBatch, SealKind, SpanKey

if TYPE_CHECKING:
    from collector_processor.journal.transaction import Transaction


def complete(
    transaction: Transaction,
    batch_id: UUID,
    applied: Applied,
    graveyard: Graveyard,
    now: int,
    *,
    limits: Limits = NO_ROOM,
) -> SealedBatch | None:
    """Act on a batch's ledger row: its spans leave, refused tasks become dead letters. None if done before.

    Spans of tasks that deep facets were kept of stay for their analysis, within `limits`.

    Raises:
        DeadLettersFullError: they have no room; nothing has changed.
    """
    view = transaction.view
    batch = read_batch(view, batch_id)
    if batch is None:
        return None
    corpses = _bury(transaction, batch, applied, graveyard, now) if applied.refused else []
    transaction.changes += 1
    staying = analyses.plan(transaction, batch, applied.analyses, limits, now)
    for task in batch.tasks:
        if (task.trace_id, task.span_id) not in staying:
            transaction.finish(task.members)
        if task.kind is not SealKind.ORPHAN:
            transaction.departed.expire_later(task, now)
    for trace_id, span_id, raw, reason in applied.undecodable_spans:
        if kept.has_room(view.transaction, view.databases, raw, transaction.max_bytes):
            transaction.counters.sequence += 1
            span = UndecodableSpan(trace_id, span_id, reason, raw)
            kept.keep_undecodable(transaction.rows, transaction.counters.sequence, span, now)
    view.transaction.delete(batch_id.bytes, db=view.databases["seals"])
    _count(transaction, batch, applied, corpses)
    return batch


def _bury(
    transaction: Transaction, batch: SealedBatch, applied: Applied, graveyard: Graveyard, now: int
) -> list[Corpse]:
    refused = {(item.trace_id, item.span_id): item.error for item in applied.refused}
    corpses = [
        Corpse((batch.id, number), task, error)
        for number, task in enumerate(batch.tasks)
        if (error := kept.error_of(task, refused, transaction.headers)) is not None
    ]
    undecodable = {SpanKey(trace_id, span_id) for trace_id, span_id, _, _ in applied.undecodable_spans}
    bury(transaction.rows, corpses, undecodable, graveyard, now)
    return corpses


def _count(transaction: Transaction, batch: SealedBatch, applied: Applied, corpses: list[Corpse]) -> None:
    counters = transaction.counters
    tasks = sum(task.kind is SealKind.TASK for task in batch.tasks)
    dead_tasks = sum(corpse.task.kind is SealKind.TASK for corpse in corpses)
    dead_spans = sum(item.spans for item in applied.refused)
    counters.sealed -= batch.spans
    counters.dead += dead_spans
    counters.undecodable += applied.undecodable
    counters.in_points += applied.in_points
    counters.duplicate_facts += applied.duplicate
    counters.orphaned += applied.orphaned
    counters.discarded += applied.discarded
    counters.erased += applied.erased
    counters.handed_over += batch.spans - dead_spans - applied.undecodable
    counters.tasks_sealed -= tasks
    counters.tasks_accepted += applied.accepted
    counters.tasks_quarantined += applied.quarantined
    counters.tasks_dead += dead_tasks
    counters.tasks_repeated += tasks - applied.accepted - applied.quarantined - dead_tasks
    counters.revised += applied.revised
    counters.joined += applied.joined
    counters.batches += 1
