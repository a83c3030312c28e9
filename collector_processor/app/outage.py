"""Whether the store takes what it is given: tries in a row that failed, and how long to wait before the next one."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import Final

JITTER: Final = 0.25
"""So much of a pause, up or down: several workers don't come back at the same moment."""


class Outage:
    """Shared by all who write to the database.

    Args:
        attempts: so many tries of one batch are made before the store counts as down.
        first_pause: seconds between the first and the second; each next pause is twice as long, up to that before the
            last of these attempts, with which further tries go on.

    Attributes:
        problem: why the last try failed; None while there is none.
        since: when the first of them did, in seconds since the epoch.
        down: whether the store has failed too often to expect it back in a moment.
    """

    def __init__(self, attempts: int, first_pause: float) -> None:
        self.attempts = attempts
        self._first_pause = first_pause
        self.problem: str | None = None
        self.since: float | None = None
        self.down = False

    def failed(self, problem: str, tries: int) -> float:
        """Note a failure after so many tries in a row; returns the seconds to wait."""
        self.problem = problem
        self.since = self.since or time.time()
        self.down = self.down or tries >= self.attempts
        doublings = max(0, min(tries, self.attempts - 1) - 1)
        return self._first_pause * float(1 << doublings) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret

    def ended(self) -> None:
        """The store has taken something."""
        self.problem = self.since = None
        self.down = False

    def told(self, waiting: int) -> str | None:
        """One line for a person; None while all is well."""
        if self.since is None:
            return None
        since = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds")
        word = "down" if self.down else "failing"
        batches = f", {waiting} batches wait" if waiting else ""
        return f"database: {word} since {since}{batches}: {self.problem}"
