"""What analyses gave, on its way into the database: gathered, so that one transaction and one commit end many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from collector_processor.model.samples import Sample, SampleStatus
from collector_processor.model.sampling import Spent, Tally

GATHER_SECONDS: Final = 0.5
"""The first waits for others for so long, while others are under way."""
MOST: Final = 50
MOST_BYTES: Final = 4 << 20
"""What waits at once, and is stored at once: the first of both decides. One more waits with whoever brings it."""


class Ended(NamedTuple):
    """An analysis that has come to its end: its number, its record and the samples that were made of it."""

    number: int
    point: UUID
    samples: Sequence[Sample] = ()

    @property
    def bytes(self) -> int:
        """Size of its samples."""
        return sum(len(sample.content) for sample in self.samples)

    @property
    def cost(self) -> Tally:
        """What the analyses took that were carried out."""
        spent = {
            sample.facet: Spent(1, len(sample.content), sample.calls)
            for sample in self.samples
            if sample.status is not SampleStatus.SHED
        }
        return Tally(spent=spent)


class Outbox:
    """Takes analyses one by one and gives them in batches.

    Args:
        under_way: how many analyses have begun and are not stored, those that wait here included.
    """

    def __init__(self, under_way: Callable[[], int]) -> None:
        self._under_way = under_way
        self._waiting: list[Ended] = []
        self._bytes = 0
        self._changed = asyncio.Condition()

    async def put(self, ended: Ended) -> None:
        """Give one; returns when there is room for it."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._full)
            self._waiting.append(ended)
            self._bytes += ended.bytes
            self._changed.notify_all()

    async def take(self) -> list[Ended]:
        """Wait for the first, then until there are enough, or no more are to come, or it waited long enough."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting)
            try:
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._changed.wait_for(lambda: self._full or len(self._waiting) >= self._under_way())
            except TimeoutError:
                pass
            taken, self._waiting, self._bytes = self._waiting, [], 0
            self._changed.notify_all()
            return taken

    @property
    def _full(self) -> bool:
        return len(self._waiting) >= MOST or self._bytes >= MOST_BYTES
