"""Late evaluations in every accepted form, of spans and of log records, seconds and days after their task."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry._logs import LogRecord as SdkLogRecord
from opentelemetry.context import Context
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from support.clocked import clocked_path
from support.lifecycle import T0, evaluation, execution, foreign, model_call, route, span_id, task, tool_call
from support.logs import CONTENT, evaluated, log, logs_payload
from support.processor import Own, Processor, http_request, own, select, wait_until

from otel_benchmark import attributes as a
from otel_benchmark import lifecycle
from otel_benchmark.environment import Settings as PluginSettings
from otel_benchmark.runtime import RUNTIME
from otel_benchmark.tasks import KNOWN_TASKS

DAY = 24 * 3600


def unjudged(**more: Any) -> Own:
    return own(task(), route(), execution(), tool_call(), model_call(7), **more)


def of(mine: Own, score: float = 0.7, *, span: int = 1, **more: Any) -> LogRecord:
    return evaluated(score, span=span, trace_id=mine.trace_id, **more)


def evaluations_of(processor: Processor, record: dict[str, Any]) -> list[tuple[float, bool]]:
    query = "SELECT overall_score, is_current FROM evaluations WHERE id = %(id)s ORDER BY timestamp"
    return [tuple(row.values()) for row in processor.rows(query, id=record["id"])]


def link_to(mine: Own, span: int) -> Link:
    trace_id = int.from_bytes(mine.trace_id, "big")
    return Link(SpanContext(trace_id, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)))


def orphans(processor: Processor, trace_id: bytes) -> list[str]:
    query = "SELECT kind FROM orphans WHERE trace_id = %(trace)s"
    return [row["kind"] for row in processor.rows(query, trace=trace_id.hex())]


# -- Log records -----------------------------------------------------------------------------------


@pytest.mark.parametrize("span", [1, 3, 7], ids=["task", "agent", "model call"])
def test_a_log_record_evaluates_the_span_that_it_names(processor, span):
    mine = unjudged()
    processor.send_logs(of(mine, span=span))
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert (record["revision"], record["evaluation"]["overallScore"]) == (1, 0.7)
    (fact,) = record["facts"]["evaluations"]
    assert (fact["logged"], fact["joined"], fact["spanId"]) == (True, False, span_id(span).hex())
    assert record["evaluation"]["qualityGates"][0]["name"] == "relevance"
    processor.assert_balanced()


def test_a_late_log_record_revises_the_record_and_the_newest_counts(processor):
    mine = unjudged()
    processor.send(*mine.spans)
    processor.flush()
    before = processor.record(mine.task_id)
    assert before["evaluation"] is None
    rubric = {a.RUBRIC_FORMAT: 1.0, a.RUBRIC_TOOL: 1.0, a.RUBRIC_TASK: 0.5, a.RUBRIC_COST: 1.0, a.RUBRIC_SAFETY: 1.0}
    processor.send_logs(of(mine, 0.5, attributes=rubric, at=2000))
    processor.flush()
    processor.send_logs(of(mine, 0.9, at=1000), of(mine, 0.9, at=1000))
    processor.flush()
    record = processor.record(mine.task_id)
    assert (record["id"], record["revision"]) == (before["id"], 3)
    assert evaluations_of(processor, record) == [(0.9, False), (0.5, True)]
    assert [gate["score"] for gate in record["evaluation"]["qualityGates"]] == [0.5]
    labels = record["rlLabels"]
    # code-editing weighs the minimal change, which nobody judged: no reward is invented.
    assert (labels["totalReward"], labels["rewardVersion"]) == (None, "rubric-1/code-editing")
    assert {term["name"]: term["value"] for term in labels["rewardTerms"]}["task"] == 0.5
    processor.assert_balanced()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_an_evaluation_by_the_sdk_s_own_exporters_of_logs(processor, protocol):
    resource = {"service.name": "evaluator"}
    with processor.tracing(protocol, resource) as tracing:
        with tracing.get_tracer("app").start_as_current_span("task research", attributes={a.TASK_ID: protocol}) as span:
            pass
        named = span.get_span_context()
    processor.flush()
    with processor.logging(protocol, resource) as logging:
        logging.get_logger("evals").emit(
            SdkLogRecord(
                timestamp=time.time_ns(),
                context=set_span_in_context(NonRecordingSpan(named), Context()),
                event_name=a.GEN_AI_EVALUATION_EVENT,
                attributes={a.EVALUATION_OVERALL_SCORE: 0.25, a.GEN_AI_EVALUATION_NAME: "harm", "other": "x"},
            )
        )
        logging.get_logger("app").emit(SdkLogRecord(timestamp=time.time_ns(), body="starting"))
    processor.flush()
    record = processor.record(protocol)
    assert (record["revision"], record["evaluation"]["overallScore"]) == (2, 0.25)
    processor.assert_balanced()


def test_log_records_as_json(processor):
    mine = unjudged()
    processor.send(*mine.spans)
    processor.flush()
    request = ExportLogsServiceRequest.FromString(logs_payload([of(mine)]))
    document = json_format.MessageToDict(request)
    (scope,) = document["resourceLogs"][0]["scopeLogs"]
    scope["logRecords"][0] |= {"traceId": mine.trace_id.hex(), "spanId": span_id(1).hex()}
    body = json.dumps(document).encode()
    answer = http_request(processor.ready["otlp_http"], "POST", "/v1/logs", body, {"content-type": "application/json"})
    assert (answer.status, answer.body) == (200, b"{}")
    processor.flush()
    assert processor.record(mine.task_id)["evaluation"]["overallScore"] == 0.7


def test_every_log_record_has_a_named_ending(processor):
    mine = unjudged()
    before = processor.terms()
    processor.send(*mine.spans)
    processor.send_logs(
        of(mine), of(mine), evaluated(trace_id=b""), log("app.start", trace_id=mine.trace_id), log("app.crash")
    )
    processor.send_logs(of(mine))
    processor.send_logs(log(CONTENT, trace_id=mine.trace_id, span=7, body="Hello"))
    processor.flush()
    change = {name: count - before[name] for name, count in processor.terms().items() if count != before[name]}
    # Five spans, one evaluation and the messages of a model call; the evaluation came three times.
    assert change == {"received": 12, "traceless": 1, "foreign": 2, "duplicate": 2, "handed_over": 7}
    assert processor.record(mine.task_id)["evaluation"]["overallScore"] == 0.7
    processor.assert_balanced()


def test_an_evaluation_that_two_signals_carry_counts_once(processor):
    record = evaluated(0.6, span=3, at=500)
    event = Span.Event(name=a.GEN_AI_EVALUATION_EVENT, time_unix_nano=record.time_unix_nano)
    event.attributes.extend(record.attributes)
    mine = own(task(), execution(events=[event]))
    processor.send(*mine.spans)
    processor.flush()
    record.trace_id = mine.trace_id
    processor.send_logs(record)
    processor.flush()
    stored = processor.record(mine.task_id)
    assert (stored["revision"], len(stored["facts"]["evaluations"])) == (1, 1)
    processor.assert_balanced()


def test_what_stands_in_a_log_record_is_redacted(processor):
    mine = unjudged()
    said = {a.GEN_AI_EVALUATION_EXPLANATION: "Mail to jane.roe@example.com was sent"}
    processor.send(*mine.spans)
    processor.send_logs(of(mine, attributes=said))
    processor.flush()
    record = processor.record(mine.task_id)
    explained = record["evaluation"]["qualityGates"][0]["explanation"]
    assert "jane.roe" not in json.dumps(record)
    assert explained.startswith("Mail to ")
    assert (a.GEN_AI_EVALUATION_EXPLANATION, "redacted") in {
        (each["field"], each["problem"]) for each in record["facts"]["anomalies"]
    }


# -- Spans -----------------------------------------------------------------------------------------


def test_an_evaluation_by_the_sdk_with_a_link(processor):
    mine = unjudged()
    processor.send(*mine.spans)
    processor.flush()
    provider: TracerProvider
    with processor.tracing("grpc", {"service.name": "evaluator"}) as provider:
        tracer = provider.get_tracer("app")
        with tracer.start_as_current_span("evaluate human", links=[link_to(mine, 1)]) as span:
            span.add_event(a.GEN_AI_EVALUATION_EVENT, {a.GEN_AI_EVALUATION_NAME: "helpful", a.GATE_PASSED: True})
            span.set_attributes({a.EVALUATION_OVERALL_SCORE: 0.8, a.EVALUATOR_KIND: "human"})
    wait_until(lambda: processor.record(mine.task_id)["revision"] == 2)
    assert processor.record(mine.task_id)["evaluation"]["overallScore"] == 0.8
    processor.assert_balanced()


def test_feedback_of_openinference_with_a_link(processor):
    """The judged span is a model call, and nothing in the evaluator's trace tells of a task."""
    mine = unjudged()
    processor.send(*mine.spans)
    processor.flush()
    with processor.tracing("http/protobuf", {"service.name": "evals"}) as provider:
        said = {"evaluations.0.evaluation.name": "harm", "evaluations.0.evaluation.score": 0.25}
        kind = {a.OPENINFERENCE_KIND: a.OPENINFERENCE_EVALUATOR}
        links = [link_to(mine, 7)]
        provider.get_tracer("app").start_span("harm evaluation", links=links, attributes=said | kind).end()
    wait_until(lambda: processor.record(mine.task_id)["revision"] == 2)
    record = processor.record(mine.task_id)
    assert [(gate["name"], gate["score"]) for gate in record["evaluation"]["qualityGates"]] == [("harm", 0.25)]
    assert record["facts"]["evaluations"][0]["joined"]
    processor.assert_balanced()


