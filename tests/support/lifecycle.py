"""Lifecycle spans with attributes, as an emitter would send them, and sealed tasks of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import StatusCode, Tracer, set_span_in_context

from collector_processor.model.facts import Ending
from collector_processor.model.stages import Member, RawTask, SealedTask, SealKind
from otel_benchmark import attributes as a

T0 = 1_763_812_800_000_000_000
"""2025-11-22T12:00:00Z, when tests' tasks are received."""
MS = 1_000_000
ARRIVED = T0 + 5_000 * MS
TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
RESOURCE = {
    a.SERVICE_NAME: "orchestrator",
    a.SERVICE_NAMESPACE: "acme",
    a.SERVICE_VERSION: "2.1.0",
    a.TELEMETRY_SDK_NAME: "opentelemetry",
    a.TELEMETRY_SDK_LANGUAGE: "python",
    a.TELEMETRY_SDK_VERSION: "1.45.0",
}


# -- Single spans ----------------------------------------------------------------------------------


def span_id(number: int) -> bytes:
    """The id of a test's span, from a small number; 0 is no span."""
    return number.to_bytes(8, "big") if number else b""


def value_of(value: Any) -> AnyValue:
    match value:
        case AnyValue():
            return value
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case None:
            return AnyValue()
        case _:
            return AnyValue(array_value=ArrayValue(values=[value_of(item) for item in value]))


def key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=value_of(value)) for name, value in attributes.items()]


def event(name: str, attributes: Mapping[str, Any], *, at: float = 0) -> Span.Event:
    return Span.Event(name=name, time_unix_nano=T0 + int(at * MS), attributes=key_values(attributes))


def span(
    number: int,
    name: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    parent: int = 0,
    start: float = 0,
    end: float = 1,
    events: Sequence[Span.Event] = (),
    links: Sequence[Span.Link] = (),
    error: str | None = None,
    trace_id: bytes = TRACE,
    **fields: Any,
) -> Span:
    """One span; `start` and `end` are milliseconds since T0, `error` is the message of an error status."""
    return Span(
        trace_id=trace_id,
        span_id=span_id(number),
        parent_span_id=span_id(parent),
        name=name,
        start_time_unix_nano=T0 + int(start * MS),
        end_time_unix_nano=T0 + int(end * MS),
        attributes=key_values(attributes or {}),
        events=events,
        links=links,
        status=None if error is None else Status(code=Status.STATUS_CODE_ERROR, message=error),
        **fields,
    )


def task(number: int = 1, *, end: float = 1000, **more: Any) -> Span:
    """A task span with the least that a valid one has; `more` goes to `span`, `attributes` on top."""
    attributes = {a.TASK_ID: "task-1", a.TASK_TYPE: "code-editing", **more.pop("attributes", {})}
    return span(number, "task code-editing", attributes, end=end, **more)


def route(number: int = 2, *, parent: int = 1, start: float = 10, end: float = 20, **more: Any) -> Span:
    attributes = {a.TASK_ID: "task-1", a.ROUTING_SELECTED_ID: "alpha", **more.pop("attributes", {})}
    return span(number, "route bandit", attributes, parent=parent, start=start, end=end, **more)


def execution(number: int = 3, *, parent: int = 1, start: float = 30, end: float = 530, **more: Any) -> Span:
    attributes = {
        a.TASK_ID: "task-1",
        a.GEN_AI_OPERATION_NAME: a.OPERATION_INVOKE_AGENT,
        a.GEN_AI_AGENT_NAME: "Alpha",
        a.AGENT_ID: "alpha",
        **more.pop("attributes", {}),
    }
    return span(number, "invoke_agent Alpha", attributes, parent=parent, start=start, end=end, **more)


