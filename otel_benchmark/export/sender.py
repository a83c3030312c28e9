"""What the queue asks of a way to send: a batch goes out, an answer comes back."""

from __future__ import annotations

import time
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from opentelemetry.sdk.trace import ReadableSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_PIECE: Final = 16
_PAUSE_S: Final = 0.00005
"""Zero would do in most interpreters, but only a real pause makes sure that another thread runs."""


class Unhurried(list[ReadableSpan]):
    """A batch that lets the application's threads run before each 16 spans that are read of it, if there is time.

    The exporters encode while they read, about 50 µs a span. Left to themselves they hold the interpreter for 5 ms
    (`sys.getswitchinterval`) at a time, in which a task stands still.
    """

    def __init__(self, spans: Iterable[ReadableSpan], has_time: Callable[[], bool]) -> None:
        super().__init__(spans)
        self._has_time = has_time

    def __iter__(self) -> Iterator[ReadableSpan]:
        """Yield the spans, with the pauses."""
        for start in range(0, len(self), _PIECE):
            if self._has_time():
                time.sleep(_PAUSE_S)
            yield from self[start : start + _PIECE]


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
