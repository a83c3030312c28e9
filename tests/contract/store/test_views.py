"""The views: their columns as promised, and what one rich record looks like in each."""

from __future__ import annotations

from functools import reduce
from operator import getitem

import msgspec
import psycopg
import pytest
from support.facts import (
    NOON,
    SECOND,
    batch,
    closed,
    evaluation,
    execution,
    identity,
    lost,
    many,
    revise,
    routing,
    task,
    tool_call,
    whole,
)
from support.store import execute, id_of

from collector_processor.convert.union import arrange
from collector_processor.model.facts import (
    Agent,
    Authorship,
    Caws,
    Evaluator,
    Facts,
    MinimalDiffMetrics,
    ModelCallFact,
    QualityGate,
    Source,
    TurnFact,
    TurnScores,
)
from collector_processor.model.record import FailedGate, Severity, State, Verdict, decode_point
from collector_processor.model.stages import GuardedPoint

STATISTICS = """bucket, agent_id, task_type, total_tasks, successful_tasks, invalid_tasks, success_rate, avg_quality,
    stddev_quality, avg_latency_ms, p95_latency_ms, avg_tokens, total_cost_usd, judged_tasks, evaluated_tasks,
    timed_tasks, metered_tasks"""
COLUMNS = {
    "data_points": """id, timestamp, task_id, task_type, complexity, tenant_id, agent_id, agent_name, model_family,
        strategy, confidence, explored, propensity, success, partial_success, failure_reason, latency_ms,
        time_to_first_action_ms, tokens_used, input_tokens, thinking_tokens, output_tokens, cost_usd, tool_call_count,
        tool_call_success_rate, token_efficiency, overall_score, caws_compliant, budget_compliant,
        passed_all_mandatory, final_outcome, total_reward, reward_version, adjusted_count, group_id, attempt, valid,
        rl_ready, state, gates_failed, completeness, ended_by, convention, service_name, schema_version, revision,
        trace_id, span_id, record""",
    "routing_decisions": """id, span_id, timestamp, task_id, task_type, complexity, agent_id, agent_name, model_family,
        strategy, confidence, explored, propensity, policy_version, rationale, alternatives, agent_success_rate,
        agent_avg_quality, agent_task_count""",
    "task_executions": """id, span_id, timestamp, task_id, agent_id, success, partial_success, failure_reason,
        latency_ms, tokens_used, input_tokens, thinking_tokens, output_tokens, cost_usd, cpu_time_ms,
        memory_peak_bytes, tool_call_count""",
    "tool_calls": """id, span_id, timestamp, task_id, agent_id, turn_number, tool_name, success, effective, latency_ms,
        error_type, information_gain, format_correctness, task_progress, safety_score, turn_reward""",
    "turns": """id, timestamp, task_id, agent_id, turn_number, tool_called, information_gain, format_correctness,
        task_progress, safety_score, turn_reward""",
    "evaluations": """id, span_id, timestamp, task_id, agent_id, evaluator_name, evaluator_version, evaluator_kind,
        rubric_version, overall_score, format, tool, task, minimal, cost, safety, caws_compliant, budget_compliant,
        passed_all_mandatory, gates, minimal_diff, is_current""",
    "agent_statistics": STATISTICS,
    "agent_statistics_daily": STATISTICS,
    "gate_results": "hour, task_type, gate, severity, checked, failed, pass_rate",
    "failed_gates": "id, timestamp, task_id, task_type, agent_id, state, gate, severity, reason",
    "outlier_bounds": "window_start, window_end, task_type, measure, tasks, median, deviation, mad_bound, p99",
    "quarantine": "id, timestamp, task_id, gates_failed, record",
    "orphans": "span_id, trace_id, timestamp, kind, task_id, waiting_since",
    "erasures": "number, time, kind, subject, removed, author, reason",
    "erased_records": "id, timestamp, erasure, erased_at",
    "judge_disagreements": """id, timestamp, task_id, task_type, agent_id, evaluator_score, judge_score, difference,
        verdict, agreement, judge, rubric, inclusion_probability, policy""",
    "deep_samples": """id, timestamp, task_id, facet, inclusion_probability, policy, content, status, reason, gaps,
        analyser, bytes, seconds, calls, analysed_at""",
}
COLUMNS["exportable"] = COLUMNS["data_points"]
FLOATS = (
    "confidence propensity latency_ms time_to_first_action_ms cost_usd tool_call_success_rate token_efficiency "
    "overall_score total_reward adjusted_count agent_success_rate agent_avg_quality cpu_time_ms information_gain "
    "format_correctness task_progress safety_score turn_reward format tool task minimal cost safety success_rate "
    "avg_quality stddev_quality avg_latency_ms p95_latency_ms avg_tokens total_cost_usd inclusion_probability "
    "pass_rate median deviation mad_bound p99"
)
TYPES = (
    dict.fromkeys(FLOATS.split(), "double precision")
    | dict.fromkeys(
        ["timestamp", "bucket", "waiting_since", "hour", "window_start", "window_end"], "timestamp with time zone"
    )
    | dict.fromkeys(["gates_failed", "completeness"], "ARRAY")
    | dict.fromkeys(["record", "alternatives", "gates", "minimal_diff", "content"], "jsonb")
    | {"id": "uuid", "trace_id": "text", "span_id": "text"}
)


