"""Seal closed tasks into batches for the workers, by timers and on demand.

What leaves the journal beside them, expires or is put off is decided in the same commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from collector_processor.app.journalling.holding import Holding
from collector_processor.app.journalling.running import Run
from collector_processor.app.journalling.shares import Shares
from collector_processor.app.policies import state_of
from collector_processor.assemble.assembler import Assembler
from collector_processor.errors import DamagedEntryError
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Closing, Departure, FragmentFlag, SealedBatch

SECOND: Final = 10**9
MAX_BATCH_TASKS: Final = 500
MAX_BATCH_SPANS: Final = 50_000
MAX_BATCH_BYTES: Final = 64 << 20
"""A batch is what a worker holds in memory at once, 15 to 30 kB a usual task; a single task may be larger."""
MAX_DEPARTING_BYTES: Final = 8 << 20
"""Foreign spans that one commit reads before it drops them: the journal's own work comes first."""
FLUSHED_AT_ONCE: Final = MAX_BATCH_TASKS
"""Traces that one commit of a flush closes: requests wait meanwhile, and plans of them all would fill the memory."""
EXPIRE_EVERY: Final = 10 * SECOND
HOLD: Final = 60 * SECOND
"""Tasks of a halted source are looked at again after this, or when it is resumed."""


class Waiting(NamedTuple):
    """A sealed batch that waits for a worker."""

    id: UUID
    sealed_at: int
    tasks: int
    spans: int


class Sealing:
    """One per journal.

    Args:
        run: into the commit thread, where everything here is decided.
        clock: ns since the epoch.
        on_sealed: called in the event loop with batches that wait for a worker.
        on_departed: called in the event loop with foreign spans that leave the journal beside a trace's tasks; without
            it nobody reads them.
        links_kept: how long closed tasks are remembered, in ns.

    Attributes:
        deciding: held while something is decided: two decisions in one commit would be about the same spans, because
            the index follows only after it.
    """

    def __init__(
        self,
        run: Run,
        clock: Callable[[], int],
        assembler: Assembler,
        holding: Holding,
        shares: Shares,
        *,
        on_sealed: Callable[[Sequence[Waiting]], None],
        on_departed: Callable[[Sequence[Departure]], None] | None,
        links_kept: int,
    ) -> None:
        self._run = run
        self._clock = clock
        self._assembler = assembler
        self._holding = holding
        self._shares = shares
        self._on_sealed = on_sealed
        self._on_departed = on_departed
        self._links_kept = links_kept
        self._expired_at = 0
        self._forgotten: Sequence[tuple[bytes, Sequence[bytes]]] = ()
        self.deciding = asyncio.Lock()

    async def due(self) -> int:
        """Close and seal what is due now. Returns the number of tasks sealed."""
        return await self._seal(self._due)

    async def all(self) -> int:
        """Close and seal every task whose span has come. Returns the number of tasks sealed."""
        traces = await self._run(lambda _: self._assembler.traces())
        sealed = 0
        for start in range(0, len(traces), FLUSHED_AT_ONCE):
            some = traces[start : start + FLUSHED_AT_ONCE]
            sealed += await self._seal(partial(self._flushed, some))
        return sealed

    def _flushed(self, traces: Sequence[bytes], transaction: Transaction) -> list[Closing]:
        return self._assembler.flush(self._clock(), transaction, traces)

    def _due(self, transaction: Transaction) -> list[Closing]:
        now = self._clock()
        self._shares.recount(transaction)
        self._assembler.look(now, transaction)
        if abs(now - self._expired_at) > EXPIRE_EVERY:
            expired = transaction.expire(now, self._assembler.needed(transaction))
            self._forgotten = expired.forgotten
            if expired.all_of_it:
                self._expired_at = now
        return self._assembler.take(now, transaction)

    async def _seal(self, decide: Callable[[Transaction], list[Closing]]) -> int:
        now = self._clock()
        departing: list[Departure] = []

        held: set[bytes] = set()

        def seal(transaction: Transaction) -> tuple[list[Closing], list[Waiting]]:
            closings, halted = self._holding.part(transaction, decide(transaction))
            held.update(halted)
            waiting = []
            if self._on_departed is not None:
                departing[:] = _departing(transaction, closings)
            for share in _batches(closings):
                tasks = tuple(closing.sealed for closing in share if closing.sealed is not None)
                batch = SealedBatch(uuid.uuid4(), now, tasks, state_of(transaction))
                transaction.seal(batch, share, now, self._links_kept)
                if tasks:
                    waiting.append(Waiting(batch.id, now, len(tasks), batch.spans))
            return closings, waiting

        def carried_out(done: tuple[list[Closing], list[Waiting]]) -> None:
            self._assembler.carried_out(done[0], now)
            for trace_id in held:
                self._assembler.put_off(trace_id, now + HOLD)
            for trace_id, span_ids in self._forgotten:
                self._assembler.forget(trace_id, span_ids)
            self._forgotten = ()

        async with self.deciding:
            _, waiting = await self._run(seal, carried_out)
        if waiting:
            self._on_sealed(waiting)
        if departing and self._on_departed is not None:
            self._on_departed(departing)
        return sum(batch.tasks for batch in waiting)


def _departing(transaction: Transaction, closings: Sequence[Closing]) -> Iterator[Departure]:
    """Foreign spans that are dropped from traces which have tasks; what a limit shed is none of them."""
    tasks = {closing.trace_id for closing in closings if closing.sealed is not None}
    room = MAX_DEPARTING_BYTES
    for closing in closings:
        if not closing.dropped or closing.truncated:
            continue
        if closing.trace_id not in tasks and not transaction.known(closing.trace_id).closed:
            continue
        for member in closing.dropped:
            if transaction.flags(member.sequence) & FragmentFlag.LOGS:
                continue
            payload = b""
            if room > 0:
                with contextlib.suppress(DamagedEntryError):
                    payload = transaction.payload(member.sequence)
                    room -= len(payload)
            yield Departure(closing.trace_id, payload, member.positions)


def _batches(closings: Sequence[Closing]) -> Iterator[list[Closing]]:
    """Cut closings into batches that a worker can hold; a task is never cut."""
    share: list[Closing] = []
    tasks = spans = size = 0
    for closing in closings:
        if share and size + closing.size > MAX_BATCH_BYTES:
            yield share
            share, tasks, spans, size = [], 0, 0, 0
        share.append(closing)
        size += closing.size
        if closing.sealed is not None:
            tasks += 1
            spans += closing.sealed.spans
        if tasks >= MAX_BATCH_TASKS or spans >= MAX_BATCH_SPANS:
            yield share
            share, tasks, spans, size = [], 0, 0, 0
    if share:
        yield share
