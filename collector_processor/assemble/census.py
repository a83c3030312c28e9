"""How many traces are open, how many of them have a task, since when the oldest waits: kept as they change.

The question is asked every few seconds, in the thread that journals; a walk through a million traces would stop it.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from collector_processor.assemble.index import Trace

SECOND: Final = 10**9
"""Arrivals are told apart by it."""


class Census:
    """Counts over the traces of one index."""

    def __init__(self) -> None:
        self.with_task = 0
        self._arrivals: Counter[int] = Counter()

    def enter(self, trace: Trace) -> None:
        """A trace's fragments are those of now."""
        if trace.entries:
            self.with_task += trace.tasks > 0
            self._arrivals[trace.entries[0].arrived // SECOND] += 1

    def leave(self, trace: Trace) -> None:
        """A trace's fragments are about to change, or it goes."""
        if trace.entries:
            self.with_task -= trace.tasks > 0
            second = trace.entries[0].arrived // SECOND
            self._arrivals[second] -= 1
            if not self._arrivals[second]:
                del self._arrivals[second]

    @property
    def oldest_arrival(self) -> int | None:
        """When the oldest fragment came, in ns, to the second below."""
        return min(self._arrivals) * SECOND if self._arrivals else None
