"""Shed foreign spans of open traces while there is too little room, a commit at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from collector_processor.app.journalling.holding import Holding
from collector_processor.app.journalling.room import Room
from collector_processor.app.journalling.running import Run
from collector_processor.app.journalling.sealing import SECOND
from collector_processor.assemble.request import emptied
from collector_processor.journal.shedding import Left, shed
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Closing
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

LOOK_EVERY: Final = SECOND
"""While nobody is refused, or where nothing could be shed although somebody was."""
TELL_EVERY: Final = 60 * SECOND


class Shedding:
    """One per journal.

    Args:
        run: into the commit thread, where everything here is decided.
        clock: ns since the epoch.
        deciding: held while something is decided (see Sealing).
        links_kept: how long it is remembered where a span stood that was shed, in ns.
    """

    def __init__(
        self,
        run: Run,
        clock: Callable[[], int],
        holding: Holding,
        room: Room,
        *,
        deciding: asyncio.Lock,
        links_kept: int,
    ) -> None:
        self._run = run
        self._clock = clock
        self._holding = holding
        self._room = room
        self._deciding = deciding
        self._links_kept = links_kept
        self._at_it = self._in_vain = False
        self._looked_at = 0
        self._told_at = 0
        self._untold = 0

    async def due(self) -> int:
        """Shed what has to be shed now, as far as one commit may. Returns the number of spans. Raises JournalError."""
        now, pressed = self._clock(), self._room.pressed
        urgent = self._at_it or (pressed and not self._in_vain)
        if not urgent and abs(now - self._looked_at) < LOOK_EVERY:
            return 0
        self._looked_at = now

        def make_room(transaction: Transaction) -> tuple[list[Closing], dict[int, Left]]:
            closings = self._room.make(transaction)
            return closings, shed(transaction, closings, now + self._links_kept, emptied, now)

        def made(done: tuple[list[Closing], dict[int, Left]]) -> None:
            closings, left = done
            self._room.made(closings, left, now)
            self._holding.left(member.sequence for closing in closings for member in closing.dropped)

        async with self._deciding:
            closings, _ = await self._run(make_room, made)
        spans = sum(len(member.positions) for closing in closings for member in closing.dropped)
        self._at_it, self._in_vain = spans > 0, pressed and not spans
        self._untold += spans
        if self._untold and abs(now - self._told_at) >= TELL_EVERY:
            log.warning("journal: too little room, foreign spans of open traces are shed", spans=self._untold)
            self._told_at, self._untold = now, 0
        return spans
