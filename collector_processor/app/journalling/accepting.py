"""Take requests in: checked, split by trace, journalled, indexed, and acknowledged when they are durable."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from collector_processor.app.journalling.holding import Holding
from collector_processor.app.journalling.room import Room
from collector_processor.app.journalling.running import Run
from collector_processor.app.journalling.shares import Shares
from collector_processor.assemble import records, wire
from collector_processor.assemble.assembler import Arrival, Assembler
from collector_processor.errors import JournalError, JournalFullError, OverloadedError
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import HEADER, Fragment, Receipt, Signal, Split, Stored
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

LARGE_BODY: Final = 1 << 20
"""A body above this is split in a thread, so that the event loop goes on answering others."""
_SPLITS: Final[dict[Signal, Callable[[bytes], Split]]] = {Signal.TRACES: wire.split, Signal.LOGS: records.split}


class Accepting:
    """One per journal.

    Args:
        run: into the commit thread.
        clock: ns since the epoch.
        assembler: the index.
        holding: knows halted sources.
        shares: knows what services hold.
        room: says who is refused.
    """

    def __init__(
        self,
        run: Run,
        clock: Callable[[], int],
        assembler: Assembler,
        holding: Holding,
        *,
        shares: Shares,
        room: Room,
    ) -> None:
        self._run = run
        self._clock = clock
        self._assembler = assembler
        self._holding = holding
        self._shares = shares
        self._room = room
        self._staged: dict[bytes, set[bytes]] = {}
        self._staged_in: Transaction | None = None

    async def accept(self, body: bytes, signal: Signal) -> Receipt:
        """Check, journal and acknowledge one request (see Intake)."""
        split_by_trace = _SPLITS[signal]
        split = await asyncio.to_thread(split_by_trace, body) if len(body) > LARGE_BODY else split_by_trace(body)
        if split.spans:
            try:
                await self._run(lambda transaction: self._append(transaction, split), self._index)
            except JournalFullError as error:
                raise OverloadedError(str(error), retry_after=random.uniform(1, 2)) from error  # noqa: S311 - jitter
            except JournalError as error:
                log.exception("journal: a request could not be written")
                raise OverloadedError(str(error), retry_after=2) from error
        rejected = sum(rejection.spans for rejection in split.rejections)
        return Receipt(rejected, "; ".join(f"{count} x {reason}" for count, reason in split.rejections))

    def _append(self, transaction: Transaction, split: Split) -> list[tuple[Stored, Arrival, Fragment]]:
        if self._staged_in is not transaction:
            self._staged, self._staged_in = {}, transaction
        if split.fragments:
            self._room.check(transaction, split, self._staged)
        now = self._clock()
        self._holding.check(split.fragments)
        counters = transaction.counters
        transaction.changes += 1
        counters.received += split.spans
        counters.rejected += sum(rejection.spans for rejection in split.rejections)
        counters.foreign += split.foreign
        counters.traceless += split.traceless
        written = []
        for fragment in split.fragments:
            arrival = self._assembler.judge(fragment, self._staged, transaction)
            again = arrival.duplicates.bit_count()
            counters.duplicate += again
            if again * HEADER.size < len(fragment.headers):
                stored = transaction.append(fragment, now, arrival.duplicates)
                written.append((stored, arrival, fragment))
        return written

    def _index(self, written: list[tuple[Stored, Arrival, Fragment]]) -> None:
        for stored, arrival, fragment in written:
            self._assembler.add(stored, arrival, fragment.headers)
            self._holding.note(stored, fragment.payload)
            self._shares.note(stored, fragment)
