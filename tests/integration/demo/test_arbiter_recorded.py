"""The arbiter under `opentelemetry-instrument`: every lifecycle event leaves its process with all that it knows."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector_processor.demo.arbiter.staff import STAFF
from collector_processor.demo.environment import SERVICE_NAME, TARGETS, instrumented_environment
from collector_processor.demo.processes import arbiter
from otel_benchmark import attributes as a
from otel_benchmark.attributes import Kind, tenant_hash

TASKS = 96
SEED = 13
"""These tasks hold a closed archive in both ways of working, and a missing column."""
TENANT_KEY = "a key of the test"
CLIENT = "rules.client"
"""Of the instrumentation that the client of the agents' model brings."""


@dataclass(frozen=True)
class Recorded:
    """What the sink received, and what the arbiter said itself."""

    spans: Mapping[Kind, list[Span]]
    model_calls: list[Span]
    by_id: Mapping[bytes, Span]
    events: list[Mapping[str, Any]]
    summary: Mapping[str, Any]
    resource: Mapping[str, Any]

    def attributes(self, kind: Kind) -> list[dict[str, Any]]:
        return [attributes_of(span) for span in self.spans[kind]]


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    bodies: list[bytes] = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            base = os.environ | {"OTEL_BENCHMARK_TENANT_KEY": TENANT_KEY}
            environment = instrumented_environment(f"127.0.0.1:{server.server_port}", base)
            with arbiter(TASKS, SEED, environment, instrumented=True) as reported:
                *events, summary = reported
        finally:
            server.shutdown()
    spans: defaultdict[Kind, list[Span]] = defaultdict(list)
    model_calls: list[Span] = []
    resource: dict[str, Any] = {}
    for body in bodies:
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {pair.key: plain(pair.value) for pair in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                if of_scope.scope.name == CLIENT:
                    model_calls += of_scope.spans
                    continue
                assert of_scope.scope.name == a.SCOPE_NAME
                for span in of_scope.spans:
                    spans[Kind(span.name.split(" ")[0])].append(span)
    by_id = {span.span_id: span for of_kind in spans.values() for span in of_kind}
    return Recorded(spans, model_calls, by_id, events, summary, resource)


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return None if kind is None else getattr(value, kind)


def attributes_of(span: Span | Span.Event) -> dict[str, Any]:
    return {pair.key: plain(pair.value) for pair in span.attributes}


def test_the_check_before_going_live_finds_every_target() -> None:
    command = [sys.executable, "-m", "collector_processor.cli", "plugin", "check"]
    environment = instrumented_environment("127.0.0.1:4318", os.environ)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r"^ +wraps ", done.stdout, re.MULTILINE)) == sum(map(len, TARGETS.values()))


def test_every_task_is_a_span_and_its_own(recorded: Recorded) -> None:
    handled = recorded.summary["tasks"] + recorded.summary["subtasks"]
    assert recorded.summary["subtasks"] > 0
    assert len(recorded.spans[Kind.TASK]) == handled
    tasks = recorded.attributes(Kind.TASK)
    assert len({task[a.TASK_ID] for task in tasks}) == handled
    assert {event["task"] for event in recorded.events} <= {task[a.TASK_ID] for task in tasks}
    assert {task[a.TASK_TYPE] for task in tasks} == set(a.TaskType)
    assert {task[a.TASK_COMPLEXITY] for task in tasks} == set(a.Complexity)
    for task, span in zip(tasks, recorded.spans[Kind.TASK], strict=True):
        assert span.name == f"task {task[a.TASK_TYPE]}"
        assert {a.TASK_DESCRIPTION, a.TASK_REQUIREMENTS, a.GEN_AI_CONVERSATION_ID} <= task.keys()
        assert task[a.COLLECTION_OVERHEAD_MS] >= 0
    assert recorded.resource[a.SERVICE_NAME] == SERVICE_NAME


def test_emitter_numbers_tasks_without_a_gap(recorded: Recorded) -> None:
    tasks = recorded.attributes(Kind.TASK)
    assert len({task[a.EMITTER_ID] for task in tasks}) == 1
    assert sorted(task[a.EMITTER_SEQUENCE] for task in tasks) == list(range(1, len(tasks) + 1))