def test_an_evaluation_by_the_plugin_s_api(processor):
    """What an application's author writes: keep the traceparent with the result, name it when the verdict comes."""
    with processor.tracing("http/protobuf", {"service.name": "arbiter"}) as provider:
        RUNTIME.configure(PluginSettings(), provider)
        with lifecycle.task(id="by-api") as current:
            kept = current.traceparent
    processor.flush()
    KNOWN_TASKS._tasks.clear()  # another process
    with processor.tracing("http/protobuf", {"service.name": "reviews"}) as provider:
        RUNTIME.configure(PluginSettings(), provider)
        with lifecycle.evaluation(of=kept, evaluator_name="reviewer", evaluator_kind="human") as verdict:
            verdict.record(overall_score=0.75)
    RUNTIME.configure()
    wait_until(lambda: processor.record("by-api")["revision"] == 2)
    record = processor.record("by-api")
    assert (record["evaluation"]["overallScore"], record["evaluation"]["evaluator"]["kind"]) == (0.75, "human")
    processor.assert_balanced()


def test_what_waits_for_its_task_is_told(processor):
    lonely = own(evaluation(9, parent=0))
    processor.send(*lonely.spans)
    wait_until(lambda: orphans(processor, lonely.trace_id) == ["evaluation"])
    waiting = processor.fresh_status().waiting
    assert waiting is not None
    assert (waiting.facts >= waiting.evaluations >= 1, waiting.max_facts) == (True, 100_000)
    assert waiting.oldest_seconds is not None
    assert waiting.oldest_seconds < waiting.max_seconds == 30 * DAY
    assert "facts without their task" in processor.run("status").stdout
    assert b"otel_benchmark_waiting_facts" in processor.admin("/metrics").body


