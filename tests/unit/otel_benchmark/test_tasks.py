"""Which task a call belongs to: in its context, by id, in threads, when it is late; and how loss is measured."""

import asyncio
import contextvars
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, StaticSampler, TraceIdRatioBased

from otel_benchmark import attributes as a
from otel_benchmark import evaluation, execution, route, runtime, task, tool_call
from otel_benchmark.attributes import tenant_hash
from otel_benchmark.environment import Settings
from otel_benchmark.runtime import RUNTIME
from otel_benchmark.spans import LIFECYCLE_KEY
from otel_benchmark.tasks import EMITTER, KnownTasks, TaskState


def outside(function, *args):
    """Call a function as another part of the process would: without the caller's context."""
    return contextvars.Context().run(function, *args)


def make_route(task_id):
    with route(task_id=task_id, selected_id="a"):
        pass


def make_evaluation(task_id):
    with evaluation(task_id=task_id, overall_score=0.5):
        pass


def test_a_call_outside_the_context_is_parented_to_its_running_task(telemetry):
    with task(id="t-1", tenant_id="acme"):
        outside(make_route, "t-1")
        with execution(agent_id="a"):
            make_route("t-1")
    first, second = (span for span in telemetry.spans if span.name == "route")
    root = telemetry.one("task")
    assert (first.parent.span_id, first.context.trace_id) == (root.context.span_id, root.context.trace_id)
    assert second.parent.span_id == telemetry.one("invoke_agent").context.span_id
    assert first.attributes[a.TENANT_ID] == "acme"


def test_a_call_inside_one_task_that_names_another_goes_there(telemetry):
    with task(id="t-1"):
        outside(lambda: task(id="t-2").__enter__())
        make_route("t-2")
        outside(lambda: None)
    span = telemetry.one("route")
    assert span.attributes[a.TASK_ID] == "t-2"
    assert span.context.trace_id != telemetry.one("task").context.trace_id


def test_an_unknown_task_leaves_the_context_and_the_name(telemetry):
    make_route("elsewhere")
    with task(id="t-1"):
        make_route("elsewhere")
    first, second = (span for span in telemetry.spans if span.name == "route")
    assert first.parent is None
    assert second.parent.span_id == telemetry.one("task").context.span_id
    assert first.attributes[a.TASK_ID] == second.attributes[a.TASK_ID] == "elsewhere"


def test_a_late_evaluation_is_a_root_span_with_a_link(telemetry):
    with task(id="t-1", tenant_id="acme"):
        pass
    with trace.get_tracer("host", tracer_provider=telemetry.provider).start_as_current_span("GET /evaluate"):
        make_evaluation("t-1")
    span, root = telemetry.one("evaluate"), telemetry.one("task")
    assert span.parent is None
    assert [link.context.span_id for link in span.links] == [root.context.span_id]
    assert span.context.trace_id != root.context.trace_id
    assert (span.attributes[a.TASK_ID], span.attributes[a.TENANT_ID]) == ("t-1", "acme")


def test_an_evaluation_of_a_running_task_is_its_child(telemetry):
    with task(id="t-1"):
        outside(make_evaluation, "t-1")
    assert telemetry.one("evaluate").parent.span_id == telemetry.one("task").context.span_id


def test_the_newest_attempt_is_meant(telemetry):
    for _ in range(2):
        with task(id="t-1"):
            pass
    make_evaluation("t-1")
    newest = [span for span in telemetry.spans if span.name == "task"][1]
    assert telemetry.one("evaluate").links[0].context.span_id == newest.context.span_id


def test_the_map_is_bounded():
    known = KnownTasks(limit=3)
    for number in range(10):
        known.remember(TaskState(str(number), {}))
    assert len(known) == 3
    assert known.find("6") is None
    assert known.find("9") is not None


def test_a_sub_task_names_its_parent_and_keeps_the_tenant(telemetry):
    with task(id="t-1", tenant_id="acme"), execution(agent_id="a"), task(id="t-2"), tool_call(name="x"):
        pass
    inner = next(span for span in telemetry.spans if span.attributes[a.TASK_ID] == "t-2" and span.name == "task")
    assert inner.attributes[a.TASK_PARENT_ID] == "t-1"
    assert inner.attributes[a.TENANT_ID] == "acme"
    assert telemetry.attributes("execute_tool")[a.TASK_ID] == "t-2"


