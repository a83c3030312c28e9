"""Walk through a journal in a process of its own, which a damaged file may end: `python -m … FOLDER WHAT NUMBER…`.

Answers stand on standard output, each a msgpack value behind its length (4 bytes, big-endian). The last one of a walk
that reached its end is `Ended`.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import Final

import lmdb
import msgspec

from collector_processor.errors import DamagedEntryError
from collector_processor.journal import analyses
from collector_processor.journal.cipher import Decryption
from collector_processor.journal.format import (
    NONCE,
    SEQUENCE,
    VERSION,
    Counters,
    DeadLetter,
    parse_fragment_key,
    split_value,
)
from collector_processor.journal.keys import KeyFolder
from collector_processor.journal.reader import View, read_counters, rows_of
from collector_processor.model.stages import FragmentFlag

LENGTH: Final = struct.Struct(">I")
HIGHEST: Final = 1 << 48
"""Above every sequence that a journal reaches, for one whose counters can't be read."""
_READ: Final = ("spans", "taken", "seals", "analyses", "dead", "undecodable", "meta")
_read_letter: Final = msgspec.msgpack.Decoder(DeadLetter).decode


class Overview(msgspec.Struct, frozen=True, tag=True):
    """A journal's own notes. `analysed` spans of stored tasks wait for their deep analysis."""

    version: bytes
    counters: Counters
    batches: int = 0
    dead: int = 0
    undecodable: int = 0
    analysed: int = 0

    @property
    def highest(self) -> int:
        """The last sequence that was given."""
        return self.counters.sequence


class Found(msgspec.Struct, frozen=True, tag=True):
    """A payload of OTLP, TracesData or with `logs` LogsData, and the positions in it that have not left the journal.

    A dead letter's `sequence` is 0.
    """

    sequence: int
    logs: bool
    payload: bytes
    positions: tuple[int, ...]
    whole: bool
    """Whether that is all of the payload."""


class Unreadable(msgspec.Struct, frozen=True, tag=True):
    """An entry of so many spans that can't be read, and why; 0 where nobody knows."""

    sequence: int
    problem: str
    spans: int


class Resumes(msgspec.Struct, frozen=True, tag=True):
    """From this sequence on a walk through spans gets further."""

    start: int


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The walk reached its end."""


Answer = Overview | Found | Unreadable | Resumes | Ended


def overview(view: View) -> Iterator[Answer]:
    """Of the journal's notes alone, where its format is another one: there, nothing else may be understood."""
    transaction, databases = view.transaction, view.databases
    version = transaction.get(b"version", db=databases["meta"]) or b"none"
    if len(databases) == 1:
        yield Overview(version, Counters())
        return
    entries = {name: transaction.stat(databases[name])["entries"] for name in ("seals", "dead", "undecodable")}
    analysed = sum(len(member.positions) for _, each in analyses.pending(view) for member in each.members)
    yield Overview(
        version,
        read_counters(transaction, databases),
        entries["seals"],
        entries["dead"],
        entries["undecodable"],
        analysed,
    )


def spans(view: View, start: int) -> Iterator[Answer]:
    """Fragments from a sequence on."""
    with view.transaction.cursor(db=view.databases["spans"]) as cursor:
        rows = iter(cursor) if cursor.set_range(SEQUENCE.pack(start)) else ()
        for prefix, parts in groupby(rows, lambda row: row[0][: SEQUENCE.size]):
            left = _left(view, prefix, [*parts])
            if left is not None:
                yield left


def _left(view: View, prefix: bytes, parts: list[tuple[bytes, bytes]]) -> Answer | None:
    """What is left of a fragment; None where nothing is."""
    try:
        key = parse_fragment_key(parts[0][0])
    except DamagedEntryError as error:
        return Unreadable(int.from_bytes(prefix, "big"), str(error), 0)
    mask = view.transaction.get(prefix, db=view.databases["taken"]) or b""
    taken = int.from_bytes(mask, "big")
    # How many spans a key tells is true once its value has been decrypted: until then nothing is made of that size.
    left = key.spans - taken.bit_count()
    if left <= 0:
        return None
    if key.part:
        return Unreadable(key.sequence, f"journal entry {key.sequence} has lost its beginning", left)
    try:
        value = b"".join(view.decryption.decrypt(stored, part, key.sequence) for stored, part in parts)
    except DamagedEntryError as error:
        return Unreadable(key.sequence, str(error), left)
    positions = tuple(position for position in range(key.spans) if not taken >> position & 1)
    logs = bool(key.flags & FragmentFlag.LOGS)
    return Found(key.sequence, logs, split_value(value, key.spans)[1], positions, len(positions) == key.spans)


def dead(view: View) -> Iterator[Answer]:
    """Spans of dead letters."""
    for key, value in rows_of(view.transaction, view.databases["dead"]):
        try:
            name = key[: -NONCE.size].hex()
            letter = _read_letter(view.decryption.decrypt(key, value, f"dead {name}"))
        except (DamagedEntryError, msgspec.DecodeError) as error:
            yield Unreadable(0, str(error), 0)
            continue
        if not letter.payloads:
            yield Unreadable(0, f"dead letter {name} holds no spans: {letter.error}", letter.spans)
        for (flags, _), (_, payload, positions) in zip(letter.headers, letter.payloads, strict=True):
            yield Found(0, bool(flags & FragmentFlag.LOGS), payload, positions, whole=True)


def behind(folder: Path, bad: int, highest: int) -> Iterator[Answer]:
    """The first sequence after a bad one from which spans can be read, none where none up to the highest can be.

    By doubling steps, then halving them; each is tried by a child of this process, which it may end.
    """
    step = 1
    while not _survives(folder, bad + step):
        if bad + step > highest:
            return
        step *= 2
    low, high = bad + step // 2, bad + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _survives(folder, middle) else (middle, high)
    yield Resumes(high)


def _survives(folder: Path, start: int) -> bool:
    child = os.fork()
    if not child:
        try:
            with _opened(folder) as view:
                next(spans(view, start), None)
        except BaseException:  # noqa: BLE001  # whatever it is, it must not go on in the parent's name
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


@contextmanager
def _opened(folder: Path) -> Iterator[View]:
    """The journal, without a lock of LMDB's: whoever asks holds ours. Of another format only the notes are opened."""
    environment = lmdb.open(str(folder), readonly=True, lock=False, max_dbs=16, create=False, lib_version=0, map_size=0)
    databases = {"meta": environment.open_db(b"meta", create=False)}
    with environment.begin() as transaction:
        version = transaction.get(b"version", db=databases["meta"])
    if version == str(VERSION).encode():
        databases = {name: environment.open_db(name.encode(), create=False) for name in _READ}
    with environment.begin() as transaction:
        yield View(transaction, databases, Decryption(KeyFolder(folder)))


def main(folder: Path, what: str, *numbers: int) -> None:
    """Answer one question."""
    if what == "behind":
        _tell(behind(folder, *numbers))
        return
    with _opened(folder) as view:
        walks: dict[str, Callable[..., Iterator[Answer]]] = {"overview": overview, "spans": spans, "dead": dead}
        _tell(walks[what](view, *numbers))


def _tell(answers: Iterator[Answer]) -> None:
    encode = msgspec.msgpack.Encoder().encode
    for answer in chain(answers, [Ended()]):
        body = encode(answer)
        sys.stdout.buffer.write(LENGTH.pack(len(body)) + body)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
