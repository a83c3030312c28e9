"""The front: takes requests, acknowledges what the journal has made durable, closes and seals tasks.

It owns the journal and the index. Everything that touches either runs in the journal's commit thread: requests,
timers, completed batches and questions alike, so that no lock is needed and every answer is one snapshot.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from collector_processor.app.journalling.holding import Held, Holding
from collector_processor.app.journalling.room import Room
from collector_processor.app.journalling.sealing import SECOND, Sealing, Waiting
from collector_processor.app.journalling.shares import Shares
from collector_processor.app.journalling.shedding import Shedding
from collector_processor.app.journalling.sources import Sources
from collector_processor.app.journalling.subject import Subject
from collector_processor.app.journalling.withdrawal import Withdrawal, Withdrawn
from collector_processor.app.policies import Policies, document_of, possible
from collector_processor.assemble import records, request, wire
from collector_processor.assemble.assembler import Arrival, Assembler, Summary
from collector_processor.assemble.closing import Limits as ClosingLimits
from collector_processor.config import Settings
from collector_processor.errors import JournalError, JournalFullError, OverloadedError
from collector_processor.journal import analyses, seals
from collector_processor.journal.analyses import Analysed, Limits
from collector_processor.journal.commit import GroupCommit
from collector_processor.journal.completion import complete
from collector_processor.journal.environment import Environment, readable
from collector_processor.journal.format import Counters, UndecodableSpan
from collector_processor.journal.letters import Graveyard
from collector_processor.journal.reader import JournalReader
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import (
    HEADER,
    Applied,
    Departure,
    Fragment,
    Member,
    Receipt,
    Signal,
    Split,
    Stored,
)
from collector_processor.telemetry import get_logger

log = get_logger(__name__)
T = TypeVar("T")

MAX_GRACE: Final = 60 * SECOND
"""Late spans put a task's closing off by at most this."""
TICK_SECONDS: Final = 0.1
FAILED_SECONDS: Final = 5.0
ROTATE_EVERY: Final = 10 * SECOND
"""So long after its last value has gone, a key is destroyed at the latest."""
LARGE_BODY: Final = 1 << 20
"""A body above this is split in a thread, so that the event loop goes on answering others."""
_SPLITS: Final[dict[Signal, Callable[[bytes], Split]]] = {Signal.TRACES: wire.split, Signal.LOGS: records.split}


class Snapshot(NamedTuple):
    """The journal's state at one commit. Times in ns."""

    counters: Counters
    summary: Summary
    used_bytes: int
    dead_bytes: int
    oldest_analysis: int | None


