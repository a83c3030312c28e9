"""Every column that can hold a text is searched by a scan, or is known to hold none of an application's."""

from __future__ import annotations

from pathlib import Path

import msgspec
from support.facts import BASELINE, batch, closed, execution, late, lost, revise, routing, whole
from support.searching import Searching
from support.store import execute

from collector_processor.model.facts import Agent, Anomaly, Facts, Problem, Source
from collector_processor.store.rescan import BEGINNING, Scan

WORD = "quince"
CHOICE = {
    "task_id": f"{WORD}-1", "selected_id": WORD, "selected_name": WORD, "model_family": WORD, "strategy": WORD,
}  # fmt: skip
PLANTED = Path(__file__).with_name("planted.sql").read_text()
OURS = {
    "audit": "action author",
    "batches": "kind analyses sampling",
    "deep_samples": "facet policy status reason gaps analyser",
    "erasures": "kind subject author removed",
    "gates": "gate severity",
    "hourly_failures": "gate severity",
    "hourly_measures": "measure",
    "maintenance": "tier",
    "outlier_bounds": "measure",
    "point_keys": "tenant state",
    "points": (
        "tenant_id final_outcome reward_version state gates_failed gate_severities completeness ended_by convention"
    ),
    "privacy_halts": "found",
    "schema_migrations": "name checksum",
    "standing_erasures": "name",
    "strays": "fact_id parent_id kind tenant",
}
"""Columns that this program alone writes: its own words, ids and hashes; and who decides, who answers by name."""

COLUMNS = """
    WITH relations AS (
        SELECT oid, relname FROM pg_class
        WHERE relnamespace = 'benchmark_data'::regnamespace AND relkind IN ('r', 'p')
        UNION
        SELECT counted, counted::text
        FROM unnest(ARRAY['agent_id', 'task_type']) AS label, benchmark_data.counted_by(label) AS counted
        WHERE counted::text LIKE '_timescaledb_internal.%'
    )
    SELECT relations.oid::regclass::text AS relation, relname AS table, attname AS column
    FROM relations
    JOIN pg_attribute ON attrelid = relations.oid AND attnum > 0 AND NOT attisdropped
    WHERE atttypid IN ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype, 'json'::regtype, 'varchar'::regtype)
    ORDER BY 1, 3
"""


def holding(rows):
    """Which columns hold the word, and which could."""
    columns = rows(COLUMNS)
    held = {
        (each["table"], each["column"])
        for each in columns
        if rows(f"SELECT FROM {each['relation']} WHERE {each['column']}::text LIKE '%{WORD}%' LIMIT 1")
    }
    ours = {(table, column) for table, names in OURS.items() for column in names.split()}
    return held, {(each["table"], each["column"]) for each in columns} - ours


def everywhere() -> Facts:
    facts = whole(
        task_id=f"{WORD}-1",
        type=WORD,
        complexity=WORD,
        group_id=WORD,
        source=Source(service_name=WORD, service_namespace=WORD),
    )
    return msgspec.structs.replace(
        facts,
        routings=(routing(**CHOICE),),
        executions=(execution(agent=Agent(WORD, WORD), task_id=f"{WORD}-1"),),
        baseline=msgspec.structs.replace(BASELINE, task_type=WORD),
    )


def test_no_column_is_left_out(run, store, rows, settle):
    stray = lost(routing(3, 1, parent_span_id=None, task_id=f"{WORD}-3"), namespace=WORD)
    anomaly = Anomaly("ab" * 8, "arbiter.task.reward", Problem.NOT_FINITE, WORD)
    stray = stray._replace(strays=[each._replace(anomalies=(anomaly,)) for each in stray.strays])
    waiting = late(Facts(routings=(routing(4, 2, rationale=WORD),)), trace=4)
    joined = lost(routing(1, 7, parent_span_id=None, **CHOICE), namespace=WORD)
    run(store.apply(batch(closed(everywhere()), stray, waiting)))
    run(store.apply(batch(joined)))
    settle()
    for statement in PLANTED.split(";\n"):
        run(execute(store, statement))
    held, columns = holding(rows)
    assert held == columns
    scanned = run(Scan(store._database, Searching(), revise).run(BEGINNING))
    assert [each.task_id for each in scanned.violations] == ["<>-1"]
    assert scanned.elsewhere == {
        "waiting spans": 1,
        "awaited facts": 1,
        "decisions": 1,
        "erasures": 1,
        "refusals": 2,
        "tombstones": 1,
        "halted sources": 3,
        "statistics by agent": 1,
        "statistics by type": 1,
    }
    assert holding(rows)[0] == set()
    settle()
    assert holding(rows)[0] == set()
    assert rows("SELECT source FROM benchmark_data.privacy_halts ORDER BY 1") == [
        {"source": "<>"}, {"source": "<>/<>"}, {"source": "shop/<>"},
    ]  # fmt: skip
    old = "FROM benchmark_data.hourly_statistics WHERE bucket < '2021-01-01'"
    assert rows(f"SELECT agent_id, task_type, tasks::int, latency_sum, cost_sum {old}") == [
        {"agent_id": "<>", "task_type": "<>", "tasks": 6, "latency_sum": 1.0, "cost_sum": None}
    ]
    assert rows("SELECT count(*)::int AS n FROM benchmark_data.outlier_bounds") == [{"n": 1}]
    [ledger] = rows("SELECT DISTINCT refused, undecodable_spans FROM benchmark_data.batches WHERE refused <> '[]'")
    assert [(each["span_id"], each["error"]) for each in ledger["refused"]] == [("AQ==", "<>"), ("Ag==", "pear")]
    assert ledger["undecodable_spans"] == [["AA==", "Aw==", "", "pear"], ["AA==", "BA==", "", "<>"]]
    again = run(Scan(store._database, Searching(), revise).run(BEGINNING))
    assert (again.violations, again.elsewhere) == ([], {})


def test_a_document_that_nobody_can_read_is_none(run, store, rows):
    run(store.apply(batch(closed(whole()))))
    for statement in PLANTED.replace(WORD, "medlar").split(";\n"):
        run(execute(store, statement))
    run(execute(store, "DELETE FROM benchmark_data.deep_samples"))
    run(Scan(store._database, Searching(), revise).run(BEGINNING))
    assert rows("SELECT reason, patch FROM benchmark_data.audit") == [{"reason": "<WITHHELD:failed>", "patch": None}]
