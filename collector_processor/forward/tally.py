"""What became of the spans that were to be forwarded, and how many bytes of them may be held."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Drop(StrEnum):
    """Why a span was not forwarded, sampling excepted."""

    NO_ROOM = "no_room"
    """`FORWARD_QUEUE_BYTES` are waiting already."""
    LATE = "late"
    """It had left the journal before the forwarder came to read it."""
    NOT_RUNNING = "not_running"
    """The forwarder was not there, or ended with it."""
    NOT_SHOWN = "not_shown"
    """No view shows its record: it was discarded, withheld, erased, or could not be stored."""
    NO_ANSWER = "no_answer"
    """The database did not say how its record stands."""
    UNDECODABLE = "undecodable"
    """It can't be decoded."""
    REJECTED = "rejected"
    """The backend took its request, but not this span (partial success)."""
    REFUSED = "refused"
    """The backend refused its request for good."""
    UNREACHABLE = "unreachable"
    """The backend took no request for too long, or until the processor stopped."""


@dataclass(slots=True)
class Tally:
    """Spans that were brought away, sampled out, and dropped by reason."""

    sent: int = 0
    sampled: int = 0
    dropped: Counter[Drop] = field(default_factory=Counter)

    def drop(self, reason: Drop, spans: int) -> None:
        """Count dropped spans."""
        if spans:
            self.dropped[reason] += spans

    def add(self, other: Tally) -> None:
        """Take over the counts of another."""
        self.sent += other.sent
        self.sampled += other.sampled
        self.dropped += other.dropped

    @property
    def total(self) -> int:
        """All of them."""
        return self.sent + self.sampled + self.dropped.total()


class Room:
    """Bytes that may be held: of spans that wait for their record, and of requests that wait for the backend."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        """Claim bytes; False where there is no room for them."""
        if self.used + size > self.limit:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """Free bytes that were claimed."""
        self.used -= size
