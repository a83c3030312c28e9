"""What was sent and what was not, by sort and reason: counted for metrics, logged once a minute."""

from __future__ import annotations

import logging
import time
from collections import Counter
from contextlib import suppress
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)

LOG_EVERY_S: Final = 60.0


class Sort(StrEnum):
    """Whether a span is one of a task's lifecycle, or of something else in the application."""

    LIFECYCLE = "lifecycle"
    FOREIGN = "foreign"
    MIXED = "mixed"
    """One of a batch of both, where the receiver doesn't say which."""


class Reason(StrEnum):
    """Why a span was not sent."""

    QUEUE_FULL = "queue_full"
    REFUSED = "refused"
    """The receiver refused the request for good, or it couldn't be encoded."""
    REJECTED = "rejected"
    """The receiver took the request without it (a partial success)."""
    TOO_LARGE = "too_large"
    """It alone is larger than the receiver takes."""
    SHUTDOWN = "shutdown"
    """It was left when the time to flush at the end was over, or ended after that."""


class Drops:
    """Counts since the start of the process, or since it was forked, and the line in the log about them."""

    def __init__(self, receiver: str) -> None:
        # All keys from the start: a metric's reader counts them while they change.
        self.sent = Counter(dict.fromkeys(Sort, 0))
        self.dropped = Counter(dict.fromkeys(product(Reason, Sort), 0))
        self._receiver = receiver
        self._details: dict[Reason, str] = {}
        self._told: Counter[tuple[Reason, Sort]] = Counter()
        self._told_at = -LOG_EVERY_S
        self.trouble = ""
        """Why the receiver takes nothing at present, though nothing is lost by that yet; empty when it does."""

    def add(self, reason: Reason, sort: Sort, count: int = 1, detail: str = "") -> None:
        """Count dropped spans; the detail of the last ones is logged. One thread a reason at a time."""
        self.dropped[reason, sort] += count
        if detail:
            self._details[reason] = detail

    def add_all(self, reason: Reason, sorts: Iterable[Sort], detail: str = "") -> None:
        """Count dropped spans of several sorts."""
        for sort, count in Counter(sorts).items():
            self.add(reason, sort, count, detail)

    def tell(self, waiting: int, *, at_last: bool = False) -> None:
        """Log what is new, at most once a minute unless it is the last word."""
        now = time.monotonic()
        counted = Counter(self.dropped)  # spans are dropped while we tell
        new = counted - self._told
        if not (new or (self.trouble and not at_last)) or (now - self._told_at < LOG_EVERY_S and not at_last):
            return
        parts = []
        if new:
            lifecycle = sum(count for (_, sort), count in new.items() if sort is Sort.LIFECYCLE)
            parts.append(f"{new.total()} spans were dropped, {lifecycle} of them lifecycle spans: {self._reasons(new)}")
        if self.trouble and not at_last:
            parts.append(f"it takes no spans at present ({self.trouble}), {waiting} wait")
        with suppress(Exception):  # a handler or filter of the host may raise
            logger.warning("otel_benchmark: to %s: %s", self._receiver, "; ".join(parts))
        self._told, self._told_at = counted, now

    def _reasons(self, new: Counter[tuple[Reason, Sort]]) -> str:
        by_reason: Counter[Reason] = Counter()
        for (reason, _), count in new.items():
            by_reason[reason] += count
        return ", ".join(
            f"{count} {reason}" + (f" ({detail})" if (detail := self._details.get(reason)) else "")
            for reason, count in by_reason.most_common()
        )
