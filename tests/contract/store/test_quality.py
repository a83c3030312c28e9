"""What the gates said by the hour, always current; and what is usual for a type of task."""

from __future__ import annotations

import math
import random
import statistics
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from support.facts import NOON, SECOND, batch, closed, execution, late, many, revise, task, whole
from support.store import execute, id_of

from collector_processor.convert.union import unite
from collector_processor.guard import GateSettings
from collector_processor.model.facts import Facts
from collector_processor.model.record import FailedGate, GateName, Severity, State, Verdict
from collector_processor.model.stages import GuardedPoint
from collector_processor.store import quality
from collector_processor.store.maintenance import retire
from collector_processor.store.maintenance import settle as settle_statistics
from collector_processor.store.quality import Window
from collector_processor.store.quarantine import Quarantine
from collector_processor.store.tiers import Lifetimes

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ME = {"author": "ada", "reason": "looked at it"}
SEVERITIES = GateSettings().severities_in_force()
RESULT = "hour, task_type, gate, severity, checked, failed"


@pytest.fixture
def database(store):
    return store._database


def unrouted(trace, *, start=NOON, **more):
    """A record that lacks its routing and its evaluation: an error, and two incomplete ones."""
    run = execution(trace, task_id=f"t-{trace}", start=start)
    return closed(Facts(task=task(trace, task_id=f"t-{trace}", start=start, **more), executions=(run,)))


@pytest.fixture
def results(rows):
    """Asks `gate_results`: the columns of RESULT, as tuples."""

    def ask(where="failed > 0"):
        found = rows(f"SELECT {RESULT} FROM benchmark.gate_results WHERE {where} ORDER BY {RESULT}")
        return [tuple(row.values()) for row in found]

    return ask


# -- What the gates said -----------------------------------------------------------------------------------------


def test_results_are_the_same_before_and_after_settling(run, store, settle, results):
    run(store.apply(batch(unrouted(1), *many(2, first=2))))
    for settled in (1, 0):
        assert results() == [
            (NOON, "code-editing", "reported", "incomplete", 3, 1),
            (NOON, "code-editing", "required-sections", "error", 3, 1),
            (NOON, "code-editing", "required-sections", "incomplete", 3, 1),
        ]
        assert settle() == settled


def test_a_revision_of_a_settled_hour_is_seen_at_once(run, store, settle, results):
    run(store.apply(batch(unrouted(1), unrouted(2, start=NOON + HOUR))))
    settle()
    run(store.apply(batch(late(Facts(routings=whole().routings)))))
    for settled in (1, 0):
        errors = results("severity = 'error' AND failed > 0")
        assert errors == [(NOON + HOUR, "code-editing", "required-sections", "error", 1, 1)]
        assert settle() == settled


def test_every_gate_is_there_where_records_are(run, store, database, settle, rows):
    run(quality.record_gates(database, SEVERITIES))
    run(store.apply(batch(*many(4), unrouted(9, start=NOON + HOUR, type=None))))
    for _ in range(2):
        found = rows("SELECT * FROM benchmark.gate_results WHERE task_type IS NOT NULL")
        assert {(row["gate"], row["severity"]) for row in found} == SEVERITIES
        assert {(row["checked"], row["failed"], row["pass_rate"]) for row in found} == {(4, 0, 1.0)}
        [row] = rows("SELECT * FROM benchmark.gate_results WHERE task_type IS NULL AND gate = 'required-fields'")
        assert (row["hour"], row["checked"], row["failed"], row["pass_rate"]) == (NOON + HOUR, 1, 1, 0.0)
        settle()


def test_gates_are_those_of_the_processor_that_started_last(run, database, rows):
    run(quality.record_gates(database, {(GateName.TIMING, Severity.ERROR), (GateName.ENUMS, Severity.WARNING)}))
    run(quality.record_gates(database, {(GateName.ENUMS, Severity.ERROR)}))
    assert rows("SELECT gate, severity FROM benchmark_data.gates") == [{"gate": "enums", "severity": "error"}]


def withheld(id_, facts, revision):
    point = revise(id_, facts, revision).point
    verdict = Verdict(valid=False, rl_ready=False, gates_failed=(FailedGate("secrets", Severity.CRITICAL, "a key"),))
    return GuardedPoint(msgspec.structs.replace(point, verdict=verdict, state=State.QUARANTINED))


@pytest.fixture
def store_withheld(run, open_store):
    """Stores records in which a secret was found."""

    async def apply(*tasks):
        async with open_store(name="strict", revise=withheld) as strict:
            await strict.apply(batch(*tasks))

    return lambda *tasks: run(apply(*tasks))


