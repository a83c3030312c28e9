"""The wire form: the golden record of a real trace, and the committed JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid5

import jsonschema
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.golden import FILE, golden_record
from support.lifecycle import evaluation, execution, task
from support.records import record_of

from collector_processor.guard import GateSettings, judge
from collector_processor.model.record import POINT_NAMESPACE, decode_point, encode_point, point_id
from collector_processor.model.schema import committed_schema, encoded_schema, record_schema
from otel_benchmark import attributes as a

VALIDATOR = jsonschema.Draft202012Validator(record_schema(), format_checker=jsonschema.FormatChecker())

A_SUCCESS_CANNOT_SAY = {
    "execution.failureReason",
    "facts.executions[].failureReason",
    "facts.executions[].errorType",
    "facts.evaluations[].errorType",
    "facts.routings[].errorType",
    "facts.task.errorType",
}
SAID_ELSEWHERE = {
    "facts.evaluations[].authorship.aiAssisted": "on the task",
    "facts.evaluations[].authorship.commitHash": "on the task",
    "facts.evaluations[].caws.specId": "on the task",
    "facts.evaluations[].passedAllMandatory": "by the gates",
    "facts.task.authorship.humanReviewed": "on the evaluation",
    "facts.task.parentSpanId": "a root has none",
    "facts.task.reward": "it would go before ours",
    "facts.task.traceState": "the sampler says it",
    "facts.executions[].sameAs": "nothing else instruments the host",
    "facts.toolCalls[].sameAs": "nothing else instruments the host",
}


def wire(*spans: Span) -> Any:
    return json.loads(encode_point(judge(record_of(*spans), GateSettings()).point))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            for key, item in value.items():
                yield from leaves(item, f"{path}.{key}" if path else key)
        case list():
            for item in value:
                yield from leaves(item, f"{path}[]")
        case _:
            yield path, value


def test_the_golden_record_is_what_conversion_makes_of_its_trace() -> None:
    assert json.loads(golden_record()) == json.loads(FILE.read_bytes())
    assert golden_record() == FILE.read_bytes()


def test_the_golden_record_fills_every_field() -> None:
    found = list(leaves(json.loads(FILE.read_bytes())))
    filled = {path for path, value in found if value is not None}
    empty = {path for path, _ in found} - filled
    on_the_evaluation = {path for path in empty if path.startswith("facts.task.caws.")}
    assert empty - on_the_evaluation == A_SUCCESS_CANNOT_SAY | SAID_ELSEWHERE.keys()


def test_the_golden_record_is_valid_and_ready() -> None:
    point = decode_point(FILE.read_bytes())
    assert point.verdict is not None
    assert (point.verdict.valid, point.verdict.rl_ready) == (True, True)
    assert point.facts.anomalies == ()


def test_a_record_survives_the_wire() -> None:
    point = decode_point(FILE.read_bytes())
    assert decode_point(encode_point(point)) == point


def test_the_committed_schema_is_up_to_date() -> None:
    """Renew it by `python -m collector_processor.model.schema`."""
    assert committed_schema() == encoded_schema()


def test_the_schema_is_a_schema_and_the_golden_record_keeps_it() -> None:
    jsonschema.Draft202012Validator.check_schema(record_schema())
    VALIDATOR.validate(json.loads(FILE.read_bytes()))


def test_every_key_is_always_present() -> None:
    sparse = wire(task())
    VALIDATOR.validate(sparse)
    golden = json.loads(FILE.read_bytes())
    assert sparse.keys() == golden.keys()
    assert sparse["facts"].keys() == golden["facts"].keys()
    assert sparse["facts"]["task"].keys() == golden["facts"]["task"].keys()
    full = wire(task(), execution(), evaluation())
    assert full["execution"].keys() == golden["execution"].keys()
    assert full["evaluation"].keys() == golden["evaluation"].keys()


@pytest.mark.parametrize("path", ["verdict", "task.id", "facts.task.receivedAt", "facts.anomalies"])
def test_a_record_without_a_key_does_not_keep_the_schema(path: str) -> None:
    record = json.loads(FILE.read_bytes())
    *above, key = path.split(".")
    owner = record
    for part in above:
        owner = owner[part]
    del owner[key]
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(record)


def test_a_number_out_of_range_does_not_keep_the_schema_but_is_read() -> None:
    record = wire(task(), execution(), evaluation(attributes={a.EVALUATION_OVERALL_SCORE: 1.5}))
    assert record["state"] == "quarantined"
    with pytest.raises(jsonschema.ValidationError, match=r"1\.5"):
        VALIDATOR.validate(record)
    assert decode_point(json.dumps(record)).evaluation.overall_score == 1.5  # type: ignore[union-attr]


def test_a_points_id_is_a_name_based_uuid_of_its_task_span():
    trace_id, span_id = bytes(range(16)), bytes(range(8))
    expected = uuid5(POINT_NAMESPACE, trace_id.hex() + span_id.hex())
    assert point_id(trace_id, span_id) == expected
    assert point_id(trace_id, span_id) == expected, "the namespace's digest was changed"
    assert point_id(span_id + span_id, span_id) != expected
