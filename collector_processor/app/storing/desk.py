"""Where the workers' batches come from and go to: the journal, the forwarder, and the database behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from collector_processor.app.database import DatabaseKeeper
from collector_processor.app.forwarding.process import Forwarding
from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.sealing import Waiting
from collector_processor.model.stages import Applied


class Desk(Protocol):
    """Where batches come from and go to."""

    async def complete(self, batch_id: UUID, applied: Applied) -> None:
        """The database has a batch. Raises DeadLettersFullError: it stays sealed."""

    async def halve(self, batch_id: UUID) -> Sequence[Waiting]:
        """Seal a batch's tasks anew in two halves."""

    async def bury(self, batch_id: UUID, error: str) -> None:
        """Make a batch's tasks dead letters. Raises DeadLettersFullError: it stays sealed."""

    async def recover(self) -> None:
        """Before the database is tried again: bring it back, where that is ours to do."""

    def begun(self, batch: Waiting) -> None:
        """A worker takes a batch up."""

    def spilled(self, batch_id: UUID) -> None:
        """A batch has gone to the fallback."""


class BatchDesk:
    """Joins them for the pool (see Desk)."""

    def __init__(self, front: Front, database: DatabaseKeeper, forwarding: Forwarding | None) -> None:
        self._front = front
        self._database = database
        self._forwarding = forwarding

    def begun(self, batch: Waiting) -> None:
        """Let the forwarder read it too."""
        if self._forwarding is not None:
            self._forwarding.begun(batch)

    async def complete(self, batch_id: UUID, applied: Applied) -> None:
        """Let it leave the journal, when the forwarder has it."""
        if self._forwarding is not None:
            await self._forwarding.taken(batch_id)
        await self._front.complete(batch_id, applied)
        if self._forwarding is not None:
            self._forwarding.stored(batch_id)

    async def halve(self, batch_id: UUID) -> Sequence[Waiting]:
        """Seal its tasks anew in two halves; none where it has a single one, or is gone."""
        halves = await self._front.halve(batch_id)
        if halves and self._forwarding is not None:
            self._forwarding.stored(batch_id)
        return halves

    async def bury(self, batch_id: UUID, error: str) -> None:
        """Let it leave the journal's queue for the dead letters."""
        await self._front.bury(batch_id, error)
        if self._forwarding is not None:
            self._forwarding.stored(batch_id)

    def spilled(self, batch_id: UUID) -> None:
        """Let the forwarder go on; of spans whose record isn't there it can't know whether they may leave."""
        if self._forwarding is not None:
            self._forwarding.stored(batch_id)

    async def recover(self) -> None:
        """Bring the embedded database back."""
        await self._database.recover()
