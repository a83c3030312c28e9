"""What TimescaleDB adds: chunks on both editions; compressed ones, which stay writable, and policies on Community."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from support.facts import NOON, batch, closed, evaluation, late, lost, revise, whole
from support.store import assert_balanced, counts, execute, id_of

from collector_processor.convert.union import unite
from collector_processor.model.facts import Facts
from collector_processor.store.quarantine import Quarantine

HOUR = timedelta(hours=1)
FULL = ("timescaledb", "given")


@pytest.fixture
def compressed(run, store, rows, tier):
    """Forty tasks in five chunks, four of them compressed where the tier can; how many are."""
    tasks = [closed(whole(n, task_id=f"t-{n}", start=NOON + 3 * n * HOUR)) for n in range(1, 41)]
    run(store.apply(batch(*tasks)))
    if tier not in FULL:
        return 0
    chunks = rows(
        "SELECT compress_chunk(chunk) FROM show_chunks('benchmark_data.points', older_than => %s) AS chunk",
        [NOON + 4 * 24 * HOUR],
    )
    return len(chunks)


def test_a_revision_of_a_compressed_record(run, store, rows, compressed, tier):
    assert compressed == (4 if tier in FULL else 0)
    again = [
        late(Facts(evaluations=(evaluation(n, 9, overall_score=0.5, start=NOON + (3 * n + 1) * HOUR),)), trace=n)
        for n in range(1, 41)
    ]
    assert counts(run(store.apply(batch(*again)))) == {"in_points": 40, "revised": 40}
    assert rows("SELECT DISTINCT revision, overall_score FROM benchmark.data_points") == [
        {"revision": 2, "overall_score": 0.5}
    ]
    assert rows("SELECT count(*)::int AS records FROM benchmark_data.points") == [{"records": 40}]
    assert_balanced(rows)


def test_an_orphan_joins_a_compressed_record_by_its_task(run, store, rows, compressed):
    orphan = evaluation(90, 9, task_id="t-3", start=NOON + 10 * HOUR)
    assert counts(run(store.apply(batch(lost(orphan))))) == {"in_points": 1, "revised": 1}
    assert rows("SELECT task_id FROM benchmark.data_points WHERE revision = 2") == [{"task_id": "t-3"}]


@pytest.mark.parametrize("by", ["span", "link", "task"])
def test_a_log_record_or_a_linked_span_finds_a_compressed_record(run, store, rows, compressed, by):
    """Days after its task an evaluation has no other way than through the database."""
    said = {"overall_score": 0.25, "start": NOON + 30 * 24 * HOUR, "task_id": None}
    if by == "span":
        fact = evaluation(3, 4, **said, fact_id=f"{77:048x}", logged=True, parent_span_id=f"{4:016x}")
    elif by == "link":
        fact = evaluation(90, 9, **said, parent=None, links=(f"{3:032x}{1:016x}",))
    else:
        fact = evaluation(90, 9, **said | {"task_id": "t-3"}, parent=None)
    assert counts(run(store.apply(batch(lost(fact))))) == {"in_points": 1, "revised": 1}
    found = rows("SELECT task_id, overall_score FROM benchmark.data_points WHERE revision = 2")
    assert [tuple(row.values()) for row in found] == [("t-3", 0.25)]
    history = rows("SELECT overall_score, is_current FROM benchmark.evaluations WHERE task_id = 't-3' ORDER BY 1")
    assert [tuple(row.values()) for row in history] == [(0.25, True), (0.75, False)]
    assert_balanced(rows)


def test_a_task_of_a_compressed_time_is_stored(run, store, rows, compressed):
    assert counts(run(store.apply(batch(closed(whole(50, task_id="new", start=NOON + 4 * HOUR))))))["in_points"] == 5
    assert len(rows("SELECT FROM benchmark.data_points WHERE task_id = 'new'")) == 1
    assert run(store.apply(batch(closed(whole(50, task_id="new", start=NOON + 4 * HOUR))))).duplicate == 5


def test_decisions_about_compressed_records(run, store, rows, compressed):
    run(
        execute(
            store, "UPDATE benchmark_data.point_keys SET state = 'quarantined' WHERE task_id IN ('t-1', 't-2', 't-3')"
        )
    )
    run(
        execute(
            store,
            "UPDATE benchmark_data.points SET state = 'quarantined',"
            " record = jsonb_set(record, '{state}', '\"quarantined\"') WHERE task_id IN ('t-1', 't-2', 't-3')",
        )
    )
    quarantine = Quarantine(store._database, revise, unite)
    assert [each.task_id for each in run(quarantine.newest())] == ["t-3", "t-2", "t-1"]
    by = {"author": "a", "reason": "b"}
    run(quarantine.release(id_of(1), **by))
    run(quarantine.discard(id_of(2), **by))
    step = [{"op": "replace", "path": "/execution/failureReason", "value": "because"}]
    run(quarantine.correct(id_of(3), step, time="2026-11-22T00:00:00.000000000Z", **by))
    found = rows(
        "SELECT task_id, state, failure_reason, revision FROM benchmark.data_points WHERE timestamp < %s",
        [NOON + 10 * HOUR],
    )
    assert sorted(tuple(row.values()) for row in found) == [
        ("t-1", "released", None, 1),
        ("t-3", "accepted", "because", 2),
    ]
    assert_balanced(rows)


@pytest.mark.parametrize(
    "question",
    ["task_id = 't-7'", f"trace_id = '{7:032x}'", f"id = '{id_of(7)}'"],
)
def test_a_compressed_record_is_found_by_each_of_its_names(run, rows, compressed, question):
    for view in ("data_points", "tool_calls", "evaluations"):
        if view == "data_points" or "trace" not in question:
            assert len(rows(f"SELECT * FROM benchmark.{view} WHERE {question}")) == 1
    [found] = rows(f"SELECT record ->> 'id' AS id FROM benchmark.data_points WHERE {question}")
    assert found["id"] == str(id_of(7))


def test_a_stretch_of_time_touches_its_own_chunks_only(rows, compressed, tier):
    query = "SELECT agent_id, count(*) FROM benchmark.data_points WHERE timestamp >= %s AND timestamp < %s GROUP BY 1"
    plan = "\n".join(row["QUERY PLAN"] for row in rows(f"EXPLAIN {query}", [NOON + 30 * HOUR, NOON + 31 * HOUR]))
    touched = {word.strip("_") for word in plan.replace("(", " ").split() if word.startswith("_hyper_")}
    assert len({word.split("_chunk")[0] for word in touched}) == (0 if tier == "postgresql" else 1), plan
    assert "point_keys" not in plan, plan


def test_policies_are_there(rows, tier):
    if tier not in FULL:
        assert rows("SELECT to_regclass('benchmark_data.hourly_statistics_aggregate') AS found") == [{"found": None}]
        return
    jobs = rows(
        "SELECT proc_name, coalesce(config ->> 'compress_after', config ->> 'drop_after')::interval AS after"
        " FROM timescaledb_information.jobs WHERE job_id >= 1000 ORDER BY 1, 2"
    )
    assert [tuple(job.values()) for job in jobs] == (
        [("policy_compression", timedelta(days=7))] * 2 + [("policy_retention", timedelta(days=730))] * 4
    )


def test_the_scheduler_s_job_compresses_what_is_old(run, store, rows, place, tier):
    """The scheduler calls a job by its number, and so does this test: PGlite has none."""
    if tier not in FULL:
        return
    run(
        store.apply(
            batch(*(closed(whole(n, task_id=f"t-{n}", start=NOON - (3000 + n) * 24 * HOUR)) for n in range(1, 4)))
        )
    )
    with psycopg.connect(place.url, autocommit=True, prepare_threshold=None) as connection:
        for job in rows("SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'"):
            connection.execute("CALL run_job(%s)", [job["job_id"]])
    chunks = rows("SELECT is_compressed FROM timescaledb_information.chunks WHERE hypertable_name = 'points'")
    assert [chunk["is_compressed"] for chunk in chunks] == [True] * 3
    assert len(rows("SELECT record FROM benchmark.data_points")) == 3
