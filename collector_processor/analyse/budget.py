"""How many requests may still be made this hour: what is granted is booked at once, what wasn't used comes back."""

from __future__ import annotations

from collections import deque
from typing import Final

HOUR: Final = 3600.0


class Budget:
    """Requests within any 60 minutes; times are seconds of one clock.

    Args:
        calls: the most there may be.
    """

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._booked: deque[tuple[float, int]] = deque()

    def left(self, now: float) -> int:
        """How many requests are free now."""
        while self._booked and self._booked[0][0] <= now - HOUR:
            self._booked.popleft()
        return self._calls - sum(calls for _, calls in self._booked)

    def grant(self, most: int, now: float) -> int:
        """Book up to `most` requests and return how many."""
        granted = min(most, self.left(now))
        if granted > 0:
            self._booked.append((now, granted))
        return max(0, granted)

    def give_back(self, calls: int, granted_at: float) -> None:
        """Free requests that were granted and not made."""
        for place, (at, booked) in enumerate(self._booked):
            if at == granted_at and booked >= calls:
                self._booked[place] = (at, booked - calls)
                return
