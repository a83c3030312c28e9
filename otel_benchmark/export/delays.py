"""How long a receiver asks to be left alone: `Retry-After` over HTTP, `RetryInfo` over gRPC."""

from __future__ import annotations

import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Final

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # upstream's module is untyped

LONGEST_DELAY_S: Final = 120.0
"""More is not believed: all the while spans wait, and a queue that is full drops."""


def by_header(value: str | None) -> float:
    """Return the seconds that a `Retry-After` asks for, as a number or as a date; 0 where it asks for none."""
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return _bounded(float(text))
    with suppress(ValueError, TypeError, OverflowError):
        return _bounded(parsedate_to_datetime(text).timestamp() - time.time())
    return 0.0


def by_retry_info(message: bytes | None) -> float:
    """Return the seconds that a `RetryInfo` asks for; 0 where there is none, or none that can be read."""
    with suppress(DecodeError):
        delay = RetryInfo.FromString(message or b"").retry_delay
        return _bounded(delay.seconds + delay.nanos / 1e9)
    return 0.0


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_DELAY_S)
