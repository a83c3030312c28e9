"""Statistics are current at every moment, settled or not; records go with all that is theirs, statistics stay."""

from __future__ import annotations

import uuid
from datetime import UTC, timedelta

import msgspec
import psycopg
import pytest
from support.facts import NOON, batch, closed, evaluation, execution, late, lost, many, revise, routing, whole
from support.store import assert_balanced, execute, id_of

from collector_processor.convert.union import unite
from collector_processor.model.facts import Agent, Facts
from collector_processor.store.figures import read_figures
from collector_processor.store.maintenance import FOLD_AFTER, Retired, retire
from collector_processor.store.maintenance import settle as settle_statistics
from collector_processor.store.quarantine import Quarantine
from collector_processor.store.tiers import Lifetimes

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
HOURLY = "SELECT * FROM benchmark.agent_statistics ORDER BY bucket, agent_id, task_type"
DAILY = "SELECT * FROM benchmark.agent_statistics_daily ORDER BY bucket, agent_id, task_type"


def done(number, after, latency, *, agent="alpha", score=0.75):
    """A task that began so long after noon, and took that many milliseconds."""
    each = {"task_id": f"t-{number}", "start": NOON + after}
    facts = whole(number, **each)
    return closed(
        msgspec.structs.replace(
            facts,
            executions=(execution(number, latency_ms=latency, agent=agent and Agent(agent), **each),),
            routings=() if agent is None else facts.routings,
            evaluations=(evaluation(number, overall_score=score, **each),),
        )
    )


@pytest.fixture
def statistics(rows):
    """All of both views, near enough to be compared: sums of sums differ in their last bits."""

    def ask():
        found = rows(HOURLY), rows(DAILY)
        return [
            [
                {name: pytest.approx(value) if isinstance(value, float) else value for name, value in row.items()}
                for row in view
            ]
            for view in found
        ]

    return ask


@pytest.fixture
def three_days(run, store):
    """Sixty tasks over three days, one of them without an agent."""
    tasks = [done(n, n * HOUR, 100.0 * n, agent=f"agent-{n % 3}", score=n / 100) for n in range(1, 60)]
    run(store.apply(batch(*tasks, done(60, HOUR, 1.0, agent=None))))


def test_settling_changes_no_answer(three_days, statistics, settle, rows):
    before = statistics()
    assert settle() == 59
    assert rows("SELECT FROM benchmark_data.stale_hours") == []
    hourly, daily = statistics()
    assert [hourly, daily] == before
    assert (len(hourly), len(daily)) == (60, 10)
    assert sum(row["total_tasks"] for row in daily) == 60
    assert settle() == 0


def test_a_settled_hour_that_changes_is_current_before_and_after_it_is_settled_again(
    run, store, three_days, statistics, settle, rows
):
    settle()
    settled = statistics()
    run(
        store.apply(
            batch(late(Facts(evaluations=(evaluation(5, 9, overall_score=0.9, start=NOON + 6 * HOUR),)), trace=5))
        )
    )
    assert [row["revision"] for row in rows("SELECT revision FROM benchmark.data_points WHERE task_id = 't-5'")] == [2]
    current = statistics()
    [changed] = [row for row, old in zip(current[0], settled[0], strict=True) if row != old]
    assert (changed["bucket"], changed["avg_quality"]) == (NOON + 5 * HOUR, 0.9)
    assert len([row for row, old in zip(current[1], settled[1], strict=True) if row != old]) == 1
    assert settle() == 1
    assert statistics() == current


def test_a_record_that_is_discarded_leaves_its_hour(run, store, statistics, settle):
    run(store.apply(batch(done(1, 0 * HOUR, 5.0))))
    settle()
    quarantine = Quarantine(store._database, revise, unite)
    run(quarantine.discard(id_of(), author="a", reason="b"))
    assert statistics() == [[], []]
    settle()
    assert statistics() == [[], []]


def test_the_percentile_of_a_day_is_that_of_its_tasks(run, store, rows, settle):
    run(store.apply(batch(*(done(n, n * timedelta(minutes=7), float(n)) for n in range(1, 101)))))
    for _ in range(2):
        [day] = rows(DAILY)
        assert day["p95_latency_ms"] == pytest.approx(95.0, rel=0.01)
        settle()


def test_averages_can_be_merged_by_their_weights(run, store, three_days, rows, settle):
    settle()
    [merged] = rows(
        "SELECT sum(avg_quality * evaluated_tasks) / sum(evaluated_tasks) AS quality,"
        " sum(avg_latency_ms * timed_tasks) / sum(timed_tasks) AS latency,"
        " sum(avg_tokens * metered_tasks) / sum(metered_tasks) AS tokens FROM benchmark.agent_statistics_daily"
    )
    [exact] = rows(
        "SELECT avg(overall_score) AS quality, avg(latency_ms) AS latency, avg(tokens_used)::float8 AS tokens"
        " FROM benchmark.data_points"
    )
    assert merged == pytest.approx(exact)


def test_names_and_numbers_out_of_all_bounds_stop_no_statistics(run, store, rows, settle):
    endless = [execution(n, latency_ms=1e308, cost_usd=1e308, task_id=f"t-{n}") for n in (1, 2)]
    tasks = [whole(n, task_id=f"t-{n}", type="x" * 9000) for n in (1, 2)]
    tasks = [msgspec.structs.replace(facts, executions=(fact,)) for facts, fact in zip(tasks, endless, strict=True)]
    run(store.apply(batch(*map(closed, tasks))))
    for _ in range(2):
        [row] = rows(HOURLY)
        assert (row["total_tasks"], row["avg_latency_ms"], row["task_type"]) == (2, 1e12, "x" * 200)
        settle()