def test_tenants_leave_the_process_hashed(recorded: Recorded) -> None:
    hashes = {tenant_hash(TENANT_KEY.encode(), tenant) for tenant in ("acme", "globex", "initech")}
    for kind in Kind:
        for attributes in recorded.attributes(kind):
            assert a.TENANT_ID not in attributes
    assert {task[a.TENANT_HASH] for task in recorded.attributes(Kind.TASK)} == hashes


def test_groups_and_subtasks_are_linked(recorded: Recorded) -> None:
    tasks = {task[a.TASK_ID]: task for task in recorded.attributes(Kind.TASK)}
    groups = Counter(task[a.TASK_GROUP_ID] for task in tasks.values() if a.TASK_GROUP_ID in task)
    assert groups
    assert all(task[a.TASK_ATTEMPT] in (1, 2, 3, 4) for task in tasks.values() if a.TASK_GROUP_ID in task)
    parts = [span for span in recorded.spans[Kind.TASK] if a.TASK_PARENT_ID in attributes_of(span)]
    assert len(parts) == recorded.summary["subtasks"]
    for part in parts:
        execution = recorded.by_id[part.parent_span_id]
        assert execution.name.startswith(Kind.EXECUTION)
        assert attributes_of(execution)[a.TASK_ID] == attributes_of(part)[a.TASK_PARENT_ID]


def test_every_span_knows_its_task_and_lies_under_it(recorded: Recorded) -> None:
    for kind in (Kind.ROUTE, Kind.EXECUTION, Kind.TOOL_CALL):
        for span in recorded.spans[kind]:
            above = recorded.by_id[span.parent_span_id]
            while not above.name.startswith("task "):
                above = recorded.by_id[above.parent_span_id]
            assert attributes_of(span)[a.TASK_ID] == attributes_of(above)[a.TASK_ID]
            assert span.trace_id == above.trace_id


def test_routing_tells_everything_a_policy_evaluation_needs(recorded: Recorded) -> None:
    routes = recorded.attributes(Kind.ROUTE)
    assert len(routes) >= len(recorded.spans[Kind.TASK])
    ids = {agent.id for agent in STAFF}
    for route in routes:
        assert route[a.ROUTING_SELECTED_ID] in route[a.ROUTING_CANDIDATE_IDS]
        assert set(route[a.ROUTING_CANDIDATE_IDS]) <= ids
        assert sum(route[a.ROUTING_CANDIDATE_PROPENSITIES]) == pytest.approx(1)
        place = route[a.ROUTING_CANDIDATE_IDS].index(route[a.ROUTING_SELECTED_ID])
        assert route[a.ROUTING_PROPENSITY] == route[a.ROUTING_CANDIDATE_PROPENSITIES][place]
        assert {
            a.ROUTING_STRATEGY,
            a.ROUTING_CONFIDENCE,
            a.ROUTING_RATIONALE,
            a.ROUTING_EXPLORED,
            a.ROUTING_POLICY_VERSION,
            a.ROUTING_SELECTED_NAME,
            a.ROUTING_SELECTED_MODEL_FAMILY,
            a.ROUTING_CANDIDATE_SCORES,
            a.ROUTING_CANDIDATE_REASONS,
            a.ROUTING_CANDIDATE_CAPABILITY_SCORES,
            a.ROUTING_CANDIDATE_PERFORMANCE_SCORES,
            a.ROUTING_CANDIDATE_LOAD_SCORES,
            a.ROUTING_HISTORY_SUCCESS_RATE,
            a.ROUTING_HISTORY_AVG_QUALITY,
            a.ROUTING_HISTORY_TASK_COUNT,
        } <= route.keys()
    assert {route[a.ROUTING_STRATEGY] for route in routes} == {"multi-armed-bandit", "fallback"}
    assert {route[a.ROUTING_EXPLORED] for route in routes} == {True, False}


