"""From environment variables alone: an application without any import of ours, its spans over real OTLP."""

import subprocess
import sys

import pytest

from otel_benchmark import attributes as a
from otel_benchmark.attributes import tenant_hash

TARGETS = {
    "OTEL_BENCHMARK_TASK": "plain_arbiter:Arbiter.handle,plain_arbiter:Arbiter.handle_sync",
    "OTEL_BENCHMARK_ROUTE": "plain_arbiter:Router.route",
    "OTEL_BENCHMARK_EXECUTE": "plain_arbiter:Agent.run",
    "OTEL_BENCHMARK_TOOL": "plain_arbiter:read_file",
    "OTEL_BENCHMARK_EVALUATE": "plain_arbiter:Evaluator.evaluate",
}
ARBITER = ("-c", "import plain_arbiter; plain_arbiter.main()")
"""Imported, not run as __main__, which nobody can wrap from outside."""


def test_the_whole_life_of_tasks_arrives(instrumented, http_receiver):
    receiver = http_receiver()
    finished = instrumented(
        *ARBITER,
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_BENCHMARK_TENANT_KEY="key",
        **TARGETS,
    )
    assert finished.stdout.splitlines() == ["Ada can't do t-3", "done"]
    assert finished.stderr == ""
    assert {span.scope for span in receiver.spans} == {a.SCOPE_NAME}
    assert {span.service for span in receiver.spans} == {"arbiter"}
    assert {span.word: len(receiver.named(span.word)) for span in receiver.spans} == {
        "task": 3,
        "route": 3,
        "invoke_agent": 3,
        "execute_tool": 2,
        "evaluate": 2,
    }
    tasks = receiver.named("task")
    assert [task.name for task in tasks] == ["task research", "task code-editing", "task impossible"]
    assert [task.attributes[a.EMITTER_SEQUENCE] for task in tasks] == [1, 2, 3]
    assert len({task.attributes[a.EMITTER_ID] for task in tasks}) == 1
    assert all(task.attributes[a.COLLECTION_OVERHEAD_MS] > 0 for task in tasks)
    by_id = {span.span.span_id: span for span in receiver.spans}
    for span in receiver.spans:
        assert span.attributes[a.TENANT_HASH] == tenant_hash(b"key", "acme")
        assert a.TENANT_ID not in span.attributes
        if span.word in {"route", "invoke_agent"}:
            assert by_id[span.span.parent_span_id].word == "task"
        if span.word == "execute_tool":  # one ran in asyncio's thread, one in a pool of the host's
            assert by_id[span.span.parent_span_id].word == "invoke_agent"
        if span.span.parent_span_id:
            assert span.span.trace_id == by_id[span.span.parent_span_id].span.trace_id

    route = receiver.named("route")[0]
    assert route.name == "route first"
    assert route.attributes == {
        a.TASK_ID: "t-1",
        a.TENANT_HASH: tenant_hash(b"key", "acme"),
        a.ROUTING_SELECTED_ID: "a-1",
        a.ROUTING_SELECTED_NAME: "Ada",
        a.ROUTING_SELECTED_MODEL_FAMILY: "rules",
        a.ROUTING_STRATEGY: "capability-match",
        a.ROUTING_CONFIDENCE: 0.75,
        a.ROUTING_RATIONALE: "it fits",
        a.ROUTING_PROPENSITY: 0.9,
        a.ROUTING_CANDIDATE_IDS: ["a-1", "a-2"],
        a.ROUTING_CANDIDATE_SCORES: [0.9, 0.1],
    }
    execution = receiver.named("invoke_agent")[0]
    assert execution.name == "invoke_agent Ada"
    assert execution.attributes[a.GEN_AI_OPERATION_NAME] == "invoke_agent"
    assert execution.attributes[a.GEN_AI_REQUEST_MODEL] == "m-1"
    assert execution.attributes[a.GEN_AI_USAGE_INPUT_TOKENS] == 100
    assert execution.attributes[a.EXECUTION_SUCCESS] is True
    assert execution.events == [
        (
            a.TURN_EVENT,
            {a.TURN_NUMBER: 1, a.TURN_INFORMATION_GAIN: 0.5, a.TURN_TASK_PROGRESS: 0.25, a.TURN_REWARD: 0.125},
        )
    ]
    failed = receiver.named("invoke_agent")[2]
    assert failed.attributes[a.ERROR_TYPE] == "RuntimeError"
    assert failed.span.status.message == "RuntimeError: Ada can't do t-3"
    assert tasks[2].span.status.code == failed.span.status.code != tasks[1].span.status.code

    evaluation, late = receiver.named("evaluate")
    assert by_id[evaluation.span.parent_span_id] is tasks[0]
    assert evaluation.events[0][0] == a.GEN_AI_EVALUATION_EVENT
    assert evaluation.attributes[a.EVALUATOR_NAME] == "rubric"
    assert not late.span.parent_span_id
    assert [link.span_id for link in late.span.links] == [tasks[1].span.span_id]
    assert late.attributes[a.TASK_ID] == "t-2"


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_second_way_to_us_where_the_applications_exporter_goes_elsewhere(
    instrumented, http_receiver, grpc_receiver, protocol
):
    elsewhere, ours = http_receiver(), grpc_receiver if protocol == "grpc" else http_receiver()
    instrumented(
        *ARBITER,
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=elsewhere.url,
        OTEL_BENCHMARK_ENDPOINT=ours.url,
        OTEL_BENCHMARK_PROTOCOL=protocol,
        OTEL_BENCHMARK_HEADERS="x-team=agents",
        **TARGETS,
    )
    assert {span.span.span_id for span in ours.spans} == {span.span.span_id for span in elsewhere.spans}
    assert len(ours.spans) == 13
    assert all(headers["x-team"] == "agents" for headers in ours.headers)
    assert not any("x-team" in headers for headers in elsewhere.headers)


