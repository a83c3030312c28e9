"""Tasks of known content, sent for as long as a test makes trouble: each request until it is acknowledged.

Task number n is always the same, byte for byte, so that two processors can be given the same.
"""

from __future__ import annotations

import http.client
import itertools
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Self

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_processor.model.record import point_id
from otel_benchmark import attributes as a
from support.lifecycle import evaluation, execution, foreign, payload, route, span_id, task, tool_call
from support.processor import http_request, own, wait_until

SpanIds = frozenset[tuple[str, str]]
"""(trace id, span id) in hex."""
SENDERS: Final = 2
PAUSE_SECONDS: Final = 0.05
_SPACE: Final = uuid.UUID("6d1f3a52-0c67-4f8e-9d5e-1f6f0a5f7c11")


class Known(NamedTuple):
    """A task: its requests in the order of sending, and what is to become of their spans."""

    number: int
    task_id: str
    record_id: uuid.UUID
    requests: Sequence[bytes]
    facts: SpanIds
    """Of the record."""
    orphans: SpanIds
    """Without a task, for ever."""
    foreign: int


def known(number: int) -> Known:
    """The task of this number: every third is evaluated from elsewhere, every fifth has a foreign span in its midst,
    every seventh comes in one request, and beside every eleventh comes an orphan."""
    name = uuid.uuid5(_SPACE, str(number))
    calls = [tool_call(10 + each, start=100 * each, end=100 * each + 50) for each in range(number % 4)]
    inside = [foreign(5)] if number % 5 == 0 else []
    judged = [] if number % 3 == 0 else [evaluation()]
    attributes = {a.TASK_DESCRIPTION: f"Task number {number}", a.EMITTER_SEQUENCE: number}
    done = own(
        *(task(attributes=attributes), execution(), route(), *judged, *calls, *inside),
        task_id=f"task-{name.hex[:12]}",
        trace_id=name.bytes,
    )
    spans = done.spans
    requests = [spans] if number % 7 == 0 else [spans[2:], spans[1:2], spans[:1]]
    facts = set(_ids([span for span in spans if span.name != "POST"]))
    if not judged:
        elsewhere = own(evaluation(9, parent=0), task_id=done.task_id, trace_id=uuid.uuid5(name, "elsewhere").bytes)
        requests.insert(number % 2 * len(requests), elsewhere.spans)
        facts |= _ids(elsewhere.spans)
    orphans: SpanIds = frozenset()
    if number % 11 == 0:
        alone = own(evaluation(9, parent=0), trace_id=uuid.uuid5(name, "alone").bytes, task_id=f"nobody-{name.hex[:8]}")
        requests.append(alone.spans)
        orphans = _ids(alone.spans)
    return Known(
        number,
        done.task_id,
        point_id(done.trace_id, span_id(1)),
        [payload(part) for part in requests if part],
        frozenset(facts),
        orphans,
        len(inside),
    )


def _ids(spans: Sequence[Span]) -> SpanIds:
    return frozenset((span.trace_id.hex(), span.span_id.hex()) for span in spans)


class Load:
    """Sends tasks to an address from two threads until the block ends; then all that was begun is acknowledged.

    Attributes:
        done: tasks of which every request was acknowledged.
        failures: requests that were not, each of which was sent again.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers: Iterator[int] = itertools.count()
        self._threads = [threading.Thread(target=self._work) for _ in range(SENDERS)]
        self._stopping = self._given_up = False
        self.done: list[Known] = []
        self.failures = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._given_up = kind is not None
        self.stop()

    def stop(self) -> None:
        """Begin no more, and come back when what was begun is acknowledged."""
        self._stopping = True
        for thread in self._threads:
            thread.join()

    def go_on(self, tasks: int) -> None:
        """Come back when so many more tasks were acknowledged."""
        wanted = len(self.done) + tasks
        wait_until(lambda: len(self.done) >= wanted)

    def _work(self) -> None:
        while not self._stopping:
            task = known(next(self._numbers))
            for body in task.requests:
                while not self._is_acknowledged(body):
                    if self._given_up:
                        return
                    self.failures += 1
                    time.sleep(PAUSE_SECONDS)
            self.done.append(task)
            time.sleep(PAUSE_SECONDS)

    def _is_acknowledged(self, body: bytes) -> bool:
        headers = {"content-type": "application/x-protobuf"}
        try:
            answer = http_request(self._address, "POST", "/v1/traces", body, headers)
        except (OSError, http.client.HTTPException):
            return False
        assert answer.status in (200, 503), answer
        return answer.status == 200