def test_a_change_that_commits_while_hours_are_settled_is_not_lost(
    run, open_store, store, url, statistics, settle, full_server
):
    """Its entry is written before the settler reads, its commit comes after: nothing may take the entry for seen."""
    run(store.apply(batch(done(1, 0 * HOUR, 5.0))))

    async def scenario():
        async with open_store(name="slow") as slow, slow._database.writing() as connection:
            await connection.execute("INSERT INTO benchmark_data.stale_hours (hour) VALUES (%s)", [NOON])
            settled = await settle_statistics(url)
            await connection.execute("UPDATE benchmark_data.points SET overall_score = 0.25")
            return settled

    assert run(scenario()) == 1
    current = statistics()
    assert current[0][0]["avg_quality"] == 0.25
    assert settle() == 1
    assert statistics() == current


# -- Retention -------------------------------------------------------------------------------------------------


@pytest.fixture
def grow_old(run, url):
    """Retires what is older than two days, so many days after noon."""
    return lambda days, **more: run(retire(url, Lifetimes(**{"retain_records": 2 * DAY} | more), NOON + days * DAY))


def test_old_records_go_and_their_statistics_stay(run, store, three_days, statistics, grow_old, rows):
    run(store.apply(batch(lost(routing(70, 9, task_id="other", start=NOON - DAY)))))
    before = statistics()
    assert grow_old(4) == Retired(records=36, spans_waiting=1)
    assert statistics() == before
    [kept] = rows("SELECT count(*) AS records, min(timestamp) AS oldest FROM benchmark.data_points")
    assert (kept["records"], kept["oldest"]) == (24, (NOON + 36 * HOUR))
    assert rows("SELECT count(*)::int AS keys FROM benchmark_data.point_keys") == [{"keys": 24}]
    assert rows("SELECT FROM benchmark.orphans") == []
    assert_balanced(rows)
    ledger = run(read_figures(store._database)).ledger
    assert ledger.expired == 35 * 5 + 4 + 1
    assert ledger.spans == sum(ledger[1:])
    assert grow_old(4) == Retired()
    assert statistics() == before


def test_nothing_goes_where_nothing_shall(three_days, grow_old, rows):
    assert grow_old(4000, retain_records=None) == Retired()
    assert len(rows("SELECT FROM benchmark.data_points")) == 60


def test_what_comes_for_a_record_that_is_gone_is_stored_anew_and_goes_again(
    run, store, three_days, statistics, grow_old, rows
):
    grow_old(4)
    before = statistics()
    assert run(store.apply(batch(done(1, HOUR, 100.0)))).in_points == 5
    assert len(rows("SELECT FROM benchmark.data_points WHERE task_id = 't-1'")) == 1
    assert statistics() == before
    assert grow_old(4) == Retired(records=1)
    assert statistics() == before
    assert_balanced(rows)


def test_facts_that_wait_for_their_task_go_too(run, store, grow_old, rows):
    run(store.apply(batch(late(Facts(executions=(execution(),))))))
    run(execute(store, "UPDATE benchmark_data.awaited SET since = %s", NOON))
    assert grow_old(4) == Retired(spans_waiting=1)
    assert rows("SELECT FROM benchmark_data.point_keys") == []
    assert_balanced(rows)


def test_statistics_and_decisions_go_at_last(run, store, three_days, grow_old, statistics, rows, tier):
    grow_old(4)
    run(
        execute(
            store,
            "INSERT INTO benchmark_data.audit (time, id, action, author, reason) VALUES (%s, %s, 'release', 'a', 'b')",
            NOON,
            uuid.uuid4(),
        )
    )
    settled = rows("SELECT count(*)::int AS hours FROM benchmark_data.hourly_statistics")
    grow_old(800)
    assert rows("SELECT FROM benchmark_data.audit") == []
    assert rows("SELECT FROM benchmark_data.hourly_statistics") == []
    assert (settled == [{"hours": 0}]) == (tier in ("timescaledb", "given"))


def test_old_ledger_rows_become_one_a_day_and_say_the_same(run, store, grow_old, rows):
    for n in range(1, 4):
        run(store.apply(batch(*many(2, first=2 * n))))
    run(store.apply(batch(lost(routing(7, 9, task_id="t-2")))))
    run(execute(store, "UPDATE benchmark_data.batches SET applied_at = %s", NOON))
    sums = (
        "SELECT kind, sum(in_points) AS in_points, sum(accepted) AS accepted, sum(revised) AS revised"
        " FROM benchmark_data.batches GROUP BY kind"
    )
    before = rows(sums)
    grow_old(1 + FOLD_AFTER / DAY, retain_records=None)
    assert rows(sums) == before
    [folded] = rows("SELECT applied_at FROM benchmark_data.batches WHERE kind = 'batch'")
    assert folded["applied_at"].astimezone(UTC) == NOON.replace(hour=0)
    assert_balanced(rows)


def test_a_second_maintainer_leaves_it_to_the_first(run, store, url, three_days, rows, settle, full_server):
    with psycopg.connect(url, autocommit=True) as first:
        first.execute("SELECT pg_advisory_lock(5496113320472830561)")
        assert settle() == 0
        assert run(retire(url, Lifetimes(retain_records=DAY), NOON + 9 * DAY)) == Retired()
    assert len(rows("SELECT FROM benchmark.data_points")) == 60
    assert settle() == 59
