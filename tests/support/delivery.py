"""Tasks that are sent through a Collector, and whether all of them have arrived."""

from __future__ import annotations

import http.client
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Self

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanContext, Tracer
from prometheus_client.parser import text_string_to_metric_families

from collector_processor.app.reporting.status import Status
from otel_benchmark import attributes as a
from support.collector import Collector
from support.lifecycle import evaluation, execution, payload, route, task, tool_call
from support.processor import Processor, fact_spans, own, wait_until


class Done(NamedTuple):
    """A task that was done, and the ids of its spans, in hex."""

    task_id: str
    trace_id: str
    lifecycle: frozenset[str]
    foreign: frozenset[str] = frozenset()

    @property
    def spans(self) -> int:
        return len(self.lifecycle) + len(self.foreign)


def do_tasks(provider: TracerProvider, count: int) -> list[Done]:
    """Do tasks under the SDK: five lifecycle spans each and one that is none."""
    tracer = provider.get_tracer(a.SCOPE_NAME)
    return [_do_task(tracer, f"task-{uuid.uuid4().hex[:12]}") for _ in range(count)]


def _do_task(tracer: Tracer, task_id: str) -> Done:
    ids: dict[str, str] = {}

    @contextmanager
    def span(name: str, **attributes: str | float) -> Iterator[SpanContext]:
        with tracer.start_as_current_span(name, attributes={a.TASK_ID: task_id, **attributes}) as started:
            context = started.get_span_context()
            ids[name] = f"{context.span_id:016x}"
            yield context

    with span("task research", **{a.TASK_TYPE: "research"}) as context:
        with span("route bandit", **{a.ROUTING_SELECTED_ID: "alpha"}):
            pass
        with (
            span("invoke_agent Alpha", **{a.GEN_AI_OPERATION_NAME: a.OPERATION_INVOKE_AGENT, a.AGENT_ID: "alpha"}),
            span("execute_tool search", **{a.GEN_AI_OPERATION_NAME: a.OPERATION_EXECUTE_TOOL}),
            span("POST"),
        ):
            pass
        with span("evaluate rubric", **{a.EVALUATION_OVERALL_SCORE: 0.9}):
            pass
    foreign = frozenset({ids.pop("POST")})
    return Done(task_id, f"{context.trace_id:032x}", frozenset(ids.values()), foreign)


class Traffic:
    """Sends tasks to a Collector one after the other for as long as the block takes.

    A task is three requests, each repeated until it is acknowledged; `padding` bytes stand in its execution.
    """

    def __init__(self, collector: Collector, padding: int = 0) -> None:
        self._collector = collector
        self._padding = padding
        self._thread = threading.Thread(target=self._work)
        self._stopping = self._given_up = False
        self.acknowledged: list[Done] = []
        self.refusals = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._given_up = kind is not None
        self.stop()

    def _work(self) -> None:
        while not self._stopping:
            padded = execution(attributes={"padding": "x" * self._padding})
            mine = own(task(), route(), padded, tool_call(), evaluation())
            for spans in (mine.spans[3:], mine.spans[1:3], mine.spans[:1]):
                while not self._is_acknowledged(payload(spans)):
                    if self._given_up:
                        return
                    time.sleep(0.01)
            ids = frozenset(span.span_id.hex() for span in mine.spans)
            self.acknowledged.append(Done(mine.task_id, mine.trace_id.hex(), ids))

    def _is_acknowledged(self, body: bytes) -> bool:
        try:
            answer = self._collector.post(body)
        except (OSError, http.client.HTTPException):
            return False
        self.refusals += answer.status != 200
        return answer.status == 200

    def stop(self) -> None:
        """Come back when the task that is being sent was acknowledged whole."""
        self._stopping = True
        self._thread.join()

    def go_on(self, tasks: int) -> None:
        """Come back when so many more tasks were acknowledged."""
        wanted = len(self.acknowledged) + tasks
        wait_until(lambda: len(self.acknowledged) >= wanted)


# -- What must have arrived ----------------------------------------------------------------------------------


def assert_delivered(collector: Collector, processors: Sequence[Processor], done: Sequence[Done]) -> None:
    """Every task is whole in one record of one processor; no span is left, lost or counted twice."""
    wait_until(lambda: collector.queued_bytes == 0)
    assert collector.dropped_spans == 0
    found: list[tuple[str, set[str]]] = []
    handed_over = 0
    for processor in processors:
        processor.wait_for(_has_stored_all)
        rows = processor.rows("SELECT task_id, record FROM data_points")
        found += [(row["task_id"], fact_spans(row["record"])) for row in rows]
        terms = processor.terms()
        assert terms["received"] == terms["handed_over"] + terms["duplicate"]
        handed_over += terms["handed_over"]
        processor.assert_balanced()
    assert sorted(found) == sorted((task.task_id, set(task.lifecycle)) for task in done)
    assert handed_over == sum(task.spans for task in done)


def _has_stored_all(status: Status) -> bool:
    """Late spans, which come to a task that is closed, are in no open one: so it is spans that are counted."""
    return not (status.place.open_spans or status.place.closed_tasks or status.place.sealed_batches)


def answers(processor: Processor) -> dict[str, int]:
    """How many requests the processor has answered, by what became of them."""
    families = text_string_to_metric_families(processor.admin("/metrics").body.decode())
    samples = [sample for family in families for sample in family.samples]
    counted: Counter[str] = Counter()
    for sample in samples:
        if sample.name == "otel_benchmark_requests_total":
            counted[sample.labels["outcome"]] += int(sample.value)
    return {outcome: requests for outcome, requests in counted.items() if requests}
