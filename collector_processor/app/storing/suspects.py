"""Batches that may be the death of their worker: tried again, then halved, until the one guilty task is found.

A worker dies of other things too, so a batch gets several tries before it is touched, and so does a single task before
it is buried. Halves need no such patience: halving loses nothing. A task that the database is too slow for is blamed
only where it has stored others meanwhile.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final
from uuid import UUID

TRIES: Final = 3


class Sentence(Enum):
    """What is done with a batch after a failure that may be its own fault."""

    AGAIN = auto()
    HALVE = auto()
    BURY = auto()


class Suspects:
    """Knows batches that failed, until they are stored or gone. A restart begins anew."""

    def __init__(self) -> None:
        self._failures: dict[UUID, int] = {}
        self._halves: set[UUID] = set()
        self._stored = 0
        self._stored_before: dict[UUID, int] = {}

    @property
    def blamed(self) -> int:
        """How often all those together have failed that are neither stored nor gone."""
        return sum(self._failures.values())

    def failures(self, batch_id: UUID) -> int:
        """How often it has failed."""
        return self._failures.get(batch_id, 0)

    def blame(self, batch_id: UUID, tasks: int) -> Sentence:
        """Count a failure of a batch of so many tasks."""
        failures = self._failures[batch_id] = self.failures(batch_id) + 1
        if tasks > 1:
            return Sentence.HALVE if failures >= TRIES or batch_id in self._halves else Sentence.AGAIN
        return Sentence.BURY if failures >= TRIES else Sentence.AGAIN

    def is_slow_alone(self, batch_id: UUID) -> bool:
        """Note that the database took too long over a batch; whether it has stored others since it last did."""
        before = self._stored_before.get(batch_id, self._stored)
        self._stored_before[batch_id] = self._stored
        return self._stored > before

    def halved(self, batch_id: UUID, *halves: UUID) -> None:
        """A batch has been replaced by its halves."""
        self.forget(batch_id)
        self._halves.update(halves)

    def stored(self) -> None:
        """The database has taken a batch."""
        self._stored += 1

    def forget(self, batch_id: UUID) -> None:
        """A batch is stored, or gone."""
        self._failures.pop(batch_id, None)
        self._stored_before.pop(batch_id, None)
        self._halves.discard(batch_id)
