"""Which batch waits, which a slot of the worker pool holds, and what a slot is to do next.

A batch stays with its slot until it is done: what may still run in the database for it ends before its slot's next try.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

import msgspec

from collector_processor.app.journalling.sealing import Waiting
from collector_processor.app.outage import Outage
from collector_processor.app.protocol import Apply, JoinOrphans, Request, Spill
from collector_processor.app.storing.fallback import Fallback
from collector_processor.app.storing.suspects import Sentence, Suspects
from collector_processor.errors import DeadLettersFullError
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

JOIN_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 1.0
"""How often who has nothing to do looks whether the journal fills, or something can come back."""


class BatchQueue:
    """Sealed batches, oldest first, and what comes back from the fallback between them.

    Args:
        fallback: where batches wait for a database that is down.
        outage: told how the store is.
        begun: told of a batch that a slot takes up.

    Attributes:
        waiting: batches that no slot holds.
        held: by slot, the batch that it is at.
        imports: by slot, the batch of the fallback that it is at.
        aside: batches whose refused tasks have no room among the dead letters.
        tries: how often the store has failed with a batch, or with a slot that had none.
        suspects: batches that may be the death of their worker.
        sentences: what is to become of a batch that the database hasn't got, and for what error.
        try_at: while batches go to the fallback, when the database is tried again; a monotonic clock.
        problem: why batches are not being stored right now, if it isn't the store; None while all is well.
    """

    def __init__(self, fallback: Fallback, outage: Outage, begun: Callable[[Waiting], None]) -> None:
        self._fallback = fallback
        self._outage = outage
        self._begun = begun
        self._imported_last = False
        self._is_open = False
        self._news = asyncio.Condition()
        self._joined_at = time.monotonic()
        self.waiting: deque[Waiting] = deque()
        self.held: dict[str, Waiting] = {}
        self.imports: dict[str, UUID] = {}
        self.aside: list[Waiting] = []
        self.tries: Counter[UUID | str] = Counter()
        self.suspects = Suspects()
        self.sentences: dict[UUID, tuple[Sentence, str]] = {}
        self.try_at = 0.0
        self.problem: str | None = None

    # -- What waits ------------------------------------------------------------------------------------------

    def add(self, batches: Iterable[Waiting]) -> None:
        """Queue sealed batches; called in the event loop."""
        self.waiting.extend(batches)
        self._wake()

    def open(self) -> None:
        """The database may be used from now on."""
        self._is_open = True
        self._wake()

    def hurry(self) -> None:
        """Try now what waits for a pause, or for room among the dead letters."""
        self.try_at = 0.0
        self.waiting.extendleft(reversed(self.aside))
        self.aside.clear()
        self._wake()

    def _wake(self) -> None:
        self._notifying = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def news(self) -> None:
        """Wait until something has changed, or a moment."""
        async with self._news:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK_SECONDS)

    @property
    def backlog(self) -> list[Waiting]:
        """Batches not stored yet, oldest first."""
        return [*self.aside, *self.held.values(), *self.waiting]

    async def drained(self) -> None:
        """Wait until every sealed batch is stored that can be."""
        async with self._news:
            await self._news.wait_for(lambda: not self.held and not self.waiting)

    # -- What is next ----------------------------------------------------------------------------------------

    async def next(self, slot: str) -> Request:
        """What a slot is to do, as soon as there is something."""
        while (request := self._choose(slot)) is None:
            await self.news()
        return request

    def _choose(self, slot: str) -> Request | None:
        """What a slot is to do now, if anything."""
        held = self.held.get(slot)
        spilling = self._fallback.wanted and (not self._is_open or time.monotonic() < self.try_at)
        if not (self._is_open or spilling):
            return None
        behind = bool(self.waiting) and (self._imported_last or self._outage.down)
        if held is None and not spilling and not behind:  # where nothing else waits, an import tries whether it is back
            request = self._fallback.next()
            if request is not None:
                self._imported_last = True
                self.imports[slot] = request.batch_id
                look = request.batch_id in self.sentences
                return msgspec.structs.replace(request, tries=self._failures(request.batch_id), look=look)
        self._imported_last = False
        if held is not None and spilling and held.id in self.sentences:
            # The database can't be asked for it now, and others mustn't wait for that.
            self.waiting.append(self.held.pop(slot))
            held = None
        if held is None and self.waiting:
            held = self.held[slot] = self.waiting.popleft()
            self._begun(held)
        if held is not None:
            look = held.id in self.sentences
            return Spill(held.id) if spilling and not look else Apply(held.id, self._failures(held.id), look)
        if not spilling and time.monotonic() - self._joined_at > JOIN_SECONDS:
            self._joined_at = time.monotonic()
            return JoinOrphans()
        return None

    def batch_of(self, slot: str) -> UUID | None:
        """The batch that a slot is at, if any."""
        held = self.held.get(slot)
        return held.id if held else self.imports.get(slot)

    def _failures(self, batch_id: UUID) -> int:
        return self.tries[batch_id] + self.suspects.failures(batch_id)

    # -- What is done ----------------------------------------------------------------------------------------

    async def done_with(self, slot: str) -> None:
        """A slot's batch is stored or gone."""
        held = self.held.pop(slot, None)
        if held is not None:
            self.acquit(held.id)
        self.problem = None
        await self._tell()

    def acquit(self, batch_id: UUID) -> None:
        """A batch is stored or gone, and blamed no more."""
        self.suspects.forget(batch_id)
        self.sentences.pop(batch_id, None)
        del self.tries[batch_id]

    def give_up_import(self, slot: str) -> None:
        """What a slot was importing, if anything, is tried again by whoever is free."""
        if self.imports.pop(slot, None) is not None:
            self._fallback.given_up()

    async def put_aside(self, slot: str, why: DeadLettersFullError) -> None:
        """A slot's batch has to wait for room among the dead letters."""
        log.warning("dead letters: a batch stays sealed", problem=str(why))
        self.aside.append(self.held[slot])
        await self.done_with(slot)
