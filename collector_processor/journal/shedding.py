"""Open spans that leave for want of room, and their bytes with them.

Elsewhere a fragment goes when the last of its spans does; here one that lifecycle spans still need is written anew
without the others' bytes. Its sequence, headers and positions stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from collector_processor.errors import DamagedEntryError
from collector_processor.journal.format import SEQUENCE, cut, fragment_key, split_value
from collector_processor.journal.reader import read_fragment, rows_of
from collector_processor.model.stages import Closing

if TYPE_CHECKING:
    from collector_processor.journal.transaction import Transaction

Empty = Callable[[bytes, int], bytes]
"""(OTLP payload, mask of positions) → the payload with nothing at them."""


class Left(NamedTuple):
    """What a fragment has that stays: bytes of its payload, and spans."""

    bytes: int
    spans: int


def shed(transaction: Transaction, closings: Iterable[Closing], until: int, empty: Empty, now: int) -> dict[int, Left]:
    """Let go of what closings drop; their links are remembered until then (ns).

    Returns what is left of fragments that stay, by sequence.
    """
    left: dict[int, Left] = {}
    for closing in closings:
        transaction.changes += 1
        if closing.links:
            transaction.leave_links(closing, until)
        spans = 0
        for member in closing.dropped:
            spans += len(member.positions)
            whole = len(transaction.gone)
            transaction.finish([member])
            if len(transaction.gone) == whole:
                _shrink(transaction, member.sequence, empty, now, left)
        transaction.counters.open -= spans
        transaction.counters.shed += spans
    return left


def _shrink(transaction: Transaction, sequence: int, empty: Empty, now: int, left: dict[int, Left]) -> None:
    """Write a fragment without the bytes of the spans that have left it."""
    view, prefix = transaction.view, SEQUENCE.pack(sequence)
    try:
        key, value = read_fragment(view, sequence)
    except DamagedEntryError:
        return  # nobody can read what it has: its other spans become dead letters
    taken = view.transaction.get(prefix, db=view.databases["taken"])
    assert taken is not None, "spans have left it"
    mask = int.from_bytes(taken, "big")
    headers, payload = split_value(value, key.spans)
    payload = empty(payload, mask)
    database = view.databases["spans"]
    for row, _ in [*rows_of(view.transaction, database, prefix)]:
        view.transaction.delete(row, db=database)
        transaction.rows.deleted(row)
    for number, part in enumerate(cut(headers + payload)):
        transaction.rows.put("spans", fragment_key(key._replace(part=number)), part, now)
    left[sequence] = Left(len(payload), key.spans - mask.bit_count())
