"""A real Jaeger: what the plugin records is read back through Jaeger's query API, redacted, and leads to its row."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from servers.jaeger import Jaeger
from support import lifecycle
from support.backend import Backend
from support.forwarding import own, wait_for_account
from support.processor import wait_until

from otel_benchmark import attributes as a
from otel_benchmark import evaluation, execution, route, task, tool_call
from otel_benchmark.environment import Settings
from otel_benchmark.runtime import RUNTIME

SECRET = "PLANTED-jo@example.org"


@tool_call
def read_file(path: str) -> str:
    return f"{SECRET} in {path}"


def do_a_task(provider: TracerProvider) -> None:
    """As an application with the plugin does one, inside a request of its own that is no task."""
    web, database = provider.get_tracer("shop.web"), provider.get_tracer("shop.db")
    with web.start_as_current_span(f"GET /{SECRET}") as request:
        request.set_attribute("http.url", SECRET)
        with task(id="t-1", type="research", description=SECRET, tenant_id=SECRET):
            with route(router="bandit") as decision:
                decision.candidate("a-7", score=0.8, propensity=0.9)
                decision.candidate("a-8", score=0.1, propensity=0.1)
                decision.record(selected_id="a-7", propensity=0.9, rationale=SECRET)
            with execution(agent_id="a-7", agent_name="Ada", model="m-1") as run:
                read_file("x")
                with (
                    pytest.raises(ValueError, match=SECRET),
                    database.start_as_current_span(SECRET),
                ):
                    raise ValueError(SECRET)
                run.record({"success": True}, cost_usd=0.02)
            with evaluation(evaluator_name="rubric") as verdict:
                verdict.record(overall_score=0.9, rubric_task=0.8)
                verdict.gate("tests", passed=True, score=1.0, threshold=0.8, mandatory=True, explanation=SECRET)


def tags(entry: Any, of: str = "tags") -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in entry[of]}


@pytest.fixture
def plugin() -> Iterator[Callable[[TracerProvider], None]]:
    """Has the plugin record with the provider that is given."""
    yield partial(RUNTIME.configure, Settings())
    RUNTIME.configure()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_task_is_read_back_from_jaeger(jaeger: Jaeger, forwarding, plugin, protocol):
    endpoint = f"http://{jaeger.otlp_grpc if protocol == 'grpc' else jaeger.otlp_http}"
    processor = forwarding(Backend(protocol, endpoint), FOREIGN_TIMEOUT="1s")
    with processor.tracing("http/protobuf", {a.SERVICE_NAME: "shop", "host.name": SECRET}) as provider:
        plugin(provider)
        do_a_task(provider)
    wait_until(lambda: processor.status().forward.sent == 7)
    (row,) = processor.rows("SELECT id, trace_id, state, valid, record FROM data_points")
    wait_until(lambda: len((jaeger.trace(row["trace_id"]) or {"spans": []})["spans"]) == 7)
    found = jaeger.trace(row["trace_id"])
    assert found is not None
    assert SECRET not in str(found)

    names = {span["spanID"]: span["operationName"] for span in found["spans"]}
    parents = {span["operationName"]: [names[each["spanID"]] for each in span["references"]] for span in found["spans"]}
    assert parents == {
        "shop.web": [],
        "task research": ["shop.web"],
        "route": ["task research"],
        "invoke_agent Ada": ["task research"],
        "execute_tool read_file": ["invoke_agent Ada"],
        "shop.db": ["invoke_agent Ada"],
        "evaluate rubric": ["task research"],
    }
    spans = {span["operationName"]: span for span in found["spans"]}
    assert tags(spans["route"])[a.ROUTING_SELECTED_ID] == "a-7"
    assert tags(spans["invoke_agent Ada"])[a.EXECUTION_COST_USD] == 0.02
    assert tags(spans["evaluate rubric"])[a.EVALUATION_OVERALL_SCORE] == 0.9
    (gate,) = spans["evaluate rubric"]["logs"]
    assert tags(gate, "fields") == {
        "event": a.GEN_AI_EVALUATION_EVENT,
        a.GEN_AI_EVALUATION_NAME: "tests",
        a.GEN_AI_EVALUATION_SCORE_VALUE: 1,
        a.GATE_PASSED: True,
        a.GATE_THRESHOLD: 0.8,
        a.GATE_MANDATORY: True,
    }
    (failure,) = spans["shop.db"]["logs"]
    assert tags(failure, "fields") == {"event": a.EXCEPTION_EVENT, a.EXCEPTION_TYPE: "ValueError"}
    assert {process["serviceName"] for process in found["processes"].values()} == {"shop"}
    for name, span in spans.items():
        point = tags(span)
        if name == "shop.web":
            assert a.POINT_ID not in point
            continue
        assert (point[a.POINT_ID], point[a.POINT_STATE], point[a.POINT_VALID]) == (
            str(row["id"]),
            row["state"],
            row["valid"],
        )
    assert tags(spans["task research"])[a.TENANT_HASH] == row["record"]["tenantId"]
    processor.stop()


def test_what_jaeger_cannot_take_harms_nothing(jaeger: Jaeger, forwarding):
    """It refuses a request for a link's id of a wrong length, and can't show a trace with a number that is none."""
    processor = forwarding(Backend("grpc", f"http://{jaeger.otlp_grpc}"))
    link = Span.Link(trace_id=SECRET.encode(), span_id=b"s")
    sent = own(lifecycle.task(attributes={a.TASK_REWARD: math.nan}, links=[link]), lifecycle.route())
    processor.send(*sent.spans)
    processor.flush()
    assert wait_for_account(processor, 2).sent == 2
    wait_until(lambda: len((jaeger.trace(sent.trace_id.hex()) or {"spans": []})["spans"]) == 2)
    processor.stop()


def test_the_demonstration_shows_its_trace_and_leaves_nothing_behind(jaeger_binary: Path):
    tests = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "servers.demo_jaeger", str(jaeger_binary), "--tasks", "12"],
        cwd=tests,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report, _, shown = done.stdout.partition("That trace in Jaeger:")
    assert "0 lost" not in report
    assert "\nTraces\n" in report
    assert "SELECT * FROM data_points WHERE id = '" in report
    first, *steps = [line for line in shown.splitlines() if "─ " in line]
    assert first.startswith("└─ task ")
    assert "state=" in first
    words = {step.partition("─ ")[2].split()[0] for step in steps}
    assert {"route", "invoke_agent", "execute_tool", "evaluate"} <= words
