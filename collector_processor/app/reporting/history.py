"""How fast something grows, over the time that is remembered."""

from __future__ import annotations

from collections import deque
from typing import Final

REMEMBERED: Final = 720
"""Values: an hour's, where one is noted every five seconds."""


class History:
    """A value over time. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._noted: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)

    def note(self, now: float, value: int) -> None:
        """It was so much then."""
        self._noted.append((now, value))

    def rate(self, shortest: float) -> float | None:
        """Its growth a second; None where less than so many seconds are remembered."""
        if not self._noted:
            return None
        (then, before), (now, value) = self._noted[0], self._noted[-1]
        return (value - before) / (now - then) if now - then >= shortest else None
