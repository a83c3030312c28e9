"""Load for benchmarks: OTLP requests of 500 spans, made from one real task by exchanging ids in its bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, TracesData
from support.lifecycle import TRACE, foreign, usual_task

SPANS_A_REQUEST = 500
TASK_ID = b"task-7f3a"


def requests(tasks: int, foreign_spans: int, task: Callable[[], bytes] = usual_task) -> Iterator[bytes]:
    """Requests that hold `tasks` tasks of 8 lifecycle spans and so many foreign ones each, task after task.

    `task` makes the one that is copied: `usual_task`, or `whole_task`, which has every attribute there is.
    """
    template = TracesData.FromString(task())
    resource = template.resource_spans[0]
    scope = resource.scope_spans[0]
    lifecycle = [span.SerializeToString() for span in scope.spans]
    others = [foreign(100 + number).SerializeToString() for number in range(foreign_spans)]
    spans: list[bytes] = []
    for number in range(tasks):
        trace_id = os.urandom(16)
        task_id = b"%09x" % number
        spans += [raw.replace(TRACE, trace_id).replace(TASK_ID, task_id) for raw in (*others, *lifecycle)]
        while len(spans) >= SPANS_A_REQUEST:
            yield _request(resource, scope, spans[:SPANS_A_REQUEST])
            del spans[:SPANS_A_REQUEST]
    if spans:
        yield _request(resource, scope, spans)


def _request(resource: ResourceSpans, scope: ScopeSpans, spans: list[bytes]) -> bytes:
    message = TracesData(
        resource_spans=[
            ResourceSpans(
                resource=resource.resource,
                scope_spans=[ScopeSpans(scope=scope.scope, spans=[scope.spans[0].FromString(raw) for raw in spans])],
            )
        ]
    )
    return message.SerializeToString()