def tool_call(number: int = 4, *, parent: int = 3, start: float = 100, end: float = 150, **more: Any) -> Span:
    attributes = {
        a.TASK_ID: "task-1",
        a.GEN_AI_OPERATION_NAME: a.OPERATION_EXECUTE_TOOL,
        a.GEN_AI_TOOL_NAME: "read_file",
        **more.pop("attributes", {}),
    }
    return span(number, "execute_tool read_file", attributes, parent=parent, start=start, end=end, **more)


def evaluation(number: int = 9, *, parent: int = 1, start: float = 600, end: float = 700, **more: Any) -> Span:
    attributes = {a.TASK_ID: "task-1", a.EVALUATION_OVERALL_SCORE: 0.9, **more.pop("attributes", {})}
    return span(number, "evaluate rubric", attributes, parent=parent, start=start, end=end, **more)


def model_call(number: int, *, parent: int = 3, start: float = 40, end: float = 90, **more: Any) -> Span:
    attributes = {a.GEN_AI_OPERATION_NAME: "chat", **more.pop("attributes", {})}
    return span(number, "chat small-model", attributes, parent=parent, start=start, end=end, **more)


def foreign(number: int, *, parent: int = 3, start: float = 40, end: float = 90) -> Span:
    """A span of some HTTP client: 580 bytes, nothing for us."""
    attributes = {
        "http.request.method": "POST",
        "url.full": "https://api.example.com/v1/chat/completions?stream=false&trace=" + "0" * 120,
        "server.address": "api.example.com",
        "server.port": 443,
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "user_agent.original": "python-httpx/0.28.1 " + "x" * 80,
        "thread.id": 140_203_456,
        "thread.name": "MainThread",
    }
    return span(number, "POST", attributes, parent=parent, start=start, end=end)


# -- Sealed tasks ----------------------------------------------------------------------------------


def payload(spans: Sequence[Span], resource: Mapping[str, Any] = RESOURCE, scope: str = a.SCOPE_NAME) -> bytes:
    """The spans as one `TracesData` message."""
    scope_spans = ScopeSpans(scope=InstrumentationScope(name=scope, version="0.1.0"), spans=spans)
    described = Resource(attributes=key_values(resource))
    return TracesData(resource_spans=[ResourceSpans(resource=described, scope_spans=[scope_spans])]).SerializeToString()


def raw_task(
    *payloads: bytes, kind: SealKind = SealKind.TASK, number: int = 1, arrived: int = ARRIVED, **sealed: Any
) -> RawTask:
    """A sealed task of all the payloads' spans; `number` is its task span's."""
    read = []
    for sequence, body in enumerate(payloads):
        traces = TracesData.FromString(body)
        spans = sum(len(scope.spans) for resource in traces.resource_spans for scope in resource.scope_spans)
        read.append((arrived + sequence * MS, body, tuple(range(spans))))
    members = tuple(Member(sequence, when, positions) for sequence, (when, _, positions) in enumerate(read))
    own = b"" if kind is SealKind.ORPHAN else span_id(number)
    return RawTask(SealedTask(kind, TRACE, own, members, **{"ended_by": Ending.TASK_ENDED, **sealed}), read)


def sealed(*spans: Span, **more: Any) -> RawTask:
    """A sealed task of these spans in one payload."""
    return raw_task(payload(spans), **more)


