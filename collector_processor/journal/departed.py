"""What the journal remembers of spans that have left it, for a while: their task, or the link to their parent.

A late or resent span finds its task by it, and a chain of parents holds through spans that no task claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from collector_processor.journal.format import SEQUENCE, pack_links, parse_links
from collector_processor.journal.reader import rows_of
from collector_processor.model.stages import Closing, Known, SealedTask

if TYPE_CHECKING:
    from collector_processor.journal.format import Databases, LmdbTransaction


class Expired(NamedTuple):
    """What was forgotten: span ids by trace. Not `all_of_it` where more is due than one transaction takes."""

    forgotten: Sequence[tuple[bytes, tuple[bytes, ...]]]
    all_of_it: bool
    rows: int


class Departed:
    """The sub-databases `closed`, `links` and `expiry` in one write transaction.

    Args:
        transaction: LMDB's.
        databases: the journal's.
        closed_timeout: ns for which a task claims late and resent spans after its batch is stored.
    """

    def __init__(self, transaction: LmdbTransaction, databases: Databases, closed_timeout: int) -> None:
        self._txn = transaction
        self._dbs = databases
        self._closed_timeout = closed_timeout

    def known(self, trace_id: bytes) -> Known:
        """What is remembered of a trace."""
        known = Known({}, {})
        for key, value in rows_of(self._txn, self._dbs["closed"], trace_id):
            task = key[16:24]
            for start in range(16, len(value), 8):
                known.closed[value[start : start + 8]] = task
        for _, value in rows_of(self._txn, self._dbs["links"], trace_id):
            for link in parse_links(value):
                known.links[link.span_id] = link
        return known

    def remember(self, task: SealedTask, batch_id: UUID, span_ids: bytes) -> None:
        """Remember which task spans belong to; `span_ids` are 8 bytes each."""
        key = task.trace_id + task.span_id
        before = self._txn.get(key, db=self._dbs["closed"]) or b""
        self._txn.put(key, batch_id.bytes + before[16:] + span_ids, db=self._dbs["closed"])

    def leave_links(self, number: int, closing: Closing, until: int) -> None:
        """Remember the links of a closing until a time (ns), under a number that no other has."""
        key = closing.trace_id + SEQUENCE.pack(number)
        self._txn.put(key, pack_links(closing.links), db=self._dbs["links"])
        self._txn.put(SEQUENCE.pack(until) + b"L" + key, b"", db=self._dbs["expiry"])

    def expire_later(self, task: SealedTask, now: int) -> None:
        """A task is stored: remember it for a while from `now` (ns) on."""
        self._plan(b"C" + task.trace_id + task.span_id, now)

    def _plan(self, row: bytes, now: int) -> None:
        self._txn.put(SEQUENCE.pack(now + self._closed_timeout) + row, b"", db=self._dbs["expiry"])

    def expire(self, now: int, needed: Callable[[bytes, bytes], bool], limit: int) -> Expired:
        """Forget closed tasks and links whose time is over.

        Args:
            now: ns.
            needed: (trace id, task span id) → an open span still belongs to that closed task.
            limit: rows looked at in this transaction.
        """
        forgotten: list[tuple[bytes, tuple[bytes, ...]]] = []
        due: list[bytes] = []
        with self._txn.cursor(db=self._dbs["expiry"]) as cursor:
            for key in cursor.iternext(keys=True, values=False):
                if SEQUENCE.unpack_from(key)[0] > now or len(due) >= limit:
                    break
                due.append(key)
        for key in due:
            self._txn.delete(key, db=self._dbs["expiry"])
            kind, row = key[8:9], key[9:]
            if kind == b"L":
                links = self._txn.pop(row, db=self._dbs["links"])
                forgotten.append((row[:16], tuple([link.span_id for link in parse_links(links or b"")])))
                continue
            value = self._txn.get(row, db=self._dbs["closed"])
            if value is None:
                continue
            if self._txn.get(value[:16], db=self._dbs["seals"]) is not None or needed(row[:16], row[16:]):
                self._plan(key[8:], now)
            else:
                self._txn.delete(row, db=self._dbs["closed"])
                forgotten.append((row[:16], tuple([value[at : at + 8] for at in range(16, len(value), 8)])))
        return Expired(forgotten, len(due) < limit, len(due))
