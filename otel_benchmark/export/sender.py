"""What the queue asks of a way to send: a batch goes out, an answer comes back."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan


class Verdict(Enum):
    """What a receiver did with a request."""

    TAKEN = auto()
    LATER = auto()
    TOO_LARGE = auto()
    NEVER = auto()


class Answer(NamedTuple):
    """A receiver's verdict, and its reason in words."""

    verdict: Verdict
    reason: str = ""
    rejected: int = 0
    """How many spans of a request that was taken it left out."""
    delay_s: float = 0.0
    """How long it asks to be left alone."""


class Sender(Protocol):
    """Sends batches of spans; `close` aborts what is under way."""

    def send(self, spans: Sequence[ReadableSpan]) -> Answer:
        """Send a batch; never raises."""
        ...

    def close(self) -> None:
        """End the connection; batches are refused from now on."""
        ...


class NoSender:
    """Takes the place of gRPC in a child that was forked while its core was in use: used there, it aborts or hangs."""

    def send(self, _spans: Sequence[ReadableSpan]) -> Answer:
        """Refuse, and say what helps."""
        return Answer(Verdict.NEVER, "gRPC can't be used after a fork: set OTEL_BENCHMARK_PROTOCOL=http/protobuf")

    def close(self) -> None:
        """Nothing to close."""