def test_views_and_columns_are_as_promised(rows):
    found = rows(
        "SELECT table_name AS view, column_name AS name, data_type AS type FROM information_schema.columns"
        " WHERE table_schema = 'benchmark' ORDER BY table_name, ordinal_position"
    )
    views = {view: [row["name"] for row in found if row["view"] == view] for view in (row["view"] for row in found)}
    assert views == {view: columns.replace(",", " ").split() for view, columns in COLUMNS.items()}
    typed = {(row["view"], row["name"]): row["type"] for row in found if row["name"] in TYPES}
    assert typed == {(view, name): TYPES[name] for view, name in typed}


# -- One rich record -------------------------------------------------------------------------------------------


def model_call(number, **tokens):
    """Below the first execution, whose span reports no tokens of its own."""
    return ModelCallFact(**identity(1, number, 3, NOON + SECOND, 1), execution_span_id=f"{3:016x}", model="m", **tokens)


def rich() -> Facts:
    """Two routings, a failed first execution, two tools of which one is reported twice, two evaluations."""
    second = {"execution_span_id": f"{21:016x}", "tool_name": "run_tests", "call_id": "c-1", "start": NOON + SECOND}
    silent = {"input_tokens": None, "output_tokens": None, "thinking_tokens": None, "cost_usd": None}
    turn = TurnFact(
        time="2026-11-22T12:00:05.000000000Z", scores=TurnScores(number=3, information_gain=0.25, reward=0.125)
    )
    gates = (QualityGate("lint", passed=False, mandatory=True), QualityGate("style", passed=True))
    early = Evaluator("early", None, "model")
    return Facts(
        task=task(
            tenant="ab" * 32,
            group_id="g-1",
            attempt=2,
            sampler="AlwaysOnSampler",
            source=Source(service_name="arbiter", service_namespace="acme"),
            authorship=Authorship(ai_assisted=True),
            caws=Caws(spec_id="spec-1"),
        ),
        routings=(
            routing(),
            routing(span=20, start=NOON + SECOND, selected_id="beta", selected_name="Beta", explored=False),
        ),
        executions=(
            execution(agent=Agent("alpha"), success=False, failure_reason="ran out", start=NOON - SECOND, **silent),
            execution(span=21, agent=Agent("beta", "Beta", "2"), turns=(turn,), start=NOON + SECOND),
        ),
        tool_calls=(
            tool_call(),
            tool_call(span=22, number=2, error_type="TimeoutError", success=False, **second),
            tool_call(span=23, number=None, task_id=None, parent=22, **second),
        ),
        model_calls=(
            model_call(30, input_tokens=11, output_tokens=7, cost_usd=0.5),
            model_call(31, input_tokens=1, output_tokens=1),
        ),
        evaluations=(
            evaluation(evaluator=early, overall_score=0.25, start=NOON - SECOND, quality_gates=gates),
            evaluation(span=25, minimal_diff=MinimalDiffMetrics(0.5, 2, 0.125, 0.0, 0.75)),
        ),
    )


