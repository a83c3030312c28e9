"""Sealed batches that are not stored as they were sealed: halved, or buried as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from collector_processor.journal.completion import complete
from collector_processor.journal.letters import Graveyard
from collector_processor.journal.reader import read_batch
from collector_processor.model.stages import Applied, Refused, SealedBatch

if TYPE_CHECKING:
    from collector_processor.journal.transaction import Transaction


def halve(transaction: Transaction, batch_id: UUID) -> list[SealedBatch]:
    """Replace a batch by two of half its tasks; none where it has a single one, or is gone.

    The batch must not have been applied: its identity is what the ledger knows it by.
    """
    batch = read_batch(transaction.view, batch_id)
    if batch is None or len(batch.tasks) < 2:
        return []
    middle = len(batch.tasks) // 2
    parts = (batch.tasks[:middle], batch.tasks[middle:])
    halves = [SealedBatch(uuid4(), batch.sealed_at, tasks, batch.sampling) for tasks in parts]
    view = transaction.view
    view.transaction.delete(batch_id.bytes, db=view.databases["seals"])
    for half in halves:
        transaction.put_seal(half)
    return halves


def bury(transaction: Transaction, batch_id: UUID, error: str, graveyard: Graveyard, now: int) -> None:
    """Make every task of a batch a dead letter. Raises DeadLettersFullError: nothing has changed."""
    batch = read_batch(transaction.view, batch_id)
    if batch is not None:
        refused = tuple(Refused(task.trace_id, task.span_id, task.spans, error) for task in batch.tasks)
        complete(transaction, batch_id, Applied(refused=refused), graveyard, now)
