"""OTLP log records, as an emitter would send them: evaluations and other events of the GenAI conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from collector_processor.model.stages import Member, RawTask, SealedTask, SealKind
from otel_benchmark import attributes as a
from support.lifecycle import ARRIVED, MS, RESOURCE, T0, TRACE, key_values, span_id, value_of

CONTENT = "gen_ai.client.inference.operation.details"


def log(
    event_name: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    span: int = 1,
    at: float = 650,
    trace_id: bytes = TRACE,
    body: str | None = None,
    **fields: Any,
) -> LogRecord:
    """One event about a span (0: about none) of a trace, `at` milliseconds since T0."""
    values: dict[str, Any] = {
        "time_unix_nano": T0 + int(at * MS),
        "observed_time_unix_nano": T0 + int((at + 1) * MS),
        "event_name": event_name,
        "trace_id": trace_id,
        "span_id": span_id(span),
        "attributes": key_values(attributes or {}),
        "body": None if body is None else value_of(body),
    }
    return LogRecord(**(values | fields))


def evaluated(score: float = 0.7, *, attributes: Mapping[str, Any] | None = None, **more: Any) -> LogRecord:
    """An evaluation with an overall score and one criterion."""
    said = {
        a.EVALUATION_OVERALL_SCORE: score,
        a.EVALUATOR_NAME: "afterwards",
        a.GEN_AI_EVALUATION_NAME: "relevance",
        a.GEN_AI_EVALUATION_SCORE_VALUE: score,
        **(attributes or {}),
    }
    return log(a.GEN_AI_EVALUATION_EVENT, said, **more)


def logs_payload(
    records: Sequence[LogRecord], resource: Mapping[str, Any] = RESOURCE, scope: str = "evaluator"
) -> bytes:
    """The records as one `LogsData` message."""
    scope_logs = ScopeLogs(scope=InstrumentationScope(name=scope, version="0.1.0"), log_records=records)
    described = Resource(attributes=key_values(resource))
    return LogsData(resource_logs=[ResourceLogs(resource=described, scope_logs=[scope_logs])]).SerializeToString()


def with_records(raw: RawTask, *records: LogRecord) -> RawTask:
    """A sealed task with log records beside its spans."""
    sequence = len(raw.sealed.members)
    member = Member(sequence, ARRIVED, tuple(range(len(records))))
    sealed = raw.sealed
    return RawTask(
        SealedTask(sealed.kind, sealed.trace_id, sealed.span_id, (*sealed.members, member), sealed.ended_by),
        raw.payloads,
        [(ARRIVED, logs_payload(records), member.positions)],
    )


def sealed_records(*records: LogRecord, kind: SealKind = SealKind.LATE, number: int = 1) -> RawTask:
    """Log records that were sealed without any span."""
    own = b"" if kind is SealKind.ORPHAN else span_id(number)
    return with_records(RawTask(SealedTask(kind, TRACE, own, ()), ()), *records)