@pytest.fixture
def filled(run, store, rows):
    """Asks one view, in which the rich record is the only one."""
    run(store.apply(batch(closed(rich()))))
    return lambda view, order="1": rows(f"SELECT * FROM benchmark.{view} ORDER BY {order}")


def expect(row, **values):
    assert {name: row[name] for name in values} == values


FROM_RECORD = """
    confidence routing.confidence
    success execution.success
    partial_success execution.partialSuccess
    failure_reason execution.failureReason
    latency_ms execution.latencyMs
    time_to_first_action_ms execution.timeToFirstActionMs
    tokens_used execution.tokensUsed
    input_tokens execution.inputTokens
    thinking_tokens execution.thinkingTokens
    output_tokens execution.outputTokens
    cost_usd execution.costUsd
    tool_call_count execution.toolCallCount
    tool_call_success_rate execution.toolCallSuccessRate
    token_efficiency execution.tokenEfficiency
    overall_score evaluation.overallScore
    caws_compliant evaluation.cawsCompliant
    budget_compliant evaluation.budgetCompliant
    passed_all_mandatory evaluation.passedAllMandatory
    final_outcome rlLabels.finalOutcome
    total_reward rlLabels.totalReward
    reward_version rlLabels.rewardVersion
    adjusted_count sampling.adjustedCount
    valid verdict.valid
    rl_ready verdict.rlReady
    state state
    completeness completeness.seen
    ended_by completeness.endedBy
    convention provenance.convention
    service_name provenance.source.serviceName
    schema_version schemaVersion
    revision revision
    trace_id provenance.traceId
    span_id provenance.spanId
"""


def test_data_points(filled):
    [point] = filled("data_points")
    expect(point, id=id_of(), timestamp=NOON, task_id="t-1", task_type="code-editing", complexity="standard")
    expect(point, tenant_id="ab" * 32, group_id="g-1", attempt=2)
    expect(point, agent_id="beta", agent_name="Beta", model_family="small", strategy="multi-armed-bandit")
    expect(point, explored=False, propensity=0.25, overall_score=0.75, tool_call_count=2)
    record = point["record"]
    for column, path in (line.split() for line in FROM_RECORD.strip().splitlines()):
        assert point[column] == reduce(getitem, path.split("."), record), column
    assert point["gates_failed"] == [failed["gate"] for failed in record["verdict"]["gatesFailed"]]


def test_the_record_is_the_whole_data_point(run, store, rows):
    run(store.apply(batch(closed(rich()))))
    [row] = rows("SELECT record::text AS record FROM benchmark.data_points")
    assert decode_point(row["record"]) == revise(id_of(), arrange(rich()), 1).point


def test_routing_decisions(filled):
    first, second = filled("routing_decisions", "span_id")
    expect(first, id=id_of(), span_id=f"{2:016x}", timestamp=NOON, task_id="t-1", task_type="code-editing")
    expect(first, complexity="standard", agent_id="alpha", agent_name="Alpha", model_family="small", explored=True)
    expect(first, strategy="multi-armed-bandit", confidence=0.75, propensity=0.25, policy_version="7")
    expect(first, rationale="untested", agent_success_rate=0.5, agent_avg_quality=0.625, agent_task_count=12)
    assert [each["agentId"] for each in first["alternatives"]] == ["alpha", "beta"]
    expect(second, agent_id="beta", explored=False)


