"""A giant trace and a noisy service beside a quiet one: the quiet one loses nothing and waits for nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import psutil
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.lifecycle import RESOURCE, T0, execution, payload, route, task, tool_call
from support.processor import Own, Processor, own, wait_until

from otel_benchmark import attributes as a

GIANT_SPANS = 100_000
SPAN_BYTES = 2_000
A_REQUEST = 1_000
QUIET_TASKS = 20
MAX_GROWTH = 200 << 20
"""Of the front's own memory: less than a third of what it is sent."""


def foreign(mine: Own, number: int, size: int) -> Span:
    """A span of no lifecycle below a task's execution."""
    times = {"start_time_unix_nano": T0, "end_time_unix_nano": T0 + 1}
    identity = {
        "trace_id": mine.trace_id,
        "span_id": number.to_bytes(8, "big"),
        "parent_span_id": (3).to_bytes(8, "big"),
    }
    return Span(name="GET /" + "x" * size, **identity, **times)


def giant_requests(mine: Own) -> Iterator[bytes]:
    for first in range(0, GIANT_SPANS, A_REQUEST):
        spans = [foreign(mine, 1000 + first + number, SPAN_BYTES) for number in range(A_REQUEST)]
        yield payload(spans, resource=RESOURCE | {a.SERVICE_NAME: "giant"})


class Sender(threading.Thread):
    """Sends requests one after the other, each until it is taken."""

    def __init__(self, processor: Processor, bodies: Iterator[bytes]) -> None:
        super().__init__(daemon=True)
        self.tries = 0
        self._processor = processor
        self._bodies = bodies
        self._ended = threading.Event()
        self._trouble: Exception | None = None

    def run(self) -> None:
        try:
            for body in self._bodies:
                while not self._ended.is_set() and not self._takes(body):
                    self._ended.wait(0.2)
                if self._ended.is_set():
                    return
        except Exception as error:  # noqa: BLE001  # told by `end`
            self._trouble = error

    def _takes(self, body: bytes) -> bool:
        answer = self._processor.post(body)
        self.tries += 1
        assert answer.status in {200, 503}, answer
        assert answer.status == 200 or "retry-after" in answer.headers
        return answer.status == 200

    def end(self) -> None:
        self._ended.set()
        self.join()
        assert self._trouble is None, self._trouble


def wait_for_another(*senders: Sender) -> None:
    """Wait until one more of their requests has been answered."""
    before = sum(sender.tries for sender in senders)
    wait_until(lambda: sum(sender.tries for sender in senders) > before)


def noise() -> Iterator[bytes]:
    """Whole tasks without end, each with a hundred foreign spans."""
    while True:
        mine = own(task(), route(), execution())
        spans = [*mine.spans, *(foreign(mine, 1000 + number, SPAN_BYTES) for number in range(100))]
        yield payload(spans, resource=RESOURCE | {a.SERVICE_NAME: "noisy"})


def test_a_quiet_service_loses_nothing_beside_a_giant_and_a_noisy_one(
    new_processor: Callable[..., Processor],
) -> None:
    limits = {"JOURNAL_MAX_BYTES": "64MiB", "MAX_TASK_SPANS": "1000000", "MAX_TASK_BYTES": "1GiB"}
    with new_processor(**limits) as processor:
        front = psutil.Process(processor.process.pid)
        sizes = [front.memory_full_info().uss]
        unfinished = own(task(), execution())
        giant, noisy = Sender(processor, giant_requests(unfinished)), Sender(processor, noise())
        giant.start()
        noisy.start()
        quiet = [own(task(), route(), execution(), tool_call()) for _ in range(QUIET_TASKS)]
        for mine in quiet:
            wait_for_another(giant, noisy)
            spans = [*mine.spans, *(foreign(mine, 1000 + number, 500) for number in range(8))]
            processor.send(*spans, resource=RESOURCE | {a.SERVICE_NAME: "quiet"})
            sizes.append(front.memory_full_info().uss)
        names = [mine.task_id for mine in quiet]
        stored = "SELECT count(*) FROM data_points WHERE task_id = ANY(%(tasks)s)"
        wait_until(lambda: processor.rows(stored, tasks=names)[0]["count"] == QUIET_TASKS)
        noisy.end()
        while giant.is_alive():
            giant.join(0.2)
            sizes.append(front.memory_full_info().uss)
        giant.end()
        processor.send(*unfinished.spans, resource=RESOURCE | {a.SERVICE_NAME: "giant"})
        processor.settle()
        assert not [name for name in names if processor.record(name)["completeness"]["truncated"]]
        assert processor.record(unfinished.task_id)["completeness"]["truncated"]
        assert processor.terms()["shed"] > GIANT_SPANS // 2
        assert max(sizes) - sizes[0] < MAX_GROWTH
        processor.assert_balanced()