class Front:
    """One per journal.

    Args:
        settings: the configuration.
        on_sealed: called in the event loop with batches that wait for a worker, also with those found at start.
        clock: ns since the epoch.
        on_departed: called in the event loop with foreign spans that leave the journal beside a trace's tasks; without
            it nobody reads them.

    Attributes:
        graveyard: room for dead letters.

    Raises:
        JournalError: the journal can't be opened (see Environment).
    """

    def __init__(
        self,
        settings: Settings,
        on_sealed: Callable[[Sequence[Waiting]], None],
        clock: Callable[[], int] = time.time_ns,
        on_departed: Callable[[Sequence[Departure]], None] | None = None,
    ) -> None:
        self._settings = settings
        self._on_sealed = on_sealed
        self._clock = clock
        self.folder: Path = settings.data_dir / "journal"
        self._environment = Environment(self.folder, settings.journal_max_bytes)
        self._shares = Shares(settings.journal_max_bytes, settings.service_share, settings.max_open_spans)
        self._commit = GroupCommit(self._environment, self._shares.gone)
        self.reader = JournalReader(self.folder, self._environment.lmdb)
        self._links_kept = int(settings.max_task_age * SECOND)
        self._assembler = Assembler(
            ClosingLimits(
                grace=int(settings.grace * SECOND),
                max_grace=MAX_GRACE,
                max_task_age=int(settings.max_task_age * SECOND),
                foreign_timeout=int(settings.foreign_timeout * SECOND),
                max_task_spans=settings.max_task_spans,
                max_task_bytes=settings.max_task_bytes,
                flush_records=settings.flush_records,
                flush_interval=int(settings.flush_interval * SECOND),
            ),
            clock(),
        )
        self._policies = Policies(possible(document_of(settings).config, judging=settings.judge_url is not None))
        self._room_for_analyses = int(settings.journal_max_bytes * settings.analysis_share)
        self._sources = Sources(settings)
        self._holding = Holding(int(settings.journal_max_bytes * settings.privacy_halt_share), self._sources.of)
        self.graveyard = Graveyard(int(settings.journal_max_bytes * settings.dead_letter_share), request.extract)
        self._sealing = Sealing(
            self.run,
            clock,
            self._assembler,
            self._holding,
            self._shares,
            on_sealed=on_sealed,
            on_departed=on_departed,
            links_kept=self._links_kept,
        )
        self._room = Room(settings, self._assembler, self._shares)
        self._shedding = Shedding(
            self.run,
            clock,
            self._holding,
            self._room,
            deciding=self._sealing.deciding,
            links_kept=self._links_kept,
        )
        self._staged: dict[bytes, set[bytes]] = {}
        self._staged_in: Transaction | None = None
        self._rotated_at = 0
        self._timer: asyncio.Task[None] | None = None

    # -- Life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Look at the timers ten times a second, from when the index is recovered and halted sources are known."""
        self._timer = asyncio.create_task(self._tick_forever(), name="front-timer")

    async def recover(self) -> None:
        """Rebuild the index from the journal's keys and announce what was sealed before. Raises JournalError."""
        self._commit.start()
        with readable(self.folder):
            waiting = await self.run(self._rebuild)
        self._on_sealed(waiting)

    async def stop(self) -> None:
        """End the timers, finish queued commits, close the journal. Open tasks stay in it."""
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
        await asyncio.to_thread(self._commit.stop)
        self._commit.end_epochs()
        self._environment.close()

    def _rebuild(self, transaction: Transaction) -> list[Waiting]:
        sealed: dict[int, int] = {}
        waiting: list[Waiting] = []
        for batch in transaction.sealed_batches():
            waiting.append(Waiting(batch.id, batch.sealed_at, len(batch.tasks), batch.spans))
            for task in batch.tasks:
                _mark(sealed, task.members)
        for _, analysis in analyses.pending(transaction.view):
            _mark(sealed, analysis.members)
        for stored, taken in transaction.fragments():
            self._shares.found(stored)
            self._assembler.restore(stored, taken | sealed.get(stored.sequence, 0))
        return waiting

    async def run(self, operation: Callable[[Transaction], T], committed: Callable[[T], None] | None = None) -> T:
        """Run an operation in the commit thread, and `committed` there once it is durable. Raises JournalError."""
        return await asyncio.wrap_future(self._commit.submit(operation, committed))

    @property
    def now(self) -> int:
        """The time by which things are done here, in ns."""
        return self._clock()

    # -- Requests --------------------------------------------------------------------------------------------

    async def accept(self, body: bytes, signal: Signal) -> Receipt:
        """Check, journal and acknowledge one request (see Intake)."""
        split_by_trace = _SPLITS[signal]
        split = await asyncio.to_thread(split_by_trace, body) if len(body) > LARGE_BODY else split_by_trace(body)
        if split.spans:
            try:
                await self.run(lambda transaction: self._append(transaction, split), self._index)
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

    # -- Timers ----------------------------------------------------------------------------------------------

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self.tick()
            except Exception:
                log.exception("front: closed tasks could not be sealed; tried again after a pause")
                await asyncio.sleep(FAILED_SECONDS)

    async def tick(self) -> int:
        """Close and seal what is due now, shed what has no room. Returns the number of tasks sealed."""
        sealed = await self._sealing.due()
        await self._shedding.due()
        await self._rotate_keys()
        return sealed

    async def flush(self) -> int:
        """Close and seal every task whose span has come. Returns the number of tasks sealed."""
        return await self._sealing.all()

    async def _rotate_keys(self) -> None:
        now = self._clock()

        def rotate(transaction: Transaction) -> bool:
            self._environment.forget_dead_readers()
            return transaction.rotate_keys(now)

        if abs(now - self._rotated_at) > ROTATE_EVERY and await self.run(
            rotate, lambda _: self._commit.destroy_unused_keys()
        ):
            self._rotated_at = now

    # -- Halted sources --------------------------------------------------------------------------------------

    async def halt(self, sources: frozenset[str]) -> None:
        """Hold back the tasks of these sources and of no others. Raises JournalError, ConfigError."""

        def changed(released: set[bytes]) -> None:
            for trace_id in released:
                self._assembler.put_off(trace_id, self._clock())

        if sources:
            await asyncio.to_thread(self._sources.prepare)
        if sources != self._holding.sources:
            await self.run(lambda _: self._holding.halt(sources), changed)

    @property
    def halted(self) -> frozenset[str]:
        """Sources that are halted."""
        return self._holding.sources

    @property
    def held(self) -> dict[str, Held]:
        """What is held of halted sources."""
        return self._holding.state()

    # -- Erasure ---------------------------------------------------------------------------------------------

    async def withdraw(self, subject: Subject, *, dry: bool) -> Withdrawn:
        """Erase what the journal holds of somebody, and the keys that it was encrypted with. Raises JournalError."""
        now = self._clock()
        async with self._sealing.deciding:
            withdrawn = await Withdrawal(self.run, self._assembler, subject, dry=dry).carry_out(
                now, now + self._links_kept
            )
        if not dry:
            await self.run(self._holding.forget_gone)
            await self.renew_keys()
        return withdrawn

    async def renew_keys(self) -> None:
        """Make everything that has left the journal unreadable now. Raises JournalError."""
        await self.run(lambda transaction: transaction.end_epochs())
        while not await self.run(
            lambda transaction: transaction.rotate_keys(self._clock(), thoroughly=True),
            lambda _: self._commit.destroy_unused_keys(),
        ):
            continue

    # -- Completion and questions ----------------------------------------------------------------------------

    async def complete(self, batch_id: UUID, applied: Applied) -> None:
        """The database has the batch: act on its ledger row. Raises DeadLettersFullError, and other JournalErrors."""
        await self.run(lambda transaction: self._complete(transaction, batch_id, applied))

    def _complete(self, transaction: Transaction, batch_id: UUID, applied: Applied) -> None:
        now = self._clock()
        limits = self.limits(transaction, now)
        if complete(transaction, batch_id, applied, self.graveyard, now, limits=limits) is not None:
            self.learn(transaction, applied)

    def limits(self, transaction: Transaction, now: int) -> Limits:
        """What analyses may take of the journal, and of the hour's cap."""
        return Limits(self._room_for_analyses, lambda facet: self._policies.admit(transaction, facet, now))

    def learn(self, transaction: Transaction, applied: Applied) -> None:
        """Tell the policies what of a stored batch was kept."""
        self._policies.learn(transaction, (applied.sampling,), self._clock())

    async def halve(self, batch_id: UUID) -> list[Waiting]:
        """Seal a batch's tasks anew in two halves; none where it has a single one, or is gone. Raises JournalError."""
        halves = await self.run(lambda transaction: seals.halve(transaction, batch_id))
        return [Waiting(half.id, half.sealed_at, len(half.tasks), half.spans) for half in halves]

    async def bury(self, batch_id: UUID, error: str) -> None:
        """Make a batch's tasks dead letters. Raises DeadLettersFullError, and other JournalErrors."""
        await self.run(lambda transaction: seals.bury(transaction, batch_id, error, self.graveyard, self._clock()))

    async def analysed(self, ended: Sequence[Analysed]) -> None:
        """What analyses gave is stored, or their records are gone. Raises JournalError."""

        def end(transaction: Transaction) -> None:
            spent = [each.spent for each in ended if analyses.done(transaction, each)]
            self._policies.learn(transaction, spent, self._clock())

        await self.run(end)

    async def snapshot(self) -> Snapshot:
        """Counters and index at one moment."""
        return await self.run(
            lambda transaction: Snapshot(
                msgspec.structs.replace(transaction.counters),
                self._assembler.summary(),
                transaction.used_bytes(),
                transaction.used_bytes("dead"),
                next((analysis.since for _, analysis in analyses.pending(transaction.view)), None),
            )
        )

    async def undecodable(self, limit: int) -> Sequence[UndecodableSpan]:
        """The oldest spans whose attributes could not be read, raw."""
        return await self.run(lambda transaction: transaction.undecodable(limit))

    @property
    def identity(self) -> str:
        """Tells this journal from others."""
        return self._environment.identity

    @property
    def counters(self) -> Counters:
        """As last committed."""
        return self._commit.counters

    @property
    def problem(self) -> str | None:
        """Why the journal takes nothing; None while all is well."""
        return self._commit.problem

    @property
    def unreadable(self) -> Mapping[str, int]:
        """Values of the journal that nobody can read, by what is wrong with their key."""
        return self._commit.unreadable

    @property
    def crowded(self) -> int:
        """How many services hold nearly all of their share of the journal."""
        return self._shares.crowded(self._commit.used_bytes)

    @property
    def used_bytes(self) -> int:
        """Live bytes of the journal after the last commit."""
        return self._commit.used_bytes


def _mark(taken: dict[int, int], members: Sequence[Member]) -> None:
    for member in members:
        taken[member.sequence] = taken.get(member.sequence, 0) | member.mask