def test_a_lone_routing_decision_has_no_id(run, store, rows):
    run(store.apply(batch(lost(routing(2, 9, task_id=None)))))
    [decided] = rows("SELECT * FROM benchmark.routing_decisions")
    expect(decided, id=None, task_id=None, task_type=None, timestamp=NOON, agent_id="alpha", agent_task_count=12)


def test_task_executions(filled):
    """Where an execution reports no tokens, those of the model calls below it count, never both."""
    first, second = filled("task_executions", "span_id")
    expect(first, id=id_of(), span_id=f"{3:016x}", timestamp=NOON, task_id="t-1", agent_id="alpha", success=False)
    expect(first, failure_reason="ran out", tool_call_count=1, cost_usd=0.5)
    expect(first, tokens_used=20, input_tokens=12, output_tokens=8, thinking_tokens=None)
    expect(second, agent_id="beta", success=True, partial_success=False, latency_ms=8000.0, tool_call_count=1)
    expect(second, tokens_used=1000, input_tokens=900, output_tokens=100, thinking_tokens=40, cost_usd=0.125)
    expect(second, cpu_time_ms=20.0, memory_peak_bytes=4096)


def test_tool_calls(filled):
    """A call that two spans report is one row."""
    first, second = filled("tool_calls", "span_id")
    expect(first, id=id_of(), span_id=f"{4:016x}", timestamp=NOON, task_id="t-1", agent_id="alpha", turn_number=1)
    expect(first, tool_name="read_file", success=True, effective=False, latency_ms=500.0, error_type=None)
    expect(first, information_gain=0.5, format_correctness=1.0, task_progress=0.25, safety_score=0.875, turn_reward=0.5)
    expect(second, agent_id="beta", turn_number=2, tool_name="run_tests", success=False, error_type="TimeoutError")


def test_tool_calls_without_numbers_are_numbered_as_turns_are(run, store, rows):
    calls = tuple(
        tool_call(span=10 + n, number=None, start=NOON + (4 - n) * SECOND, tool_name=f"tool-{n}") for n in range(4)
    )
    run(store.apply(batch(closed(msgspec.structs.replace(whole(), tool_calls=calls)))))
    found = rows("SELECT turn_number AS turn, tool_name AS tool FROM benchmark.tool_calls ORDER BY 1")
    assert [row["tool"] for row in found] == ["tool-3", "tool-2", "tool-1", "tool-0"]
    assert found == rows("SELECT turn_number AS turn, tool_called AS tool FROM benchmark.turns ORDER BY 1")


def test_turns(filled):
    first, second, third = filled("turns", "turn_number")
    expect(first, turn_number=1, tool_called="read_file", information_gain=0.5, turn_reward=0.5)
    expect(second, turn_number=2, tool_called="run_tests")
    expect(third, turn_number=3, tool_called=None, information_gain=0.25, turn_reward=0.125, safety_score=None)
    expect(third, id=id_of(), timestamp=NOON, task_id="t-1", agent_id="beta")


def test_evaluations(filled):
    first, second = filled("evaluations", "span_id")
    expect(first, id=id_of(), evaluator_name="early", evaluator_version=None, evaluator_kind="model", is_current=False)
    expect(first, overall_score=0.25, passed_all_mandatory=False, minimal_diff=None, agent_id="beta")
    assert [gate["name"] for gate in first["gates"]] == ["lint", "style"]
    expect(second, evaluator_name="rubric", rubric_version="3", overall_score=0.75, is_current=True)
    expect(second, format=1.0, tool=0.5, task=0.75, minimal=0.5, cost=0.25, safety=1.0)
    expect(second, caws_compliant=True, budget_compliant=True, passed_all_mandatory=True)
    assert second["minimal_diff"]["rewardMultiplier"] == 0.75


# -- What is hidden --------------------------------------------------------------------------------------------


