"""Requests of tasks that end now, sent at a steady rate over a few connections, and each until it is taken."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from typing import Final, Self

from benchmarks.load import SPANS_A_REQUEST, requests
from benchmarks.processor import CONNECTIONS
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from support.lifecycle import T0

FOREIGN: Final = 24
"""Spans of others in a task, beside eight of ours."""
LONGEST: Final = 10 * 10**9
"""Nanoseconds that a task of the load takes at most."""


class Load:
    """Sends `rate` spans a second, as fast as they are taken where that is None, while its block runs.

    Attributes:
        sent: spans that were acknowledged.
        refusals: requests that were told to come again.
        behind: seconds by which the latest request left late: what stands still here, stands in the processor.
    """

    def __init__(self, port: int, rate: float | None = None) -> None:
        self._port = port
        self._pause = SPANS_A_REQUEST / rate if rate else 0.0
        self._bodies = requests(1 << 40, FOREIGN)
        self._taking = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(CONNECTIONS)]
        self.sent = self.refusals = 0
        self.behind = 0.0
        self._trouble = ""

    def __enter__(self) -> Self:
        self._due = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if kind is None and self._trouble:
            raise SystemExit(f"soak: the load ended early: {self._trouble}")

    def _work(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            for due, body in self._turns():
                if self._stopping.wait(max(0.0, due - time.monotonic())):
                    return
                self.behind = time.monotonic() - due if self._pause else 0.0
                while not self._is_taken(connection, body):
                    self.refusals += 1
                    if self._stopping.wait(1.0):
                        return
                with self._taking:
                    self.sent += SPANS_A_REQUEST
        except (OSError, http.client.HTTPException) as error:
            self._trouble = repr(error)
        finally:
            connection.close()

    def _turns(self) -> Iterator[tuple[float, bytes]]:
        """When to send which request."""
        while True:
            with self._taking:
                due, body = self._due, next(self._bodies)
                self._due += self._pause
            yield due, of_now(body)

    @staticmethod
    def _is_taken(connection: http.client.HTTPConnection, body: bytes) -> bool:
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        told = answer.read()
        if answer.status not in (200, 503):
            raise http.client.HTTPException(f"{answer.status} {told!r}")
        return answer.status == 200


def of_now(body: bytes) -> bytes:
    """The same spans, moved so that they have just ended."""
    since = time.time_ns() - T0 - LONGEST
    message = TracesData.FromString(body)
    for span in message.resource_spans[0].scope_spans[0].spans:
        span.start_time_unix_nano += since
        span.end_time_unix_nano += since
        for event in span.events:
            event.time_unix_nano += since
    return message.SerializeToString()