def usual_task() -> bytes:
    """A task of eight lifecycle spans that say what a first integration says: half of what `whole_task` does."""
    calls = [
        tool_call(
            10 + number,
            start=100 * number,
            end=100 * number + 50,
            attributes={
                a.GEN_AI_TOOL_TYPE: "function",
                a.GEN_AI_TOOL_CALL_ID: f"call_8f{number}",
                a.TOOL_SUCCESS: True,
                a.TURN_NUMBER: number,
            },
        )
        for number in range(1, 5)
    ]
    spans = (
        task(
            attributes={
                a.TASK_COMPLEXITY: "standard",
                a.TASK_DESCRIPTION: "Mend the date parser: it takes the month for the day.",
                a.GEN_AI_CONVERSATION_ID: "conversation-5",
                a.EMITTER_ID: "5d1c6a30",
                a.EMITTER_SEQUENCE: 41,
                a.COLLECTION_OVERHEAD_MS: 1.75,
                a.SAMPLER: "ParentBased{root:AlwaysOnSampler,remoteParentSampled:AlwaysOnSampler}",
            }
        ),
        route(
            attributes={
                a.ROUTING_STRATEGY: "multi-armed-bandit",
                a.ROUTING_CONFIDENCE: 0.72,
                a.ROUTING_RATIONALE: "best so far",
                a.ROUTING_PROPENSITY: 0.9,
                a.ROUTING_CANDIDATE_IDS: ["alpha", "beta", "gamma"],
                a.ROUTING_CANDIDATE_SCORES: [0.81, 0.72, 0.4],
                a.ROUTING_SELECTED_NAME: "Alpha",
            }
        ),
        execution(
            attributes={
                a.EXECUTION_SUCCESS: True,
                a.GEN_AI_REQUEST_MODEL: "small-1",
                a.GEN_AI_PROVIDER_NAME: "acme",
                a.GEN_AI_USAGE_INPUT_TOKENS: 3200,
                a.GEN_AI_USAGE_OUTPUT_TOKENS: 800,
            }
        ),
        *calls,
        evaluation(
            attributes={
                a.EVALUATOR_NAME: "rubric",
                a.EVALUATOR_KIND: "rule",
                a.RUBRIC_FORMAT: 1.0,
                a.RUBRIC_TOOL: 0.75,
                a.RUBRIC_TASK: 0.9,
                a.RUBRIC_MINIMAL: 0.8,
                a.RUBRIC_COST: 0.6,
                a.RUBRIC_SAFETY: 1.0,
            }
        ),
    )
    return payload(spans)


# -- One whole task through the SDK ----------------------------------------------------------------


class _Numbered(IdGenerator):
    """Span ids 1, 2, 3 …, and one trace id."""

    def __init__(self) -> None:
        self._numbers: Iterator[int] = iter(range(1, 1000))

    def generate_span_id(self) -> int:
        return next(self._numbers)

    def generate_trace_id(self) -> int:
        return int.from_bytes(TRACE, "big")


