"""How many requests may still be made this hour: what is granted is booked at once, what wasn't used comes back.

Minutes are counted, so that an hour is the current minute and the 60 before it: never less than any hour, and 61
numbers whatever there is to remember.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

MINUTE: Final = 60 * 10**9
_HOUR: Final = 60


class Budget:
    """Requests within any 60 minutes; times are ns since the epoch.

    Args:
        calls: the most there may be.
        booked: minute since the epoch → requests, as `booked` was before.
    """

    def __init__(self, calls: int, booked: Mapping[int, int] | None = None) -> None:
        self._calls = calls
        self._booked = Counter(booked)

    @property
    def booked(self) -> dict[int, int]:
        """Minute since the epoch → requests."""
        return dict(self._booked)

    def left(self, now: int) -> int:
        """How many requests are free now."""
        minute = now // MINUTE
        booked: Counter[int] = Counter()
        for each, calls in self._booked.items():
            if each >= minute - _HOUR:
                booked[min(each, minute)] += calls  # a clock that was set back forgets nothing, nor waits for itself
        self._booked = booked
        return self._calls - booked.total()

    def grant(self, most: int, now: int) -> int:
        """Book up to `most` requests and return how many."""
        granted = max(0, min(most, self.left(now)))
        if granted:
            self._booked[now // MINUTE] += granted
        return granted

    def give_back(self, calls: int, granted_at: int) -> None:
        """Free requests that were granted and not made."""
        minute = granted_at // MINUTE
        self._booked[minute] = max(0, self._booked[minute] - calls)
