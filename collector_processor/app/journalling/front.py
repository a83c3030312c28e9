"""The front: takes requests, acknowledges what the journal has made durable, closes and seals tasks.

It owns the journal and the index, and wires what is done with them. Everything that touches either runs in the
journal's commit thread: requests, timers, completed batches and questions alike, so that no lock is needed and every
answer is one snapshot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from collector_processor.app.journalling.accepting import Accepting
from collector_processor.app.journalling.completing import Completing
from collector_processor.app.journalling.holding import Held, Holding
from collector_processor.app.journalling.recovery import rebuild
from collector_processor.app.journalling.room import Room
from collector_processor.app.journalling.sealing import SECOND, Sealing, Waiting
from collector_processor.app.journalling.shares import Shares
from collector_processor.app.journalling.shedding import Shedding
from collector_processor.app.journalling.sources import Sources
from collector_processor.app.journalling.subject import Subject
from collector_processor.app.journalling.withdrawal import Withdrawal, Withdrawn
from collector_processor.assemble.assembler import Assembler, Summary
from collector_processor.assemble.closing import Limits as ClosingLimits
from collector_processor.config import Settings
from collector_processor.journal import analyses
from collector_processor.journal.commit import GroupCommit
from collector_processor.journal.environment import Environment, readable
from collector_processor.journal.format import Counters, UndecodableSpan
from collector_processor.journal.reader import JournalReader
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Departure
from collector_processor.telemetry import get_logger

log = get_logger(__name__)
T = TypeVar("T")

MAX_GRACE: Final = 60 * SECOND
"""Late spans put a task's closing off by at most this."""
TICK_SECONDS: Final = 0.1
FAILED_SECONDS: Final = 5.0
ROTATE_EVERY: Final = 10 * SECOND
"""So long after its last value has gone, a key is destroyed at the latest."""


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
        accept: takes a request in (see `Accepting`).
        complete, halve, bury, analysed, limits, learn, graveyard: the end of sealed batches (see `Completing`).
        reader: reads batches and analyses.

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
        closed_timeout = int(settings.closed_timeout * SECOND)
        self._environment = Environment(self.folder, settings.journal_max_bytes, closed_timeout)
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
        self._sources = Sources(settings)
        self._holding = Holding(int(settings.journal_max_bytes * settings.privacy_halt_share), self._sources.of)
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
        accepting = Accepting(self.run, clock, self._assembler, self._holding, room=self._room, shares=self._shares)
        self.accept = accepting.accept
        completing = Completing(self.run, clock, settings)
        self.complete, self.halve, self.bury = completing.complete, completing.halve, completing.bury
        self.analysed, self.limits, self.learn = completing.analysed, completing.limits, completing.learn
        self.graveyard = completing.graveyard
        self._shedding = Shedding(
            self.run,
            clock,
            self._holding,
            self._room,
            deciding=self._sealing.deciding,
            links_kept=self._links_kept,
        )
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
            waiting = await self.run(lambda transaction: rebuild(transaction, self._assembler, self._shares))
        self._on_sealed(waiting)

    async def stop(self) -> None:
        """End the timers, finish queued commits, close the journal. Open tasks stay in it."""
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
        await asyncio.to_thread(self._commit.stop)
        self._commit.end_epochs()
        self._environment.close()

    async def run(self, operation: Callable[[Transaction], T], committed: Callable[[T], None] | None = None) -> T:
        """Run an operation in the commit thread, and `committed` there once it is durable. Raises JournalError."""
        return await asyncio.wrap_future(self._commit.submit(operation, committed))

    @property
    def now(self) -> int:
        """The time by which things are done here, in ns."""
        return self._clock()

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

    # -- Questions -------------------------------------------------------------------------------------------

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