def whole_task() -> bytes:
    """A task of eight lifecycle spans that fill every field of a record, made and encoded by the OpenTelemetry SDK."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=SdkResource(RESOURCE), id_generator=_Numbered(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    _emit(provider.get_tracer(a.SCOPE_NAME, "0.1.0"))
    provider.shutdown()
    return encode_spans(exporter.get_finished_spans()).SerializeToString()


def _at(milliseconds: float) -> int:
    return T0 + int(milliseconds * MS)


def _emit(tracer: Tracer) -> None:
    common = {a.TASK_ID: "task-7f3a"}
    task_span = tracer.start_span(
        "task code-editing",
        start_time=_at(0.123456),
        attributes=common
        | {
            a.TASK_TYPE: "code-editing",
            a.TASK_COMPLEXITY: "standard",
            a.TASK_REQUIREMENTS: ["keep the public names", "all tests pass"],
            a.TASK_DESCRIPTION: "Mend the date parser: it takes the month for the day.",
            a.TASK_PARENT_ID: "task-7f00",
            a.TASK_GROUP_ID: "group-12",
            a.TASK_ATTEMPT: 2,
            a.GEN_AI_CONVERSATION_ID: "conversation-5",
            a.TENANT_HASH: "9f" * 32,
            a.EMITTER_ID: "5d1c6a30",
            a.EMITTER_SEQUENCE: 41,
            a.SAMPLER: "ParentBased{root:AlwaysOnSampler,remoteParentSampled:AlwaysOnSampler}",
            a.CAWS_SPEC_ID: "FEAT-0042",
            a.PROVENANCE_AI_ASSISTED: True,
            a.PROVENANCE_COMMIT_HASH: "2676c89",
        },
    )
    inside = set_span_in_context(task_span)
    route_span = tracer.start_span(
        "route bandit",
        inside,
        start_time=_at(1),
        attributes=common
        | {
            a.ROUTING_STRATEGY: "multi-armed-bandit-explore",
            a.ROUTING_CONFIDENCE: 0.72,
            a.ROUTING_RATIONALE: "beta was tried least on code-editing",
            a.ROUTING_PROPENSITY: 0.25,
            a.ROUTING_POLICY_VERSION: "epsilon-greedy-3",
            a.ROUTING_CANDIDATE_IDS: ["alpha", "beta", "gamma"],
            a.ROUTING_CANDIDATE_SCORES: [0.81, 0.72, 0.4],
            a.ROUTING_CANDIDATE_REASONS: ["best so far", "tried least", "slow"],
            a.ROUTING_CANDIDATE_PROPENSITIES: [0.5, 0.25, 0.25],
            a.ROUTING_CANDIDATE_CAPABILITY_SCORES: [0.9, 0.8, 0.7],
            a.ROUTING_CANDIDATE_PERFORMANCE_SCORES: [0.8, 0.7, 0.3],
            a.ROUTING_CANDIDATE_LOAD_SCORES: [0.2, 0.1, 0.9],
            a.ROUTING_SELECTED_ID: "beta",
            a.ROUTING_SELECTED_NAME: "Beta",
            a.ROUTING_SELECTED_MODEL_FAMILY: "small",
            a.ROUTING_HISTORY_SUCCESS_RATE: 0.66,
            a.ROUTING_HISTORY_AVG_QUALITY: 0.71,
            a.ROUTING_HISTORY_TASK_COUNT: 18,
        },
    )
    route_span.end(_at(3.5))
    run = tracer.start_span(
        "invoke_agent Beta",
        inside,
        start_time=_at(5),
        attributes=common
        | {
            a.GEN_AI_OPERATION_NAME: a.OPERATION_INVOKE_AGENT,
            a.GEN_AI_AGENT_NAME: "Beta",
            a.AGENT_ID: "beta",
            a.AGENT_VERSION: "1.4",
            a.GEN_AI_REQUEST_MODEL: "small-1",
            a.GEN_AI_PROVIDER_NAME: "acme",
        },
    )
    inside_run = set_span_in_context(run)
    tools = (("read_file", 10, 12.5), ("edit_file", 20, 26), ("run_tests", 30, 480), ("run_tests", 500, 900))
    for number, (tool, start, end) in enumerate(tools, start=1):
        call = tracer.start_span(
            f"execute_tool {tool}",
            inside_run,
            start_time=_at(start),
            attributes=common
            | {
                a.GEN_AI_OPERATION_NAME: a.OPERATION_EXECUTE_TOOL,
                a.GEN_AI_TOOL_NAME: tool,
                a.GEN_AI_TOOL_TYPE: "function",
                a.GEN_AI_TOOL_CALL_ID: f"call-{number}",
                a.TOOL_SUCCESS: number != 3,
                a.TOOL_EFFECTIVE: True,
                a.TURN_NUMBER: number,
                a.TURN_INFORMATION_GAIN: 1 - number / 10,
                a.TURN_FORMAT_CORRECTNESS: 1.0,
                a.TURN_TASK_PROGRESS: number / 5,
                a.TURN_SAFETY_SCORE: 1.0,
                a.TURN_REWARD: number / 10,
            },
        )
        if number == 3:
            call.set_attribute(a.ERROR_TYPE, "AssertionError")
            call.add_event(a.EXCEPTION_EVENT, {a.EXCEPTION_TYPE: "AssertionError"}, timestamp=_at(479))
            call.set_status(StatusCode.ERROR, "1 failed")
        call.end(_at(end))
    last_turn = {
        a.TURN_NUMBER: 5,
        a.TURN_INFORMATION_GAIN: 0.1,
        a.TURN_FORMAT_CORRECTNESS: 1.0,
        a.TURN_TASK_PROGRESS: 1.0,
        a.TURN_SAFETY_SCORE: 1.0,
        a.TURN_REWARD: 0.5,
    }
    run.add_event(a.TURN_EVENT, last_turn, timestamp=_at(950))
    run.set_attributes(
        {
            a.EXECUTION_SUCCESS: True,
            a.EXECUTION_PARTIAL_SUCCESS: False,
            a.EXECUTION_CPU_TIME_MS: 310.5,
            a.EXECUTION_MEMORY_PEAK_BYTES: 73_400_320,
            a.EXECUTION_COST_USD: 0.0123,
            a.GEN_AI_USAGE_INPUT_TOKENS: 3200,
            a.GEN_AI_USAGE_OUTPUT_TOKENS: 800,
            a.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: 250,
            a.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: 1024,
            a.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: 512,
        }
    )
    run.end(_at(1000))
    judged = tracer.start_span(
        "evaluate rubric",
        inside,
        start_time=_at(1010),
        attributes=common
        | {
            a.EVALUATION_OVERALL_SCORE: 0.86,
            a.EVALUATOR_NAME: "rubric",
            a.EVALUATOR_VERSION: "3",
            a.EVALUATOR_KIND: "rule",
            a.RUBRIC_VERSION: "2025-11",
            a.RUBRIC_FORMAT: 1.0,
            a.RUBRIC_TOOL: 0.75,
            a.RUBRIC_TASK: 0.9,
            a.RUBRIC_MINIMAL: 0.8,
            a.RUBRIC_COST: 0.6,
            a.RUBRIC_SAFETY: 1.0,
            a.DIFF_AST_SIMILARITY: 0.93,
            a.DIFF_FILES_TOUCHED: 1,
            a.DIFF_LINE_CHANGE_RATIO: 0.04,
            a.DIFF_SCAFFOLDING_PENALTY: 0.0,
            a.DIFF_REWARD_MULTIPLIER: 0.95,
            a.CAWS_COMPLIANT: True,
            a.CAWS_BUDGET_COMPLIANT: True,
            a.CAWS_VERSION: "1.0",
            a.CAWS_VERDICT_ID: "V-9",
            a.CAWS_WAIVERS: ["W-1"],
            a.CAWS_GATES_PASSED: ["tests", "lint"],
            a.CAWS_SIGNATURE: "ed25519:0af3",
            a.CAWS_SCORE_EVIDENCE_COMPLETENESS: 0.9,
            a.CAWS_SCORE_BUDGET_ADHERENCE: 1.0,
            a.CAWS_SCORE_GATE_INTEGRITY: 1.0,
            a.CAWS_SCORE_PROVENANCE_CLARITY: 0.8,
            a.CAWS_BUDGET_FILES_USED: 1,
            a.CAWS_BUDGET_FILES_LIMIT: 5,
            a.CAWS_BUDGET_LOC_USED: 12,
            a.CAWS_BUDGET_LOC_LIMIT: 200,
            a.PROVENANCE_HUMAN_REVIEWED: False,
        },
    )
    for name, passed, score, threshold, mandatory in (
        ("tests", True, 1.0, 1.0, True),
        ("lint", True, 0.97, 0.9, False),
    ):
        judged.add_event(
            a.GEN_AI_EVALUATION_EVENT,
            {
                a.GEN_AI_EVALUATION_NAME: name,
                a.GEN_AI_EVALUATION_SCORE_VALUE: score,
                a.GEN_AI_EVALUATION_SCORE_LABEL: "pass",
                a.GEN_AI_EVALUATION_EXPLANATION: f"{name} ran clean",
                a.GATE_PASSED: passed,
                a.GATE_THRESHOLD: threshold,
                a.GATE_MANDATORY: mandatory,
            },
            timestamp=_at(1020),
        )
    judged.end(_at(1030))
    task_span.set_attribute(a.COLLECTION_OVERHEAD_MS, 1.75)
    task_span.end(_at(1040))
