"""Values that are wrong: stored as far as they can be, and flagged."""

from __future__ import annotations

import math
import uuid

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from support.lifecycle import evaluation, execution, foreign, route, task, tool_call
from support.processor import Processor, anomalies, fact_spans, gates, own

from otel_benchmark import attributes as a

pytestmark = pytest.mark.usefixtures("good_neighbour")


def orphans(processor: Processor, trace_id: bytes) -> dict[str, str]:
    rows = processor.rows("SELECT span_id, kind FROM orphans WHERE trace_id = %(trace)s", trace=trace_id.hex())
    return {row["span_id"]: row["kind"] for row in rows}


def test_scores_that_are_no_numbers_are_null_and_flagged(processor):
    mine = own(
        task(attributes={a.TASK_REWARD: math.nan}),
        route(attributes={a.ROUTING_CONFIDENCE: math.inf, a.ROUTING_PROPENSITY: -math.inf}),
        execution(attributes={a.EXECUTION_SUCCESS: True, a.EXECUTION_COST_USD: math.nan}),
        tool_call(attributes={a.TURN_NUMBER: 1, a.TURN_REWARD: math.inf, a.TURN_TASK_PROGRESS: 0.5}),
        evaluation(attributes={a.EVALUATION_OVERALL_SCORE: math.nan, a.RUBRIC_TASK: -math.inf, a.RUBRIC_COST: 0.25}),
    )
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert anomalies(record) == {
        (name, "not_finite")
        for name in (
            a.TASK_REWARD,
            a.ROUTING_CONFIDENCE,
            a.ROUTING_PROPENSITY,
            a.EXECUTION_COST_USD,
            a.TURN_REWARD,
            a.EVALUATION_OVERALL_SCORE,
            a.RUBRIC_TASK,
        )
    }
    (turn,) = record["rlLabels"]["turns"]
    assert (turn["turnReward"], turn["taskProgress"]) == (None, 0.5)
    assert record["evaluation"]["overallScore"] is None
    assert record["evaluation"]["rubricScores"]["cost"] == 0.25
    assert record["rlLabels"]["totalReward"] is None
    assert (record["verdict"]["valid"], record["verdict"]["rlReady"]) == (True, False)
    assert "evaluation.overallScore is not reported" in gates(record)["reported"]


@pytest.mark.parametrize("first", ["task", "evaluation"])
def test_a_score_that_is_no_number_is_flagged_wherever_its_evaluation_comes_from(processor, first):
    mine = own(task(), route(), execution())
    elsewhere = own(
        evaluation(9, parent=0, attributes={a.EVALUATION_OVERALL_SCORE: math.nan, a.RUBRIC_TASK: 0.5}),
        task_id=mine.task_id,
    )
    if first == "task":
        processor.send(*mine.spans)
        processor.flush()
    processor.send(*elsewhere.spans)
    processor.flush()
    if first == "evaluation":
        assert orphans(processor, elsewhere.trace_id)
        processor.send(*mine.spans)
        processor.flush()
    record = processor.record(mine.task_id)
    assert record["evaluation"]["overallScore"] is None
    assert record["evaluation"]["rubricScores"]["task"] == 0.5
    assert anomalies(record) == {(a.EVALUATION_OVERALL_SCORE, "not_finite")}


def test_a_score_outside_its_range_is_kept_and_fails_a_gate(processor):
    mine = own(task(), route(), execution(), evaluation(attributes={a.EVALUATION_OVERALL_SCORE: 17.0}))
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert record["evaluation"]["overallScore"] == 17.0
    assert gates(record)["numeric-bounds"] == "evaluation.overallScore = 17.0 is not 0..1"
    (quarantined,) = processor.rows("SELECT gates_failed FROM quarantine WHERE task_id = %(t)s", t=mine.task_id)
    assert "numeric-bounds" in quarantined["gates_failed"]


def test_nul_characters_are_taken_out_and_flagged(processor):
    task_id = f"task-{uuid.uuid4().hex}"
    mine = own(
        task(attributes={a.TASK_DESCRIPTION: "before\0after", a.TASK_REQUIREMENTS: ["one\0", "two"]}),
        route(attributes={a.ROUTING_RATIONALE: "\0"}),
        execution(error="it\0broke"),
        task_id=f"{task_id[:9]}\0{task_id[9:]}",
    )
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(task_id)
    assert record["task"]["description"] == "beforeafter"
    assert record["task"]["requirements"] == ["one", "two"]
    assert record["routing"]["rationale"] is None
    assert record["execution"]["failureReason"] == "itbroke"
    named = (a.TASK_ID, a.TASK_DESCRIPTION, a.TASK_REQUIREMENTS, a.ROUTING_RATIONALE, "status.message")
    assert anomalies(record) == {(name, "nul_removed") for name in named}


def test_an_attribute_of_ten_megabytes_is_shortened_and_flagged(processor):
    whole = task(attributes={a.TASK_DESCRIPTION: "é" * 5_000_000})
    huge = foreign(5)
    huge.attributes.append(KeyValue(key="http.request.body", value=whole.attributes[-1].value))
    mine = own(whole, route(), execution(), huge)
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    kept = record["task"]["description"]
    assert kept == "é" * (len(kept) - 1) + "…"  # what may be half a value at the cut is left out too
    assert 700 < len(kept) < 1024
    assert anomalies(record) == {(a.TASK_DESCRIPTION, "shortened")}
    assert len(fact_spans(record)) == 3
    assert not record["completeness"]["truncated"]


def test_values_outside_the_enums_are_kept_and_warned_of(processor):
    strange = evaluation(attributes={a.EVALUATOR_KIND: "oracle"})
    strange.status.CopyFrom(Status(code=99))
    mine = own(
        task(attributes={a.TASK_TYPE: "juggling", a.TASK_COMPLEXITY: "gigantic"}, kind=77),
        route(attributes={a.ROUTING_STRATEGY: "tarot"}),
        execution(attributes={a.EXECUTION_SUCCESS: True}),
        strange,
    )
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert (record["task"]["type"], record["task"]["complexity"]) == ("juggling", "gigantic")
    assert record["routing"]["strategy"] == "tarot"
    assert [reason.partition(" is not among ")[0] for reason in gates(record)["enums"].split("; ")] == [
        "task.type = 'juggling'",
        "task.complexity = 'gigantic'",
        "routing.strategy = 'tarot'",
        "evaluation.evaluator.kind = 'oracle'",
    ]
    assert record["verdict"]["valid"]


def test_a_task_without_a_type_is_stored_and_quarantined(processor):
    whole = task()
    del whole.attributes[1]
    whole.name = "task"
    mine = own(whole, route(), execution())
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert record["task"]["type"] is None
    assert gates(record)["required-fields"] == "task.type is missing"
    assert (record["verdict"]["valid"], record["state"]) == (False, "quarantined")
    assert len(fact_spans(record)) == 3