# -- Days ------------------------------------------------------------------------------------------


def linked(mine: Own) -> Span:
    (span,) = own(evaluation(9, parent=0), task_id="another").spans
    span.links.append(Span.Link(trace_id=mine.trace_id, span_id=span_id(1)))
    return span


FORMS: dict[str, Callable[[Own], Span | LogRecord]] = {
    "a root with a link": linked,
    "a root with the task's id": lambda mine: own(evaluation(9, parent=0), task_id=mine.task_id).spans[0],
    "a child of the task": lambda mine: own(evaluation(9), trace_id=mine.trace_id, task_id="another").spans[0],
    "a log record of the task": of,
    "a log record of a model call": lambda mine: of(mine, span=7),
    "a log record with the task's id": lambda mine: of(mine, span=0, attributes={a.TASK_ID: mine.task_id}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wait", [5, 3 * DAY], ids=["seconds", "days"])
def test_days_later_is_as_good_as_seconds_later(tmp_path, postgres_url, form, wait):
    mine = unjudged()
    late = FORMS[form](mine)
    if isinstance(late, Span):
        late.start_time_unix_nano, late.end_time_unix_nano = (T0 + (wait + n) * 10**9 for n in (11, 12))
    else:
        late.time_unix_nano = T0 + (wait + 11) * 10**9

    async def run() -> None:
        async with clocked_path(tmp_path / "data", postgres_url) as path:
            await path.send(*mine.spans)
            await path.wait(11)
            assert [row["revision"] for row in stored(postgres_url)] == [1]
            await path.wait(wait)
            await (path.send(late) if isinstance(late, Span) else path.log(late))
            await path.wait(11)
            await path.wait(601)
            await path.assert_balanced()

    asyncio.run(run())
    (row,) = stored(postgres_url)
    assert (row["revision"], row["task_id"]) == (2, mine.task_id)
    assert row["overall_score"] == (0.9 if isinstance(late, Span) else 0.7)
    assert select(postgres_url, "SELECT * FROM orphans") == []


def stored(postgres_url: str) -> list[dict[str, Any]]:
    return select(postgres_url, "SELECT task_id, revision, overall_score, record FROM data_points")


@pytest.mark.parametrize("form", FORMS)
def test_an_evaluation_that_comes_days_before_its_task_waits_for_it(tmp_path, postgres_url, form):
    mine = unjudged()
    early = FORMS[form](mine)

    async def run() -> None:
        async with clocked_path(tmp_path / "data", postgres_url) as path:
            await (path.send(early) if isinstance(early, Span) else path.log(early))
            await path.wait(11)
            await path.wait(601)
            assert (path.front.counters.open, path.front.counters.orphaned) == (0, 1)
            assert [row["kind"] for row in select(postgres_url, "SELECT kind FROM orphans")] == ["evaluation"]
            await path.wait(3 * DAY)
            await path.send(*mine.spans)
            await path.wait(11)
            await path.assert_balanced()

    asyncio.run(run())
    (row,) = stored(postgres_url)
    assert (row["revision"], row["overall_score"]) == (1, 0.9 if isinstance(early, Span) else 0.7)
    assert row["record"]["facts"]["anomalies"] == []
    assert select(postgres_url, "SELECT * FROM orphans") == []


def test_beside_other_spans_of_its_task_an_evaluation_waits_in_the_journal(tmp_path, postgres_url):
    mine = unjudged()

    async def run() -> None:
        async with clocked_path(tmp_path / "data", postgres_url) as path:
            await path.send(*mine.spans[1:])
            await path.log(of(mine), log(CONTENT, trace_id=mine.trace_id, span=7))
            await path.wait(3600)
            assert path.front.counters.open == 6
            await path.send(mine.spans[0])
            await path.wait(11)
            await path.assert_balanced()

    asyncio.run(run())
    (row,) = stored(postgres_url)
    (fact,) = row["record"]["facts"]["evaluations"]
    assert (row["revision"], fact["joined"]) == (1, False)


def test_content_that_no_task_claims_leaves_as_foreign_spans_do(tmp_path, postgres_url):
    mine = own(foreign(5, parent=0))

    async def run() -> None:
        async with clocked_path(tmp_path / "data", postgres_url) as path:
            await path.send(*mine.spans)
            await path.log(log(CONTENT, trace_id=mine.trace_id, span=5), log(CONTENT, trace_id=b"\x01" * 16, span=6))
            await path.wait(601)
            assert (path.front.counters.open, path.front.counters.foreign) == (0, 3)
            await path.assert_balanced()

    asyncio.run(run())


def test_after_a_restart_log_records_still_go_with_their_task(new_processor):
    processor = new_processor(GRACE="1m")
    processor.start()
    mine = unjudged()
    processor.send_logs(of(mine), log(CONTENT, trace_id=mine.trace_id, span=7))
    processor.kill()
    processor.start()
    processor.send(*mine.spans)
    processor.flush()
    assert processor.record(mine.task_id)["evaluation"]["overallScore"] == 0.7
    processor.assert_balanced()