def test_a_task_without_an_id_gets_one(telemetry):
    with task(type="research"), tool_call(name="x"):
        pass
    assert len(telemetry.attributes("task")[a.TASK_ID]) == 32
    assert telemetry.attributes("execute_tool")[a.TASK_ID] == telemetry.attributes("task")[a.TASK_ID]


def test_the_context_follows_into_tasks_threads_and_pools(telemetry):
    def call() -> None:
        with tool_call(name="x"):
            pass

    async def main() -> None:
        async def child() -> None:
            call()

        with task(id="t-1"):
            await asyncio.create_task(child())
            await asyncio.to_thread(call)
            await asyncio.get_running_loop().run_in_executor(None, call)

    ThreadingInstrumentor().instrument()
    try:
        asyncio.run(main())
        with task(id="t-2"):
            thread = threading.Thread(target=call)
            thread.start()
            thread.join()
            with ThreadPoolExecutor(1) as pool:
                pool.submit(call).result()
    finally:
        ThreadingInstrumentor().uninstrument()
    tools = [span for span in telemetry.spans if span.name == "execute_tool x"]
    assert [span.attributes[a.TASK_ID] for span in tools] == ["t-1"] * 3 + ["t-2"] * 2
    assert all(span.parent is not None for span in tools)


def test_an_endless_chain_of_tasks_holds_no_past(telemetry):
    depths = []

    async def work(number: int) -> None:
        with task(id=str(number)):
            if number < 50:
                following.append(asyncio.create_task(work(number + 1)))
            active: Any = get_current().get(LIFECYCLE_KEY)
            depth = 0
            while active is not None:
                active, depth = active.parent, depth + 1
            depths.append(depth)

    following: list[asyncio.Task[None]] = []

    async def main() -> None:
        await work(0)
        while following:
            await following.pop()

    asyncio.run(main())
    assert len(depths) == 51
    assert max(depths) <= 2


# -- Loss can be measured ----------------------------------------------------------------------------------------


def test_tasks_are_numbered_without_gaps_and_carry_sampler_and_overhead(telemetry):
    EMITTER.renew()
    for _ in range(3):
        with task(id="t"), tool_call(name="x"):
            pass
    spans = [span for span in telemetry.spans if span.name == "task"]
    assert [span.attributes[a.EMITTER_SEQUENCE] for span in spans] == [1, 2, 3]
    assert {span.attributes[a.EMITTER_ID] for span in spans} == {EMITTER.id}
    assert all(span.attributes[a.SAMPLER].startswith("ParentBased{root:AlwaysOnSampler") for span in spans)
    assert all(0 < span.attributes[a.COLLECTION_OVERHEAD_MS] < 50 for span in spans)
    tool = next(span for span in telemetry.spans if span.name == "execute_tool x")
    assert not {a.EMITTER_ID, a.EMITTER_SEQUENCE, a.SAMPLER} & set(tool.attributes)


def test_tasks_that_the_sampler_drops_are_not_numbered(telemetry, caplog):
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.5)))
    provider.add_span_processor(SimpleSpanProcessor(telemetry.exporter))
    telemetry.use(provider=provider)
    EMITTER.renew()
    for _ in range(40):
        with task(id="t"):
            pass
    assert 0 < len(telemetry.spans) < 40
    assert [span.attributes[a.EMITTER_SEQUENCE] for span in telemetry.spans] == [*range(1, len(telemetry.spans) + 1)]


@pytest.mark.parametrize(
    ("sampler", "warned"),
    [
        (ALWAYS_OFF, True),
        (TraceIdRatioBased(0.1), True),
        (ParentBased(TraceIdRatioBased(0.1)), True),
        (ParentBased(TraceIdRatioBased(1.0)), False),
        (None, False),
    ],
)
def test_a_head_sampler_that_drops_tasks_is_one_warning(telemetry, caplog, sampler, warned):
    telemetry.use(provider=TracerProvider(sampler=sampler))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with task(id="t"):
                pass
    assert len(caplog.records) == warned
    assert not warned or "OTEL_TRACES_SAMPLER" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_is_an_emitter_of_its_own(telemetry):
    EMITTER.next_sequence()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, f"{EMITTER.id} {EMITTER.next_sequence()}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    identity, sequence = os.read(reader, 100).decode().split()
    os.close(reader)
    os.close(writer)
    assert identity != EMITTER.id
    assert sequence == "1"


# -- Tenants, limits, suppression --------------------------------------------------------------------------------


