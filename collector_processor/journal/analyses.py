"""Pending analyses: tasks that are stored already, and whose spans stay until their deep facets are computed.

The spans keep their places, so nothing is copied and their keys live on with them; a row of `analyses` says whose they
are. Each facet is counted from here to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from collector_processor.journal.format import SEQUENCE, Analysis
from collector_processor.journal.reader import View, decode_analysis, rows_of
from collector_processor.model.sampling import Facet, Tally
from collector_processor.model.stages import Due, Member, SealedBatch, SealKind

if TYPE_CHECKING:
    from collector_processor.journal.transaction import Transaction

MAX_ROWS: Final = 100_000
"""Analyses that are remembered at once, those without spans included."""
_ROW_BYTES: Final = 500
"""What an analysis counts for beside its spans."""

_encode = msgspec.msgpack.Encoder().encode


class Limits(NamedTuple):
    """What analyses may take: `room` in bytes of the journal, and whether one more of a facet is let through."""

    room: int = 0
    admit: Callable[[Facet], bool] = lambda _: True


NO_ROOM: Final = Limits()


class Analysed(NamedTuple):
    """An analysis that has ended, what it `spent`, and whether its record was gone, so that it was in vain."""

    number: int
    spent: Tally = Tally()
    void: bool = False


def plan(
    transaction: Transaction, batch: SealedBatch, dues: Sequence[Due], limits: Limits, now: int
) -> set[tuple[bytes, bytes]]:
    """Note what is to be analysed of a batch that is stored; returns the tasks (trace, span) whose spans stay for it.

    They stay where the batch has the whole task and there is room. What is shed is remembered, but nothing that it
    could be computed from; what can't even be remembered is forgone.
    """
    view, counters = transaction.view, transaction.counters
    staying = set()
    rows = view.transaction.stat(view.databases["analyses"])["entries"] if dues else 0
    for due in dues:
        counters.samples_kept += len(due.facets)
        if rows >= MAX_ROWS:
            counters.samples_forgone += len(due.facets)
            continue
        rows += 1
        analysis = _analysis(view, due, batch, limits._replace(room=limits.room - counters.analysis_bytes), now)
        counters.sequence += 1
        view.transaction.put(SEQUENCE.pack(counters.sequence), _encode(analysis), db=view.databases["analyses"])
        counters.samples_pending += len(due.facets)
        counters.analysis_bytes += analysis.size
        if analysis.members:
            staying.add((due.trace_id, due.span_id))
    return staying


def _analysis(view: View, due: Due, batch: SealedBatch, limits: Limits, now: int) -> Analysis:
    members, shed = _members(batch, due), due.facets
    size = sum(_size(view, member.sequence) for member in members) + _ROW_BYTES
    if size <= limits.room:
        shed = tuple([facet for facet in due.facets if not limits.admit(facet)])
    if shed == due.facets:
        members, size = (), _ROW_BYTES
    return Analysis(due.trace_id, due.span_id, due.facets, now, size, members, shed)


def _members(batch: SealedBatch, due: Due) -> tuple[Member, ...]:
    """The task's spans, late ones that stand in the same batch included; none where its own seal was another."""
    parts = [task for task in batch.tasks if (task.trace_id, task.span_id) == (due.trace_id, due.span_id)]
    if not any(part.kind is SealKind.TASK for part in parts):
        return ()
    return tuple(member for part in parts for member in part.members)


def _size(view: View, sequence: int) -> int:
    """Bytes of a whole fragment: all of it stays for one span that does."""
    return sum(len(value) for _, value in rows_of(view.transaction, view.databases["spans"], SEQUENCE.pack(sequence)))


def pending(view: View, after: int = 0) -> Iterator[tuple[int, Analysis]]:
    """Number and content of pending analyses above a number, oldest first."""
    with view.transaction.cursor(db=view.databases["analyses"]) as cursor:
        found = cursor.set_range(SEQUENCE.pack(after + 1))
        while found:
            yield SEQUENCE.unpack(cursor.key())[0], decode_analysis(cursor.value())
            found = cursor.next()


def done(transaction: Transaction, analysed: Analysed) -> bool:
    """What an analysis gave is stored, or its record is gone: its spans leave. False if done before."""
    facets = _end(transaction, analysed.number)
    if analysed.void:
        transaction.counters.samples_void += facets
    else:
        transaction.counters.samples_stored += facets
    return facets > 0


def erase(transaction: Transaction, number: int) -> None:
    """Withdraw a pending analysis with its spans."""
    transaction.counters.samples_withdrawn += _end(transaction, number)


def _end(transaction: Transaction, number: int) -> int:
    """How many facets that were."""
    view, counters = transaction.view, transaction.counters
    value = view.transaction.pop(SEQUENCE.pack(number), db=view.databases["analyses"])
    if value is None:
        return 0
    analysis = decode_analysis(value)
    transaction.changes += 1
    transaction.finish(analysis.members)
    counters.analysis_bytes -= analysis.size
    counters.samples_pending -= len(analysis.facets)
    return len(analysis.facets)
