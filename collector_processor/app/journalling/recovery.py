"""Rebuild index and shares at a start, from the journal's keys alone."""

from __future__ import annotations

from collections.abc import Sequence

from collector_processor.app.journalling.sealing import Waiting
from collector_processor.app.journalling.shares import Shares
from collector_processor.assemble.assembler import Assembler
from collector_processor.journal import analyses
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Member


def rebuild(transaction: Transaction, assembler: Assembler, shares: Shares) -> list[Waiting]:
    """Tell the index of every fragment, and shares that there are some; returns the batches that were sealed before."""
    taken = transaction.taken()
    waiting: list[Waiting] = []
    for batch in transaction.sealed_batches():
        waiting.append(Waiting(batch.id, batch.sealed_at, len(batch.tasks), batch.spans))
        for task in batch.tasks:
            _mark(taken, task.members)
    for _, analysis in analyses.pending(transaction.view):
        _mark(taken, analysis.members)
    shares.found(transaction.counters.sequence)
    assembler.restore(transaction.fragments(), taken)
    return waiting


def _mark(taken: dict[int, int], members: Sequence[Member]) -> None:
    for member in members:
        taken[member.sequence] = taken.get(member.sequence, 0) | member.mask
