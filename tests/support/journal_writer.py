"""A journal at work, for a recording: `python -m support.journal_writer FOLDER`. Tells on standard output what it did.

    state NUMBER DIGEST SEQUENCES    after each commit: everything that the journal holds, and its open fragments
    ack SEQUENCE                     a request was acknowledged, in the fragment of that number
    done SEQUENCES                   a batch is being completed: these fragments may be gone from now on

It goes the front's own way: requests, sealing, completed batches, keys that end, a good stop and a second start.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import SECOND, Waiting
from collector_processor.config import Settings
from collector_processor.journal import cipher
from collector_processor.journal.cipher import Decryption
from collector_processor.journal.commit import GroupCommit
from collector_processor.journal.environment import Environment
from collector_processor.journal.format import KEPT
from collector_processor.journal.reader import rows_of
from collector_processor.model.stages import Applied, Signal
from support.spans import Piece, request

JOURNAL_BYTES = 1 << 20


class State:
    """Everything that a journal holds: a digest of all rows, and the sequences of its fragments.

    Raises DamagedEntryError where a value can't be decrypted.
    """

    def __init__(self, environment: Environment) -> None:
        digest, sequences = hashlib.sha256(), set[int]()
        decryption = Decryption(environment.keys)
        with environment.lmdb.begin() as transaction:
            for name, database in environment.databases.items():
                for key, value in rows_of(transaction, database):
                    if name == "spans" or name in KEPT:
                        decryption.decrypt(key, value, key.hex())
                    if name == "spans":
                        sequences.add(int.from_bytes(key[:8], "big"))
                    digest.update(b"%s %d %d " % (name.encode(), len(key), len(value)) + key + value)
        self.digest = digest.hexdigest()
        self.sequences = frozenset(sequences)


def say(text: str) -> None:
    """One call, so that a recording has it as one event."""
    os.write(1, text.encode() + b"\n")


class TellingCommit(GroupCommit):
    """A group commit that tells what the journal holds before anybody hears of the commit."""

    number = 0

    def _transact(self, group):
        results = super()._transact(group)
        state = State(self._environment)
        TellingCommit.number += 1
        say(f"state {self.number} {state.digest} {','.join(map(str, sorted(state.sequences)))}")
        return results


class Work:
    """One front under a clock of its own."""

    def __init__(self, folder: Path, now: int) -> None:
        self.now = now
        self.waiting: list[Waiting] = []
        settings = Settings(data_dir=folder, flush_records=2, flush_interval=5.0, journal_max_bytes=JOURNAL_BYTES)
        self.front = Front(settings, self.waiting.extend, lambda: self.now * SECOND)

    async def send(self, *pieces: Piece) -> None:
        await self.front.accept(request(pieces), Signal.TRACES)
        say(f"ack {self.front.counters.sequence}")

    async def wait(self, seconds: int) -> None:
        self.now += seconds
        await self.front.tick()

    async def store(self) -> None:
        for batch in self.waiting:
            sequences = await self._sequences(batch)
            say(f"done {','.join(map(str, sequences))}")
            await self.front.complete(batch.id, Applied(in_points=batch.spans, accepted=batch.tasks))
        self.waiting.clear()

    async def _sequences(self, batch: Waiting) -> Sequence[int]:
        sealed = await self.front.run(lambda transaction: list(transaction.sealed_batches()))
        return [
            member.sequence for each in sealed if each.id == batch.id for task in each.tasks for member in task.members
        ]


async def _first(work: Work) -> None:
    await work.front.recover()
    for trace in range(1, 7):
        await work.send(Piece(trace, 2, 1, "route"), Piece(trace, 3, 1, "execution"))
        await work.send(*(Piece(trace, 10 + number, 3, "foreign") for number in range(40 * trace)))
        await work.send(Piece(trace, 1, 0, "task"), Piece(trace, 4, 3, "tool"))
        await work.wait(4)
        if trace % 2:
            await work.store()
    await work.wait(11)
    await work.wait(cipher.EPOCH_NS // SECOND)
    await work.store()
    await work.wait(11)


async def _second(work: Work) -> None:
    await work.front.recover()
    for trace in range(10, 13):
        await work.send(Piece(trace, 1, 0, "task"), Piece(trace, 2, 1, "execution"))
        await work.wait(11)
        await work.wait(11)
    await work.store()
    await work.send(Piece(20, 1, 0, "task"))


async def main(folder: Path) -> None:
    """Work, stop well, start again, work, and end without a word."""
    first = Work(folder, 1_760_000_000)
    await _first(first)
    await first.front.stop()
    await _second(Work(folder, first.now + 5))


if __name__ == "__main__":
    with patch("collector_processor.app.journalling.front.GroupCommit", TellingCommit):
        asyncio.run(main(Path(sys.argv[1])))
    os._exit(0)