def critical(id_, facts, revision):
    """As the gates would judge a record in which a secret was found."""
    point = revise(id_, facts, revision).point
    verdict = Verdict(valid=False, rl_ready=False, gates_failed=(FailedGate("secrets", Severity.CRITICAL, "a key"),))
    return GuardedPoint(msgspec.structs.replace(point, verdict=verdict, state=State.QUARANTINED))


def test_a_record_with_a_critical_failure_is_in_quarantine_only(run, open_store, rows):
    async def scenario():
        async with open_store(revise=critical) as store:
            await store.apply(batch(*many(1)))

    run(scenario())
    for view in COLUMNS.keys() - {"gate_results"}:
        assert len(rows(f"SELECT FROM benchmark.{view}")) == (view == "quarantine"), view
    # Counts show nothing of the record, and without them a critical gate would never be seen to fail.
    assert rows("SELECT gate, failed FROM benchmark.gate_results") == [{"gate": "secrets", "failed": 1}]
    [held] = rows("SELECT * FROM benchmark.quarantine")
    expect(held, task_id="t-1", gates_failed=["secrets"])
    assert held["record"]["verdict"]["gatesFailed"][0]["reason"] == "a key"


def test_an_invalid_record_is_seen_everywhere(run, store, rows):
    run(store.apply(batch(closed(Facts(task=task(), executions=(execution(),), tool_calls=(tool_call(),))))))
    [point] = rows("SELECT valid, state, gates_failed FROM benchmark.data_points")
    expect(point, valid=False, state="quarantined")
    assert "required-sections" in point["gates_failed"]
    for view in ("task_executions", "tool_calls", "turns", "agent_statistics", "quarantine"):
        assert len(rows(f"SELECT FROM benchmark.{view}")) == 1, view
    assert rows("SELECT invalid_tasks FROM benchmark.agent_statistics") == [{"invalid_tasks": 1}]


def test_deep_samples_follow_their_record(run, store, rows):
    run(store.apply(batch(*many(1))))
    insert = (
        "INSERT INTO benchmark_data.deep_samples SELECT id, timestamp, 'judge', 0.2, 'always', '{\"a\": 1}'"
        " FROM benchmark_data.points"
    )
    run(execute(store, insert))
    [sample] = rows("SELECT * FROM benchmark.deep_samples")
    expect(sample, id=id_of(), facet="judge", inclusion_probability=0.2, content={"a": 1})
    run(execute(store, "UPDATE benchmark_data.points SET state = 'discarded'"))
    assert rows("SELECT FROM benchmark.deep_samples") == []


# -- How they are read -----------------------------------------------------------------------------------------

HOT = {
    "points_agent": "SELECT * FROM benchmark.data_points WHERE agent_id = 'agent-7' AND timestamp > '2026-01-01'",
    "point_keys_task": "SELECT * FROM benchmark.tool_calls WHERE task_id = 't-7'",
    "point_keys_trace": f"SELECT * FROM benchmark.data_points WHERE trace_id = '{7:032x}'",
    "point_keys_pkey": f"SELECT * FROM benchmark.turns WHERE id = '{id_of()}'",
    "points_key": "SELECT * FROM benchmark.tool_calls WHERE timestamp > '2026-11-22T12:03:00Z'",
}


def test_hot_queries_use_indexes(run, store, url):
    tasks = []
    for n in range(1, 201):
        each = {"task_id": f"t-{n}", "start": NOON + n * SECOND}
        run_by = (execution(n, agent=Agent(f"agent-{n % 50}"), **each),)
        tasks.append(closed(msgspec.structs.replace(whole(n, **each), executions=run_by)))
    run(store.apply(batch(*tasks)))
    with psycopg.connect(url) as connection:
        connection.execute("ANALYZE benchmark_data.points")
        # Two hundred rows fit a few pages, which are cheaper to read through.
        connection.execute("SET enable_seqscan = off")
        for index, query in HOT.items():
            plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {query}").fetchall())
            assert index in plan, plan
