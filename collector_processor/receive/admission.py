"""How much may come in: limits of one request, and of all that are held at once.

Every byte of a request's body is counted from the moment that it is in memory, decompressed, until its answer is
given, over all receivers together. Where there is no room the sender is told to come back: nothing queues up.

Room is shared by connections, whichever receiver they came to: one may hold no more than it leaves free. So one that
sends all it can gets half, two get a third each, and there is always room for who comes next. A request that is
alone may take everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from collector_processor.errors import OverloadedError, RequestTooLargeError
from collector_processor.telemetry.metrics import INFLIGHT_BYTES

MIB: Final = 1024 * 1024


class Limits(NamedTuple):
    """Limits of one request: sizes in bytes after decompression, and the seconds in which its body must arrive."""

    max_request_bytes: int = 64 * MIB
    max_json_bytes: int = 4 * MIB
    body_timeout: float = 30.0


class Admission:
    """Counts the bytes in flight and refuses what would exceed `max_bytes_in_flight`, or a connection's share of it."""

    def __init__(self, max_bytes_in_flight: int) -> None:
        self._limit = max_bytes_in_flight
        self._in_flight = 0
        self._requests = 0
        self._held: Counter[Hashable] = Counter()

    @property
    def bytes_in_flight(self) -> int:
        """Bytes of bodies that are held now."""
        return self._in_flight

    @contextmanager
    def request(self, max_bytes: int, connection: Hashable) -> Iterator[Allowance]:
        """Let one request of at most `max_bytes` in; what it took is given back at the end."""
        allowance = Allowance(self, max_bytes, connection)
        self._requests += 1
        try:
            yield allowance
        finally:
            self._requests -= 1
            self._change(-allowance.taken, connection)

    def take(self, size: int, connection: Hashable) -> None:
        """Count `size` more bytes of a request that came by `connection`.

        Raises:
            OverloadedError: there is no room for them.
        """
        free = self._limit - self._in_flight - size
        if free < 0:
            raise OverloadedError(f"{self._in_flight:,} bytes of requests are in flight, of {self._limit:,}: come back")
        held = self._held[connection] + size
        if held > free and self._requests > 1:
            raise OverloadedError(
                f"{held:,} bytes of this connection would be in flight, and {free:,} left for others: come back"
            )
        self._change(size, connection)

    def _change(self, size: int, connection: Hashable) -> None:
        self._in_flight += size
        self._held[connection] += size
        if not self._held[connection]:
            del self._held[connection]
        INFLIGHT_BYTES.set(self._in_flight)


class Allowance:
    """What one request has taken of the room."""

    __slots__ = ("_admission", "_connection", "_max_bytes", "taken")

    def __init__(self, admission: Admission, max_bytes: int, connection: Hashable) -> None:
        self._admission = admission
        self._max_bytes = max_bytes
        self._connection = connection
        self.taken = 0

    def take(self, size: int) -> None:
        """Count `size` more bytes of the body.

        Raises:
            RequestTooLargeError: the body is larger than a request may be.
            OverloadedError: there is no room now.
        """
        self.check(self.taken + size)
        self._admission.take(size, self._connection)
        self.taken += size

    def check(self, size: int) -> None:
        """Refuse a body of this announced size without counting it.

        Raises:
            RequestTooLargeError: the body is larger than a request may be.
        """
        if size > self._max_bytes:
            raise RequestTooLargeError(
                f"The request is larger than {self._max_bytes:,} bytes after decompression: send fewer spans a request"
            )
