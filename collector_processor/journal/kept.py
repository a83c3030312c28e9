"""What could not be stored and is kept for a person: refused tasks as dead letters, undecodable spans raw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from collector_processor.errors import DamagedEntryError
from collector_processor.journal.format import NUMBER, SEQUENCE, DeadLetter, UndecodableSpan
from collector_processor.journal.reader import live_bytes, read_payloads
from collector_processor.model.stages import HEADER, SealedTask, SealKind

if TYPE_CHECKING:
    from collector_processor.journal.environment import Databases, LmdbTransaction

MAX_UNDECODABLE: Final = 10_000
UNDECODABLE_SHARE: Final = 20
"""So many undecodable spans are kept raw, in so small a part of the journal, which nobody else may be driven out of."""

_encode = msgspec.msgpack.Encoder().encode


def error_of(
    task: SealedTask, refused: Mapping[tuple[bytes, bytes], str], headers: Callable[[int], bytes]
) -> str | None:
    """Why a task of a batch was refused; None where it was not.

    Args:
        task: of the batch.
        refused: errors by trace id and span id. Of orphans the store names the span, conversion only the trace.
        headers: packed headers of a fragment, by its sequence.
    """
    error = refused.get((task.trace_id, task.span_id))
    if error is not None or task.kind is not SealKind.ORPHAN:
        return error
    for member in task.members:
        packed = headers(member.sequence)
        for position in member.positions:
            error = refused.get((task.trace_id, packed[position * HEADER.size :][:8]))
            if error is not None:
                return error
    return None


def bury(
    transaction: LmdbTransaction, databases: Databases, place: tuple[UUID, int], task: SealedTask, error: str
) -> None:
    """Keep a refused task with all that it was sealed with. `place` is its batch, and where in it the task stands."""
    try:
        payloads = tuple(read_payloads(transaction, databases, task))
    except DamagedEntryError as damage:
        payloads, error = (), f"{error}; {damage}"
    batch_id, number = place
    letter = DeadLetter(error, task.spans, _encode(task), payloads)
    transaction.put(batch_id.bytes + NUMBER.pack(number), _encode(letter), db=databases["dead"])


def has_room(transaction: LmdbTransaction, databases: Databases, raw: bytes, max_bytes: int) -> bool:
    """Whether one more undecodable span is kept, in a journal of `max_bytes`; else it is only counted."""
    database = databases["undecodable"]
    few = transaction.stat(database)["entries"] < MAX_UNDECODABLE
    return few and live_bytes(transaction, database) + len(raw) <= max_bytes // UNDECODABLE_SHARE


def keep_undecodable(transaction: LmdbTransaction, databases: Databases, sequence: int, span: UndecodableSpan) -> None:
    """Keep an undecodable span."""
    transaction.put(SEQUENCE.pack(sequence), _encode(span), db=databases["undecodable"])