def test_what_is_interrupted_is_closed_and_sent(instrumented, http_receiver):
    receiver = http_receiver()
    finished = instrumented(
        "-c",
        "import plain_arbiter, sys; sys.argv[1:] = ['interrupt']; plain_arbiter.main()",
        check=False,
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_BENCHMARK_TASK="plain_arbiter:stuck",
    )
    assert "KeyboardInterrupt" in finished.stderr
    assert receiver.one("task").attributes[a.ERROR_TYPE] == "KeyboardInterrupt"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("__main__:f", "__main__:f can't be wrapped from outside"),
        ("plain_arbitre:f", "there is no module plain_arbitre"),
        ("plain_arbiter:nobody", "plain_arbiter has no nobody"),
        ("plain_arbiter.f", "is no target"),
    ],
)
def test_what_can_not_be_wrapped_is_one_warning_and_the_host_runs(instrumented, target, said):
    finished = instrumented("-c", "import plain_arbiter; print('ran')", OTEL_BENCHMARK_TASK=target)
    assert finished.stdout == "ran\n"
    assert len(finished.stderr.splitlines()) == 1
    assert said in finished.stderr
    assert "OTEL_BENCHMARK_TASK" in finished.stderr


def test_a_target_in_the_module_that_is_started_is_one_warning(instrumented):
    finished = instrumented("-m", "plain_arbiter", OTEL_BENCHMARK_TASK="plain_arbiter:Arbiter.handle")
    assert finished.stderr.count("can't be wrapped from outside") == 1
    assert "plain_arbiter:Arbiter.handle" in finished.stderr


def test_tasks_without_an_id_are_one_warning(instrumented):
    code = "import plain_arbiter; [plain_arbiter.read_file(name) for name in 'abc']"
    finished = instrumented("-c", code, OTEL_BENCHMARK_TASK="plain_arbiter:read_file")
    assert finished.stderr.count("a task came without an id") == 1


def test_a_head_sampler_that_loses_tasks_is_one_warning(instrumented):
    finished = instrumented(
        *ARBITER, OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0.1", **TARGETS
    )
    assert finished.stderr.count("head sampler") == 1


def test_it_can_be_turned_off_by_the_standard_variable(instrumented, http_receiver):
    receiver = http_receiver()
    instrumented(
        *ARBITER,
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="otel_benchmark",
        **TARGETS,
    )
    assert receiver.spans == []


@pytest.mark.parametrize("module", ["otel_benchmark", "otel_benchmark.instrumentor", "otel_benchmark.lifecycle"])
def test_importing_costs_nothing_heavy(module):
    heavy = ("grpc", "numpy", "psycopg", "opentelemetry.exporter", "opentelemetry.sdk", "requests")
    code = f"import {module}, sys; print([n for n in {heavy!r} if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_importing_the_names_costs_not_even_the_api():
    code = "import otel_benchmark.attributes, sys; print('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