def test_executions_tell_outcome_and_cost(recorded: Recorded) -> None:
    priced = {agent.id for agent in STAFF if agent.price is not None}
    for span, execution in zip(recorded.spans[Kind.EXECUTION], recorded.attributes(Kind.EXECUTION), strict=True):
        assert execution[a.GEN_AI_OPERATION_NAME] == "invoke_agent"
        assert {a.AGENT_ID, a.GEN_AI_AGENT_NAME, a.AGENT_VERSION} <= execution.keys()
        assert {a.GEN_AI_REQUEST_MODEL, a.GEN_AI_PROVIDER_NAME} <= execution.keys()
        if span.status.code == Status.STATUS_CODE_ERROR:
            assert execution[a.ERROR_TYPE]
            continue
        assert {a.EXECUTION_SUCCESS, a.EXECUTION_PARTIAL_SUCCESS, a.EXECUTION_CPU_TIME_MS} <= execution.keys()
        assert (a.EXECUTION_FAILURE_REASON in execution) == (not execution[a.EXECUTION_SUCCESS])
        counted = {
            a.GEN_AI_USAGE_INPUT_TOKENS,
            a.GEN_AI_USAGE_OUTPUT_TOKENS,
            a.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
            a.EXECUTION_COST_USD,
        } & execution.keys()
        assert len(counted) == (4 if execution[a.AGENT_ID] in priced else 0)


def test_endings_are_those_that_the_arbiter_reports(recorded: Recorded) -> None:
    said = {event["task"]: event["ending"] for event in recorded.events}
    for span in recorded.spans[Kind.TASK]:
        ending = said.get(attributes_of(span)[a.TASK_ID])
        if ending is not None:
            assert (span.status.code == Status.STATUS_CODE_ERROR) == (ending == "raised")
    errors = {
        attributes_of(span)[a.ERROR_TYPE]
        for kind in (Kind.TASK, Kind.EXECUTION)
        for span in recorded.spans[kind]
        if span.status.code == Status.STATUS_CODE_ERROR
    }
    assert "KeyError" in errors
    assert any("TaskFailedError" in error for error in errors)


def test_tool_calls_are_turns_with_scores(recorded: Recorded) -> None:
    calls = recorded.attributes(Kind.TOOL_CALL)
    assert len({call[a.GEN_AI_TOOL_CALL_ID] for call in calls}) == len(calls)
    assert {"read_file", "edit_file", "write_file", "run_tests", "search_library", "check_plan"} <= {
        call[a.GEN_AI_TOOL_NAME] for call in calls
    }
    for span, call in zip(recorded.spans[Kind.TOOL_CALL], calls, strict=True):
        assert call[a.TURN_NUMBER] >= 1
        assert a.GEN_AI_TOOL_CALL_ARGUMENTS in call, "the demonstration captures content: conversations are made of it"
        if span.status.code != Status.STATUS_CODE_ERROR:
            assert {
                a.TOOL_SUCCESS,
                a.TOOL_EFFECTIVE,
                a.TURN_INFORMATION_GAIN,
                a.TURN_FORMAT_CORRECTNESS,
                a.TURN_SAFETY_SCORE,
                a.TURN_REWARD,
            } <= call.keys()
        assert (a.TURN_TASK_PROGRESS in call) == (call[a.GEN_AI_TOOL_NAME] == "run_tests")


def test_the_client_of_the_model_tells_what_was_said(recorded: Recorded) -> None:
    executions = {span.span_id: attributes_of(span) for span in recorded.spans[Kind.EXECUTION]}
    last: dict[bytes, list[Any]] = {}
    for span in sorted(recorded.model_calls, key=lambda span: span.start_time_unix_nano):
        call = attributes_of(span)
        assert call[a.GEN_AI_REQUEST_MODEL] == executions[span.parent_span_id][a.GEN_AI_REQUEST_MODEL]
        heard = json.loads(call[a.GEN_AI_INPUT_MESSAGES])
        assert heard[: len(last.get(span.parent_span_id, ()))] == last.get(span.parent_span_id, [])
        if span.status.code != Status.STATUS_CODE_ERROR:
            (said,) = json.loads(call[a.GEN_AI_OUTPUT_MESSAGES])
            last[span.parent_span_id] = [*heard, {"role": said["role"], "parts": said["parts"]}]
    assert last.keys() == executions.keys()
    assert {
        call["id"] for messages in last.values() for each in messages for call in each["parts"] if "id" in call
    } >= {call[a.GEN_AI_TOOL_CALL_ID] for call in recorded.attributes(Kind.TOOL_CALL)}


