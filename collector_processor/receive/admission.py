"""How much may come in: limits of one request, and of all that are held at once.

Every byte of a request's body is counted from the moment that it is in memory, decompressed, until its answer is
given, over all receivers together. Where there is no room the sender is told to come back: nothing queues up.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    """Counts the bytes in flight and refuses what would exceed `max_bytes_in_flight`."""

    def __init__(self, max_bytes_in_flight: int) -> None:
        self._limit = max_bytes_in_flight
        self._in_flight = 0

    @property
    def bytes_in_flight(self) -> int:
        """Bytes of bodies that are held now."""
        return self._in_flight

    @contextmanager
    def request(self, max_bytes: int) -> Iterator[Allowance]:
        """Let one request of at most `max_bytes` in; what it took is given back at the end."""
        allowance = Allowance(self, max_bytes)
        try:
            yield allowance
        finally:
            self._change(-allowance.taken)

    def take(self, size: int) -> None:
        """Count `size` more bytes.

        Raises:
            OverloadedError: there is no room for them.
        """
        if self._in_flight + size > self._limit:
            raise OverloadedError(f"{self._in_flight:,} bytes of requests are in flight, of {self._limit:,}: come back")
        self._change(size)

    def _change(self, size: int) -> None:
        self._in_flight += size
        INFLIGHT_BYTES.set(self._in_flight)


class Allowance:
    """What one request has taken of the room."""

    __slots__ = ("_admission", "_max_bytes", "taken")

    def __init__(self, admission: Admission, max_bytes: int) -> None:
        self._admission = admission
        self._max_bytes = max_bytes
        self.taken = 0

    def take(self, size: int) -> None:
        """Count `size` more bytes of the body.

        Raises:
            RequestTooLargeError: the body is larger than a request may be.
            OverloadedError: there is no room now.
        """
        self.check(self.taken + size)
        self._admission.take(size)
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
