"""What could not be stored and is kept for a person: refused tasks as dead letters, undecodable spans raw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from collector_processor.errors import DamagedEntryError
from collector_processor.journal.format import NONCE, SEQUENCE, DeadLetter, UndecodableSpan
from collector_processor.journal.reader import View, live_bytes, rows_of
from collector_processor.journal.rows import EncryptedRows
from collector_processor.model.stages import HEADER, Role, SealedTask, SealKind
from collector_processor.telemetry import get_logger

if TYPE_CHECKING:
    from collector_processor.journal.format import Databases, LmdbTransaction

MAX_UNDECODABLE: Final = 10_000
UNDECODABLE_SHARE: Final = 20
"""So many undecodable spans are kept raw, in so small a part of the journal, which nobody else may be driven out of."""

log = get_logger(__name__)
_encode = msgspec.msgpack.Encoder().encode
_TYPES: Final = {"dead": DeadLetter, "undecodable": UndecodableSpan}


def error_of(
    task: SealedTask, refused: Mapping[tuple[bytes, bytes], str], headers: Callable[[int], bytes]
) -> str | None:
    """Why a task of a batch was refused; None where it was not.

    Args:
        task: of the batch.
        refused: errors by trace id and span id. Of orphans the store names the span, of log records the one that they
            name; conversion only the trace.
        headers: packed headers of a fragment, by its sequence.
    """
    error = refused.get((task.trace_id, task.span_id))
    if error is not None or task.kind is not SealKind.ORPHAN:
        return error
    for member in task.members:
        packed = headers(member.sequence)
        for position in member.positions:
            span_id, parent_id, role, _ = HEADER.unpack_from(packed, position * HEADER.size)
            for named in (span_id, parent_id) if role == Role.EVALUATION else (span_id,):
                if (error := refused.get((task.trace_id, named))) is not None:
                    return error
    return None


def has_room(transaction: LmdbTransaction, databases: Databases, raw: bytes, max_bytes: int) -> bool:
    """Whether one more undecodable span is kept, in a journal of `max_bytes`; else it is only counted."""
    database = databases["undecodable"]
    few = transaction.stat(database)["entries"] < MAX_UNDECODABLE
    return few and live_bytes(transaction, database) + len(raw) <= max_bytes // UNDECODABLE_SHARE


def keep_undecodable(rows: EncryptedRows, sequence: int, span: UndecodableSpan, now: int) -> None:
    """Keep an undecodable span."""
    rows.put("undecodable", SEQUENCE.pack(sequence), _encode(span), now)


def read(view: View, database: str, prefix: bytes = b"") -> Iterator[tuple[bytes, Any]]:
    """Key and content of what a sub-database of `KEPT` holds, oldest first; what is damaged is logged and left out."""
    decode = msgspec.msgpack.Decoder(_TYPES[database]).decode
    for key, value in rows_of(view.transaction, view.databases[database], prefix):
        try:
            yield key, decode(view.decryption.decrypt(key, value, f"{database} {key[: -NONCE.size].hex()}"))
        except DamagedEntryError as error:
            log.critical("journal: what was kept is damaged", problem=str(error))


def task_of(letter: DeadLetter) -> SealedTask:
    """The task that a dead letter holds."""
    return msgspec.msgpack.decode(letter.sealed, type=SealedTask)


def erase(
    rows: EncryptedRows, mine: Callable[[DeadLetter | UndecodableSpan], bool]
) -> list[DeadLetter | UndecodableSpan]:
    """Delete what is kept and `mine`; returns what that was."""
    due = [(name, key, item) for name in _TYPES for key, item in read(rows.view, name) if mine(item)]
    for name, key, _ in due:
        rows.view.transaction.delete(key, db=rows.view.databases[name])
        rows.deleted(key)
    return [item for _, _, item in due]