def test_thoughts_are_turns_without_a_tool(recorded: Recorded) -> None:
    turns = [
        attributes_of(event)
        for span in recorded.spans[Kind.EXECUTION]
        for event in span.events
        if event.name == a.TURN_EVENT
    ]
    assert any(a.TURN_REWARD in turn for turn in turns), "a part that was handed on"
    assert any(a.TURN_REWARD not in turn for turn in turns), "a thought that nobody scored"


def test_evaluations_carry_rubric_gates_and_governance(recorded: Recorded) -> None:
    evaluations = recorded.spans[Kind.EVALUATION]
    done = [span for span in recorded.spans[Kind.TASK] if span.status.code != Status.STATUS_CODE_ERROR]
    assert len(evaluations) == len(done)
    rubric = {a.RUBRIC_FORMAT, a.RUBRIC_TOOL, a.RUBRIC_TASK, a.RUBRIC_MINIMAL, a.RUBRIC_COST, a.RUBRIC_SAFETY}
    diff = {
        a.DIFF_AST_SIMILARITY,
        a.DIFF_FILES_TOUCHED,
        a.DIFF_LINE_CHANGE_RATIO,
        a.DIFF_SCAFFOLDING_PENALTY,
        a.DIFF_REWARD_MULTIPLIER,
    }
    governance = {
        a.EVALUATION_PASSED_ALL_MANDATORY,
        a.EVALUATOR_NAME,
        a.EVALUATOR_VERSION,
        a.EVALUATOR_KIND,
        a.RUBRIC_VERSION,
        a.CAWS_COMPLIANT,
        a.CAWS_BUDGET_COMPLIANT,
        a.CAWS_VERSION,
        a.CAWS_SPEC_ID,
        a.CAWS_VERDICT_ID,
        a.CAWS_WAIVERS,
        a.CAWS_GATES_PASSED,
        a.CAWS_SIGNATURE,
        a.CAWS_SCORE_EVIDENCE_COMPLETENESS,
        a.CAWS_SCORE_BUDGET_ADHERENCE,
        a.CAWS_SCORE_GATE_INTEGRITY,
        a.CAWS_SCORE_PROVENANCE_CLARITY,
        a.CAWS_BUDGET_FILES_USED,
        a.CAWS_BUDGET_FILES_LIMIT,
        a.CAWS_BUDGET_LOC_USED,
        a.CAWS_BUDGET_LOC_LIMIT,
        a.PROVENANCE_AI_ASSISTED,
        a.PROVENANCE_HUMAN_REVIEWED,
    }
    types = {task[a.TASK_ID]: task[a.TASK_TYPE] for task in recorded.attributes(Kind.TASK)}
    for span in evaluations:
        found = attributes_of(span)
        assert rubric | governance | {a.EVALUATION_OVERALL_SCORE} <= found.keys()
        assert (diff & found.keys() == diff) == (types[found[a.TASK_ID]] == a.TaskType.CODE_EDITING)
        gates = [attributes_of(event) for event in span.events if event.name == a.GEN_AI_EVALUATION_EVENT]
        assert len(gates) == 5
        for gate in gates:
            assert {
                a.GEN_AI_EVALUATION_NAME,
                a.GEN_AI_EVALUATION_SCORE_VALUE,
                a.GEN_AI_EVALUATION_EXPLANATION,
                a.GATE_PASSED,
                a.GATE_THRESHOLD,
                a.GATE_MANDATORY,
            } <= gate.keys()


def test_a_later_review_finds_its_task(recorded: Recorded) -> None:
    """What is reviewed after the task was handed back starts after the task's span has ended."""
    tasks = {attributes_of(span)[a.TASK_ID]: span for span in recorded.spans[Kind.TASK]}
    later = 0
    for span in recorded.spans[Kind.EVALUATION]:
        task = tasks[attributes_of(span)[a.TASK_ID]]
        if span.start_time_unix_nano >= task.end_time_unix_nano:
            later += 1
            linked = {(link.trace_id, link.span_id) for link in span.links}
            assert span.trace_id == task.trace_id or (task.trace_id, task.span_id) in linked
    assert later > 0