def test_withheld_records_count_and_discarded_ones_do_not(run, store, database, store_withheld, settle, results):
    store_withheld(*many(2))
    run(store.apply(batch(*many(2, first=3))))
    for _ in range(2):
        assert results() == [(NOON, "code-editing", "secrets", "critical", 4, 2)]
        settle()
    run(Quarantine(database, revise, unite).discard(id_of(1), **ME))
    for _ in range(2):
        assert results() == [(NOON, "code-editing", "secrets", "critical", 3, 1)]
        settle()


def test_a_change_that_commits_while_its_hour_is_counted_stays_marked(
    run, url, open_store, store, settle, rows, full_server
):
    """A writer holds its transaction open over a whole settlement: its hour is counted without it, and again later."""
    run(store.apply(batch(*many(1))))

    async def both():
        async with open_store(name="writer") as other, other._database.writing() as writing:
            await writing.execute("INSERT INTO benchmark_data.stale_hours (hour) VALUES ('2026-11-22T12:00Z')")
            assert await settle_statistics(url) == 1

    run(both())
    assert rows("SELECT hour FROM benchmark_data.stale_hours") == [{"hour": NOON}]
    assert settle() == 1


def test_results_stay_when_records_go_until_their_own_time_has_come(run, url, store, settle, rows, results):
    """A late task of a retired hour marks it again; what was counted is final all the same."""
    run(store.apply(batch(unrouted(1), unrouted(2, start=NOON + 3 * DAY))))
    settle()
    counted = results()
    assert len(counted) == 6
    now = NOON + 3 * DAY + HOUR
    assert run(retire(url, Lifetimes(retain_records=DAY, retain_statistics=None), now)).records == 1
    assert results() == counted
    run(store.apply(batch(*many(1, first=3))))
    for _ in range(2):
        assert results() == counted
        settle()
    assert rows("SELECT FROM benchmark_data.stale_hours") == []
    run(retire(url, Lifetimes(retain_records=None, retain_statistics=DAY), now))
    assert {result[0] for result in results("true")} == {NOON + 3 * DAY}


def test_rows_from_before_severities_were_kept_count_alike(run, store, database, settle, rows, results):
    run(store.apply(batch(unrouted(1), *many(1, first=2))))
    counted = results()
    listed = run(Quarantine(database, revise, unite).newest())
    run(execute(store, "UPDATE benchmark_data.points SET gate_severities = NULL"))
    for _ in range(2):
        assert results() == counted
        settle()
    assert run(Quarantine(database, revise, unite).newest()) == listed
    assert len(listed[0].severities) == len(listed[0].gates_failed) == 3


def test_reasons_stand_in_failed_gates(run, store, rows):
    run(store.apply(batch(unrouted(1), *many(1, first=2))))
    [error] = rows("SELECT task_id, gate, reason FROM benchmark.failed_gates WHERE severity = 'error'")
    assert error == {"task_id": "t-1", "gate": "required-sections", "reason": "routing is missing"}
    [point] = rows("SELECT gates_failed, gate_severities FROM benchmark_data.points WHERE task_id = 't-1'")
    pairs = [tuple(row.values()) for row in rows("SELECT gate, severity FROM benchmark.failed_gates")]
    assert list(zip(point["gates_failed"], point["gate_severities"], strict=True)) == pairs


def test_what_exports_take(run, store, database, rows):
    run(store.apply(batch(unrouted(1), unrouted(2), *many(2, first=3))))
    quarantine = Quarantine(database, revise, unite)
    assert {row["task_id"] for row in rows("SELECT task_id FROM benchmark.exportable")} == {"t-3", "t-4"}
    run(quarantine.release(id_of(1), **ME))
    run(quarantine.discard(id_of(3), **ME))
    assert {row["task_id"] for row in rows("SELECT task_id FROM benchmark.exportable")} == {"t-1", "t-4"}


# -- What is usual -----------------------------------------------------------------------------------------------

WEEK = Window(NOON - timedelta(days=7), NOON)


def timed(number, latency_ms, tokens=1000, *, start, type_="code-editing"):
    each = {"task_id": f"t-{number}", "start": start}
    took = execution(number, **each, latency_ms=latency_ms, input_tokens=tokens, output_tokens=0)
    return closed(msgspec.structs.replace(whole(number, **each, type=type_), executions=(took,)))


@pytest.fixture
def baselines(run, database, settle):
    """Measures a window, and reads what was usual in it."""

    def measure(window=WEEK):
        settle()
        run(quality.measure(database, window))
        return run(quality.read_baselines(database, window.end))

    return measure


