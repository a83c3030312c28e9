"""A data point as a row."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from psycopg import adapters
from psycopg.adapt import Transformer
from psycopg.pq import Format
from support.facts import NOON, execution, revise, routing, task, whole
from support.store import id_of

from collector_processor.errors import UnfitError
from collector_processor.model.facts import Agent, Facts
from collector_processor.model.record import FailedGate, Severity, Verdict, decode_point
from collector_processor.store.rows import COLUMNS, instant, row, withheld
from collector_processor.store.statements import migrations, statement


def named(facts: Facts) -> dict[str, Any]:
    """The values by name; those that go as bytes read by psycopg as what their column's type says."""
    values = row(revise(id_of(), facts, 1).point)
    return {column.name: loaded(column.type, value) for column, value in zip(COLUMNS, values, strict=True)}


def loaded(type_: str, value: Any) -> Any:
    if type_ == "text[]":
        return Transformer().get_loader(adapters.types["text"].array_oid, Format.BINARY).load(value)
    if type_ == "jsonb":
        return Transformer().get_loader(adapters.types[type_].oid, Format.BINARY).load(value)
    return value


def test_columns_are_those_of_the_copy_statement_and_of_the_table():
    names = [column.name for column in COLUMNS]
    [copied] = re.findall(rb"points \((.*?)\) FROM STDIN", statement("copy_points"), re.DOTALL)
    assert [name.strip() for name in copied.decode().split(",")] == names
    [table] = re.findall(rb"CREATE TABLE benchmark_data.points \((.*?)\n\);", migrations()[0].sql, re.DOTALL)
    lines = [line.split() for line in table.decode().splitlines() if line.startswith("    ")]
    declared = [words[0] for words in lines if words[0] != "CONSTRAINT"]
    for migration in migrations():
        added = re.findall(rb"ALTER TABLE benchmark_data.points\s+ADD COLUMN (\w+) ([^;]*)", migration.sql)
        declared += [name.decode() for name, definition in added if b"GENERATED" not in definition]
    assert sorted(declared) == sorted(names)


def test_a_row_of_a_whole_record():
    values = named(whole())
    assert values["id"] == id_of()
    assert values["timestamp"] == NOON
    assert (values["trace_id"], values["span_id"]) == ((1).to_bytes(16, "big"), (1).to_bytes(8, "big"))
    assert values["completeness"] == ["task", "routing", "execution", "evaluation"]
    assert values["gates_failed"] == values["gate_severities"] == []
    assert decode_point(msgspec.json.encode(values["record"])) == revise(id_of(), whole(), 1).point


def test_a_row_of_a_record_with_nothing_but_its_task():
    values = named(Facts(task=task()))
    empty = {"agent_id", "strategy", "confidence", "success", "latency_ms", "overall_score", "tool_call_count"}
    assert {values[name] for name in empty} == {None}
    assert values["valid"] is False
    assert "required-sections" in values["gates_failed"]
    assert len(values["gates_failed"]) == len(values["gate_severities"])


@pytest.mark.parametrize(
    ("selected", "executed", "expected"),
    [
        (("a", "A", "small"), ("a", "A2"), ("a", "A2", "small")),
        (("a", "A", "small"), ("a", None), ("a", "A", "small")),
        (("a", "A", "small"), ("b", "B"), ("b", "B", None)),
        (("a", "A", "small"), (None, None), ("a", "A", "small")),
        (("a", "A", "small"), None, ("a", "A", "small")),
        (None, ("b", "B"), ("b", "B", None)),
        (None, (None, "B"), (None, "B", None)),
        (None, None, (None, None, None)),
    ],
)
def test_the_agent_is_the_one_that_executed_else_the_one_selected(selected, executed, expected):
    chosen = dict(zip(("selected_id", "selected_name", "model_family"), selected or (), strict=False))
    routings = (routing(**chosen),) if selected else ()
    executions = (execution(agent=Agent(*executed)),) if executed else ()
    values = named(Facts(task=task(), routings=routings, executions=executions))
    assert (values["agent_id"], values["agent_name"], values["model_family"]) == expected


def test_a_time_is_cut_to_microseconds():
    assert instant("2026-11-22T12:00:00.123456999Z") == datetime(2026, 11, 22, 12, 0, 0, 123456, UTC)


def test_a_record_that_was_not_judged_is_no_row():
    point = msgspec.structs.replace(revise(id_of(), whole(), 1).point, verdict=None)
    with pytest.raises(UnfitError, match="verdict is null"):
        row(point)


@pytest.mark.parametrize("severity", Severity)
def test_only_a_critical_failure_withholds(severity):
    verdict = Verdict(valid=False, rl_ready=False, gates_failed=(FailedGate("gate", severity, "reason"),))
    point = msgspec.structs.replace(revise(id_of(), whole(), 1).point, verdict=verdict)
    assert withheld(point) == (severity is Severity.CRITICAL)
