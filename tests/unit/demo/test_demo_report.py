"""The report's parts: tables, JSON that breaks where it must, and figures that are the views' own."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_processor.demo.report import Findings, compact_json, facts, render, table

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=40,
)
SUMMARY = {
    "tasks": 10,
    "subtasks": 2,
    "succeeded": 6,
    "partial": 1,
    "failed": 2,
    "raised": 1,
    "wall_s": 1.5,
    "cpu_ms_per_task": 4.0,
}
COUNTS = {
    "stored": 12,
    "valid": 11,
    "rl_ready": 9,
    "quarantined": 1,
    "overhead_ms": 0.4,
    "worst_overhead_ms": 2.25,
}


@given(values, st.integers(1, 60))
def test_compact_json_is_the_same_json(value: object, room: int) -> None:
    assert json.loads(compact_json(value, room=room)) == value


def test_compact_json_breaks_only_what_is_too_long() -> None:
    assert compact_json({"a": [1, 2]}) == '{"a": [1, 2]}'
    assert compact_json({"a": [1, 2], "b": 3}, room=16).splitlines() == ["{", '  "a": [1, 2],', '  "b": 3', "}"]


def test_table_puts_numbers_to_the_right() -> None:
    rows = [{"agent": "mender", "tasks": 7, "score": 0.5}, {"agent": "x", "tasks": 120, "score": None}]
    assert table(rows).splitlines() == [
        "agent   tasks  score",
        "──────  ─────  ─────",
        "mender      7  0.500",
        "x         120      -",
    ]
    assert table([]) == "(no rows)"


def test_facts_are_aligned() -> None:
    assert facts({"a": "1", "long": "2"}) == "a     1\nlong  2"


def test_report_tells_sent_against_stored_and_the_cost() -> None:
    findings = Findings(COUNTS, [{"agent": "mender", "decisions": 12}], [], [], {"id": "one"})
    text = render(findings, SUMMARY, SUMMARY | {"cpu_ms_per_task": 5.25}, access=["otel-benchmark sql"])
    for part in ("sent            12, 2 of them", "12 data points", "1 quarantined", "+1.25 ms", "2.25 ms at worst"):
        assert part in text
    assert '{"id": "one"}' in text
    assert text.endswith("otel-benchmark sql")


@pytest.mark.parametrize("overhead", [None, 0.4])
def test_report_invents_no_overhead(overhead: float | None) -> None:
    findings = Findings(COUNTS | {"overhead_ms": overhead}, [], [], [], None)
    assert ("by the plugin's own clock" in render(findings, SUMMARY, SUMMARY, access=[])) == (overhead is not None)