def test_the_window_ends_with_the_last_full_hour():
    now = datetime(2026, 11, 22, 13, 59, 59, 999, tzinfo=timezone(2 * HOUR))
    assert Window.before(now, timedelta(days=7)) == Window(
        datetime(2026, 11, 15, 11, tzinfo=UTC), datetime(2026, 11, 22, 11, tzinfo=UTC)
    )


def test_what_is_usual_is_what_the_tasks_of_the_window_show(run, store, baselines):
    random_ = random.Random(5)
    latencies = [random_.lognormvariate(9, 0.7) for _ in range(300)]
    tokens = [round(random_.lognormvariate(7, 0.3)) for _ in range(300)]
    tasks = [
        timed(number + 1, latency, token, start=WEEK.start + number * timedelta(minutes=30))
        for number, (latency, token) in enumerate(zip(latencies, tokens, strict=True))
    ]
    for at in range(0, 300, 100):
        run(store.apply(batch(*tasks[at : at + 100])))
    baseline = baselines()["code-editing"]
    assert baseline.window_start == "2026-11-15T12:00:00.000000000Z"
    assert baseline.window_end == "2026-11-22T12:00:00.000000000Z"
    for spread, values in ((baseline.latency_ms, latencies), (baseline.tokens_used, tokens)):
        assert spread.tasks == 300
        logarithms = [math.log(value) for value in values]
        median = statistics.median(logarithms)
        deviation = 1.4826 * statistics.median([abs(each - median) for each in logarithms])
        assert math.log(spread.median) == pytest.approx(median, abs=0.03)
        assert spread.deviation == pytest.approx(deviation, abs=0.05)
        above = sum(value > spread.p99 for value in values)
        assert above <= 3
        assert sum(value > spread.p99 / 1.03 for value in values) >= 3


def test_only_the_window_and_the_type_count(run, store, baselines):
    hour_before, last_hour = WEEK.start - SECOND, WEEK.end - SECOND
    run(
        store.apply(
            batch(
                timed(1, 1e6, start=hour_before),
                timed(2, 100.0, start=WEEK.start),
                timed(3, 100.0, start=last_hour),
                timed(4, 1e6, start=WEEK.end),
                timed(5, 5000.0, start=last_hour, type_="research"),
                timed(6, 5000.0, start=last_hour, type_=None),
                timed(7, 100.0, 0, start=last_hour, type_="design"),
            )
        )
    )
    found = baselines()
    tasks = {type_: baseline.latency_ms.tasks for type_, baseline in found.items()}
    assert tasks == {"code-editing": 2, "design": 1, "research": 1}
    assert found["code-editing"].latency_ms.median == pytest.approx(100, rel=0.01)
    assert found["research"].latency_ms.median == pytest.approx(5000, rel=0.01)
    assert found["design"].tokens_used is None


def test_tasks_that_are_all_alike_still_leave_room(run, store, baselines):
    run(store.apply(batch(*(timed(number, 100.0, start=NOON - SECOND) for number in range(1, 20)))))
    assert baselines()["code-editing"].latency_ms.deviation == 0.1


def test_discarded_and_withheld_records_are_not_usual(run, store, database, store_withheld, baselines):
    store_withheld(timed(1, 9e9, start=NOON - HOUR))
    run(store.apply(batch(*(timed(number, 100.0, start=NOON - HOUR) for number in (2, 3, 4)))))
    run(Quarantine(database, revise, unite).discard(id_of(2), **ME))
    assert baselines()["code-editing"].latency_ms.tasks == 2


def test_a_window_that_is_measured_again_is_replaced_and_old_ones_go(run, store, rows, baselines):
    run(store.apply(batch(timed(1, 100.0, start=NOON - HOUR))))
    baselines()
    run(store.apply(batch(timed(2, 100.0, start=NOON - HOUR))))
    assert baselines()["code-editing"].latency_ms.tasks == 2
    assert rows("SELECT count(*) AS held FROM benchmark.outlier_bounds") == [{"held": 2}]
    later = Window(NOON, NOON + timedelta(days=91))
    run(store.apply(batch(timed(3, 100.0, start=later.end - HOUR))))
    baselines(later)
    assert {row["window_end"] for row in rows("SELECT window_end FROM benchmark.outlier_bounds")} == {later.end}
    assert {row["hour"] for row in rows("SELECT hour FROM benchmark_data.hourly_measures")} == {later.end - HOUR}


def test_what_was_usual_long_ago_is_not_usual_now(run, store, database, baselines):
    assert run(quality.read_baselines(database, NOON)) == {}
    run(store.apply(batch(timed(1, 100.0, start=NOON - HOUR))))
    assert baselines()
    assert run(quality.read_baselines(database, NOON + timedelta(days=7) - SECOND))
    assert run(quality.read_baselines(database, NOON + timedelta(days=7))) == {}
