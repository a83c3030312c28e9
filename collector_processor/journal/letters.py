"""Dead letters: tasks that could not be stored, kept with what they were sealed with until a person decides on them.

They have a share of the journal, and none is driven out of it: where there is no room for another one, its batch stays
sealed. A letter holds its own task's spans and nobody else's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4

import msgspec

from collector_processor.errors import DamagedEntryError, DeadLettersFullError
from collector_processor.journal.format import NUMBER, DeadLetter
from collector_processor.journal.kept import read, task_of
from collector_processor.journal.reader import View, live_bytes, read_fragment, rows_of
from collector_processor.journal.rows import EncryptedRows
from collector_processor.model.sampling import SamplingState
from collector_processor.model.stages import (
    HEADER,
    Fragment,
    FragmentFlag,
    Member,
    RawPart,
    SealedBatch,
    SealedTask,
    SealKind,
    SpanKey,
)

if TYPE_CHECKING:
    from collector_processor.journal.transaction import Transaction

_encode = msgspec.msgpack.Encoder().encode

Extract = Callable[[bytes, tuple[int, ...]], bytes]
"""(OTLP payload, positions) → a payload of the spans at these positions alone."""


class Graveyard(NamedTuple):
    """Bytes that dead letters may take, and how a letter's spans are taken out of their fragments."""

    max_bytes: int
    extract: Extract


class Corpse(NamedTuple):
    """A task that is to be buried: its batch and where in it it stands, and why."""

    place: tuple[UUID, int]
    task: SealedTask
    error: str


def bury(
    rows: EncryptedRows,
    corpses: Sequence[Corpse],
    undecodable: Collection[SpanKey],
    graveyard: Graveyard,
    now: int,
) -> None:
    """Keep refused tasks with all that they were sealed with, but for undecodable spans, which are kept apart.

    Raises:
        DeadLettersFullError: there is no room for them; nothing has changed.
    """
    letters = [(corpse.place, _encode(_letter(rows.view, corpse, undecodable, graveyard, now))) for corpse in corpses]
    check_room(rows.view, sum(len(letter) for _, letter in letters), graveyard)
    for (batch_id, number), letter in letters:
        rows.put("dead", batch_id.bytes + NUMBER.pack(number), letter, now)


def check_room(view: View, more: int, graveyard: Graveyard) -> None:
    """See that so many bytes more have room. Raises DeadLettersFullError."""
    used = live_bytes(view.transaction, view.databases["dead"])
    if more and used + more > graveyard.max_bytes:
        raise DeadLettersFullError(
            f"dead letters take {used} of {graveyard.max_bytes} bytes, and {more} more are due: "
            "look at `otel-benchmark dead-letter list`, and retry or discard some"
        )


def _letter(view: View, corpse: Corpse, undecodable: Collection[SpanKey], graveyard: Graveyard, now: int) -> DeadLetter:
    task, error = corpse.task, corpse.error
    payloads: list[RawPart] = []
    headers: list[tuple[int, bytes]] = []
    try:
        for member in task.members:
            key, value = read_fragment(view, member.sequence)
            packed = {at: value[at * HEADER.size : (at + 1) * HEADER.size] for at in member.positions}
            taken = [at for at, each in packed.items() if SpanKey(task.trace_id, each[:8]) not in undecodable]
            if not taken:
                continue  # a retry would journal a fragment of no spans
            payload = graveyard.extract(value[HEADER.size * key.spans :], tuple(taken))
            payloads.append((key.arrived, payload, tuple(range(len(taken)))))
            headers.append((int(key.flags), b"".join(packed[at] for at in taken)))
        spans = sum(len(positions) for _, _, positions in payloads)
    except DamagedEntryError as damage:
        payloads, headers, error, spans = [], [], f"{error}; {damage}", task.spans
    return DeadLetter(error, spans, _encode(task), tuple(payloads), tuple(headers), now)


# -- A person's decisions ------------------------------------------------------------------------------


def id_of(key: bytes) -> str:
    """How a letter is called: its batch, and its place in it."""
    return f"{key[:16].hex()}.{NUMBER.unpack_from(key, 16)[0]}"


def letters(view: View, ids: Collection[str] | None = None) -> Iterator[tuple[str, DeadLetter]]:
    """Letters that can be read, with their ids: all of them, or those that are named."""
    for key, letter in read(view, "dead") if ids is None else _chosen(view, ids):
        yield id_of(key), letter


def keyed(view: View, id_: str) -> tuple[bytes, DeadLetter] | None:
    """A letter with its key; None where there is none."""
    return next(iter(_chosen(view, [id_])), None)


def letter_ids(view: View) -> list[str]:
    """Ids of all letters; reads keys only."""
    return [id_of(key) for key, _ in rows_of(view.transaction, view.databases["dead"])]


def retry(transaction: Transaction, ids: Collection[str], now: int, sampling: SamplingState) -> list[SealedBatch]:
    """Seal letters' tasks anew, each in a batch of its own; those whose spans are damaged stay.

    `sampling` is what policies know now.
    """
    batches = []
    for key, letter in _chosen(transaction.view, ids):
        if not letter.headers:
            continue
        task = task_of(letter)
        members = []
        for (arrived, payload, positions), (flags, headers) in zip(letter.payloads, letter.headers, strict=True):
            fragment = Fragment(task.trace_id, FragmentFlag(flags), headers, payload)
            stored = transaction.append(fragment, arrived)
            members.append(Member(stored.sequence, arrived, positions))
        task = msgspec.structs.replace(task, members=tuple(members))
        batch = SealedBatch(uuid4(), now, (task,), sampling)
        transaction.put_seal(batch)
        _remove(transaction, key)
        counters, tasks = transaction.counters, int(task.kind is SealKind.TASK)
        counters.open -= letter.spans
        counters.sealed += letter.spans
        counters.tasks_sealed += tasks
        counters.dead -= letter.spans
        counters.tasks_dead -= tasks
        batches.append(batch)
    return batches


def discard(transaction: Transaction, ids: Collection[str]) -> list[str]:
    """Delete letters for good; returns the ids of those that were there."""
    gone = []
    for key, letter in _chosen(transaction.view, ids):
        _remove(transaction, key)
        tasks = int(task_of(letter).kind is SealKind.TASK)
        counters = transaction.counters
        counters.dead -= letter.spans
        counters.given_up += letter.spans
        counters.tasks_dead -= tasks
        counters.tasks_given_up += tasks
        gone.append(id_of(key))
    return gone


def _chosen(view: View, ids: Collection[str]) -> list[tuple[bytes, DeadLetter]]:
    return [found for prefix in filter(None, map(_prefix, ids)) for found in read(view, "dead", prefix)]


def _prefix(id_: str) -> bytes | None:
    """Of a letter's key; None where no letter can be called so."""
    batch, _, place = id_.partition(".")
    try:
        prefix = bytes.fromhex(batch) + NUMBER.pack(int(place))
    except (ValueError, struct.error):
        return None
    return prefix if len(prefix) == 16 + NUMBER.size else None


def _remove(transaction: Transaction, key: bytes) -> None:
    transaction.changes += 1
    view = transaction.view
    view.transaction.delete(key, db=view.databases["dead"])
    transaction.rows.deleted(key)