def test_with_a_key_no_tenant_leaves_in_clear(telemetry):
    telemetry.use(Settings(tenant_key=b"key"))
    with task(id="t-1", tenant_id="acme") as current, tool_call(name="x"):
        current.record(tenant_id="acme")
    for span in telemetry.spans:
        assert a.TENANT_ID not in span.attributes
        assert span.attributes[a.TENANT_HASH] == tenant_hash(b"key", "acme")


@pytest.mark.parametrize("limit", [20, 128])
def test_identity_and_scores_outlive_the_attribute_limit(telemetry, limit, caplog):
    provider = TracerProvider(span_limits=SpanLimits(max_span_attributes=limit))
    provider.add_span_processor(SimpleSpanProcessor(telemetry.exporter))
    telemetry.use(provider=provider)
    rubric = {f"rubric_{name}": 0.5 for name in ("format", "tool", "task", "minimal", "cost", "safety")}
    with caplog.at_level(logging.CRITICAL), task(id="t-1", type="research", tenant_id="acme"):
        for number in range(200):
            trace.get_current_span().set_attribute(f"host.{number}", number)
        with evaluation(overall_score=0.9, **rubric, diff_files_touched=1, caws_compliant=True) as verdict:
            verdict.record(
                {"minimal_diff": {"ast_similarity": 0.5, "line_change_ratio": 0.1, "scaffolding_penalty": 0}}
            )
            for number in range(200):
                trace.get_current_span().set_attribute(f"host.{number}", number)
    root, verdict_attributes = telemetry.attributes("task"), telemetry.attributes("evaluate")
    assert {a.TASK_ID, a.TASK_TYPE, a.TENANT_ID, a.EMITTER_ID, a.EMITTER_SEQUENCE} <= set(root)
    assert {a.TASK_ID, a.EVALUATION_OVERALL_SCORE, a.RUBRIC_FORMAT, a.RUBRIC_SAFETY} <= set(verdict_attributes)


def test_suppressed_instrumentation_records_nothing(telemetry):
    with suppress_instrumentation(), task(id="t-1"):
        pass
    assert telemetry.spans == []


def test_without_an_sdk_everything_runs(telemetry, host):
    telemetry.use(provider=trace.NoOpTracerProvider())
    module = host("def handle(task): return task['id']", task="handle")
    assert module.handle({"id": "t-1"}) == "t-1"
    with task(id="t-2") as current:
        current.record(reward=1.0)


class BrokenProcessor(SimpleSpanProcessor):
    def __init__(self) -> None:
        pass

    def on_start(self, span, parent_context=None):
        if "start" in span.name:
            raise RuntimeError("broken")

    def on_end(self, span):
        if "end" in span.name:
            raise RuntimeError("broken")

    def shutdown(self):
        pass


@pytest.mark.parametrize("moment", ["start", "end"])
def test_a_broken_span_processor_of_somebody_else_does_not_reach_the_host(telemetry, host, caplog, moment):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BrokenProcessor())
    telemetry.use(provider=provider)
    module = host(f"def {moment}(): return 5", route=moment)
    with caplog.at_level(logging.WARNING):
        assert [getattr(module, moment)() for _ in range(3)] == [5, 5, 5]
    assert len([record for record in caplog.records if record.name.startswith("otel_benchmark")]) == 1
    runtime._reported.clear()
    assert get_current() == Context()


def test_a_log_handler_that_raises_does_not_reach_the_host(telemetry, host):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BrokenProcessor())
    telemetry.use(provider=provider)
    module = host("def start(): return 5", route="start")

    class Raising(logging.Handler):
        def emit(self, record):
            raise OSError("no space left")

    log, handler = logging.getLogger("otel_benchmark"), Raising()
    log.addHandler(handler)
    try:
        assert module.start() == 5
    finally:
        log.removeHandler(handler)
    assert runtime._reported
    runtime._reported.clear()


def test_a_sampler_that_can_not_describe_itself_costs_only_its_name(telemetry, caplog):
    class Nameless(StaticSampler):
        def get_description(self):
            raise NotImplementedError

    provider = TracerProvider(sampler=Nameless(Decision.RECORD_AND_SAMPLE), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(telemetry.exporter))
    telemetry.use(provider=provider)
    RUNTIME.resolve()  # as the instrumentor does, whose targets would else stay unwrapped
    with task(id="t-1"):
        pass
    assert a.SAMPLER not in telemetry.attributes("task")
    assert not caplog.records
