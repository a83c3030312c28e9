"""A data point as a row of `benchmark_data.points`: the typed columns that queries filter by, and the whole record."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from psycopg import adapters
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import Format

from collector_processor.errors import UnfitError
from collector_processor.model.record import (
    BenchmarkDataPoint,
    Evaluation,
    Execution,
    Routing,
    Severity,
    encode_point,
)


class Column(NamedTuple):
    """Name and PostgreSQL type of a column."""

    name: str
    type: str


COLUMNS: Final = tuple(
    Column(name, type_)
    for type_, names in (
        ("uuid", "id"),
        ("timestamptz", "timestamp"),
        ("text", "task_id task_type complexity tenant_id agent_id agent_name model_family strategy"),
        ("float8", "confidence"),
        ("bool", "explored"),
        ("float8", "propensity"),
        ("bool", "success partial_success"),
        ("float8", "latency_ms time_to_first_action_ms"),
        ("int8", "tokens_used input_tokens thinking_tokens output_tokens"),
        ("float8", "cost_usd"),
        ("int8", "tool_call_count"),
        ("float8", "tool_call_success_rate token_efficiency overall_score"),
        ("bool", "caws_compliant budget_compliant passed_all_mandatory"),
        ("text", "final_outcome"),
        ("float8", "total_reward"),
        ("text", "reward_version"),
        ("float8", "adjusted_count"),
        ("text", "group_id"),
        ("int8", "attempt"),
        ("bool", "valid rl_ready"),
        ("text", "state"),
        ("bool", "withheld"),
        ("text[]", "gates_failed gate_severities completeness"),
        ("text", "ended_by convention service_name"),
        ("int4", "schema_version revision"),
        ("bytea", "trace_id span_id"),
        ("jsonb", "record"),
    )
    for name in names.split()
)
"""Columns in the order of a row and of `sql/queries/copy_points.sql`."""

COLUMN_TYPES: Final = tuple("bytea" if column.type in {"text[]", "jsonb"} else column.type for column in COLUMNS)
"""How values are sent: arrays and JSON are in PostgreSQL's binary form already, and go as the bytes they are."""

_JSONB_VERSION: Final = b"\x01"
_COMBINATIONS: Final = 1024
_TEXT_ARRAY: Final = adapters.types["text"].array_oid


def row(point: BenchmarkDataPoint) -> tuple[Any, ...]:
    """The values of one row, in the order of COLUMNS, as COLUMN_TYPES says.

    Raises UnfitError without a verdict, ValueError (UnicodeEncodeError is one) where a value has no form that
    PostgreSQL could store.
    """
    verdict = point.verdict
    if verdict is None:
        raise UnfitError("verdict is null: the record hasn't passed the gates")
    task, labels, provenance = point.task, point.rl_labels, point.provenance
    return (
        point.id,
        instant(point.timestamp),
        task.id,
        task.type,
        task.complexity,
        point.tenant_id,
        *_routing(point.routing, point.execution),
        *_execution(point.execution),
        *_evaluation(point.evaluation),
        labels.final_outcome,
        labels.total_reward,
        labels.reward_version,
        point.sampling.adjusted_count,
        task.group_id,
        task.attempt,
        verdict.valid,
        verdict.rl_ready,
        point.state,
        withheld(point),
        _text_array(tuple([failed.gate for failed in verdict.gates_failed])),
        _text_array(tuple([failed.severity for failed in verdict.gates_failed])),
        _text_array(point.completeness.seen),
        point.completeness.ended_by,
        provenance.convention,
        provenance.source.service_name,
        point.schema_version,
        point.revision,
        bytes.fromhex(provenance.trace_id),
        bytes.fromhex(provenance.span_id),
        _JSONB_VERSION + encode_point(point),
    )


@lru_cache(maxsize=_COMBINATIONS)
def _text_array(texts: tuple[str, ...]) -> bytes:
    # Gates and sections come in few combinations, and psycopg makes an array in Python: a fifth of the sending.
    transformer = Transformer()
    transformer.set_dumper_types((_TEXT_ARRAY,), Format.BINARY)
    [dumped] = transformer.dump_sequence([[*texts]], [PyFormat.BINARY])
    assert dumped is not None, "a list is never null"
    return bytes(dumped)


def instant(written: str) -> datetime:
    """An RFC 3339 UTC time of nine digits, cut to the microseconds that PostgreSQL keeps."""
    return datetime.fromisoformat(written)


def withheld(point: BenchmarkDataPoint) -> bool:
    """Whether a critical gate failed, so that no view but `quarantine` may show the record."""
    return point.verdict is not None and any(
        failed.severity is Severity.CRITICAL for failed in point.verdict.gates_failed
    )


def _routing(routing: Routing | None, execution: Execution | None) -> tuple[Any, ...]:
    """Agent (who executed, else who was selected) and the decision about it."""
    selected = routing.selected_agent if routing else None
    executed = execution.agent if execution else None
    agent = executed if executed and (executed.id or not selected) else selected
    same = selected is not None and agent is not None and selected.id == agent.id
    name = (agent.name if agent else None) or (selected.name if selected and same else None)
    return (
        agent.id if agent else None,
        name,
        selected.model_family if selected and same else None,
        *(
            (routing.strategy, routing.confidence, routing.explored, routing.propensity)
            if routing
            else (None, None, None, None)
        ),
    )


def _execution(execution: Execution | None) -> tuple[Any, ...]:
    if execution is None:
        return (None,) * 12
    return (
        execution.success,
        execution.partial_success,
        execution.latency_ms,
        execution.time_to_first_action_ms,
        execution.tokens_used,
        execution.input_tokens,
        execution.thinking_tokens,
        execution.output_tokens,
        execution.cost_usd,
        execution.tool_call_count,
        execution.tool_call_success_rate,
        execution.token_efficiency,
    )


def _evaluation(evaluation: Evaluation | None) -> tuple[Any, ...]:
    if evaluation is None:
        return (None,) * 4
    return (
        evaluation.overall_score,
        evaluation.caws_compliant,
        evaluation.budget_compliant,
        evaluation.passed_all_mandatory,
    )
