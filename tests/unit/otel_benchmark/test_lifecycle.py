"""The API: five spans as context managers and decorators, sync and async, with every fact given by hand."""

import asyncio
import logging

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags

from otel_benchmark import attributes as a
from otel_benchmark import evaluation, execution, route, task, tool_call
from otel_benchmark.environment import Settings
from otel_benchmark.tasks import KNOWN_TASKS


def test_a_whole_task(telemetry):
    with task(id="t-1", type="research", complexity="standard", requirements=["python"], tenant_id="acme") as current:
        with route(router="bandit") as decision:
            decision.record(selected_id="a-7", strategy="multi-armed-bandit", propensity=0.9, explored=False)
            decision.candidate("a-7", score=0.8, propensity=0.9)
            decision.candidate("a-8", score=0.1, reason="dear")
        with execution(agent_id="a-7", agent_name="Ada", model="gpt-x") as run:
            with tool_call(name="read_file", call_id="c-1", turn_number=1) as call:
                call.record(success=True, turn_reward=0.5)
            run.turn(2, information_gain=0.25)
            run.record({"success": True, "usage": {"input_tokens": 5}}, cost_usd=0.5)
        with evaluation(evaluator_name="rubric") as verdict:
            verdict.record(overall_score=0.9, rubric_format=1, caws_compliant=True)
            verdict.gate("tests", passed=True, score=1.0, threshold=0.8, mandatory=True)
        current.record(reward=0.7)
        assert current.span is not None

    assert telemetry.names == [
        "route bandit",
        "execute_tool read_file",
        "invoke_agent Ada",
        "evaluate rubric",
        "task research",
    ]
    root = telemetry.one("task")
    assert root.attributes[a.TASK_REWARD] == 0.7
    assert telemetry.one("execute_tool").parent.span_id == telemetry.one("invoke_agent").context.span_id
    for word in ("route", "invoke_agent", "evaluate"):
        assert telemetry.one(word).parent.span_id == root.context.span_id
    for span in telemetry.spans:
        assert span.attributes[a.TASK_ID] == "t-1"
        assert span.attributes[a.TENANT_ID] == "acme"
    assert telemetry.attributes("route") == {
        a.TASK_ID: "t-1",
        a.TENANT_ID: "acme",
        a.ROUTING_SELECTED_ID: "a-7",
        a.ROUTING_STRATEGY: "multi-armed-bandit",
        a.ROUTING_PROPENSITY: 0.9,
        a.ROUTING_EXPLORED: False,
        a.ROUTING_CANDIDATE_IDS: ("a-7", "a-8"),
        a.ROUTING_CANDIDATE_SCORES: (0.8, 0.1),
        a.ROUTING_CANDIDATE_PROPENSITIES: (0.9, None),
        a.ROUTING_CANDIDATE_REASONS: (None, "dear"),
    }
    assert telemetry.attributes("invoke_agent") == {
        a.TASK_ID: "t-1",
        a.TENANT_ID: "acme",
        a.GEN_AI_OPERATION_NAME: "invoke_agent",
        a.GEN_AI_AGENT_ID: "a-7",
        a.AGENT_ID: "a-7",
        a.GEN_AI_AGENT_NAME: "Ada",
        a.GEN_AI_REQUEST_MODEL: "gpt-x",
        a.EXECUTION_SUCCESS: True,
        a.GEN_AI_USAGE_INPUT_TOKENS: 5,
        a.EXECUTION_COST_USD: 0.5,
    }
    (turn,) = telemetry.one("invoke_agent").events
    assert (turn.name, dict(turn.attributes)) == (a.TURN_EVENT, {a.TURN_NUMBER: 2, a.TURN_INFORMATION_GAIN: 0.25})
    (gate,) = telemetry.one("evaluate").events
    assert gate.name == a.GEN_AI_EVALUATION_EVENT
    assert gate.attributes[a.GATE_MANDATORY] is True


def test_async_context_managers(telemetry):
    async def main() -> None:
        async with task(id="t-1"), tool_call(name="x") as call:
            await asyncio.sleep(0)
            call.record(effective=True)

    asyncio.run(main())
    assert telemetry.names == ["execute_tool x", "task"]


def test_an_exception_passes_and_is_recorded(telemetry):
    with pytest.raises(LookupError), task(id="t-1"):
        raise LookupError("nobody")
    assert telemetry.one("task").status.status_code is StatusCode.ERROR


def test_bare_and_configured_decorators_on_every_kind_of_function(telemetry):
    @task(type="research")
    async def handle(item: dict[str, str]) -> float:
        Agent().run(item)
        return await judge(item)

    class Agent:
        name = "Ada"

        @execution(model="gpt-x")
        def run(self, item: dict[str, str]) -> list[str]:
            return list(self.steps())

        @tool_call
        def steps(self):
            yield "a"

        @staticmethod
        @tool_call
        def helper(path: str) -> str:
            return path

        @classmethod
        @tool_call(name="made")
        def make(cls) -> str:
            return cls.__name__

    @evaluation
    async def judge(item: dict[str, str]) -> float:
        return 0.5

    assert asyncio.run(handle({"id": "t-9"})) == 0.5
    assert (Agent.helper("p"), Agent.make()) == ("p", "Agent")
    assert telemetry.names == [
        "execute_tool steps",
        "invoke_agent Ada",
        "evaluate judge",
        "task research",
        "execute_tool helper",
        "execute_tool made",
    ]
    assert telemetry.attributes("task")[a.TASK_ID] == "t-9"
    assert telemetry.attributes("invoke_agent")[a.GEN_AI_REQUEST_MODEL] == "gpt-x"
    assert telemetry.attributes("evaluate")[a.EVALUATION_OVERALL_SCORE] == 0.5


def test_a_decorated_override_that_calls_super_is_one_span(telemetry):
    class Base:
        @execution
        def run(self) -> int:
            return 1

    class Derived(Base):
        @execution
        def run(self) -> int:
            return super().run() + 1

    assert Derived().run() == 2
    assert len(telemetry.spans) == 1


def test_one_manager_may_be_entered_by_tasks_at_once(telemetry):
    call = tool_call(name="x")
    first_left = asyncio.Event()

    async def first(second_entered: asyncio.Event) -> None:
        async with call:
            await second_entered.wait()
        first_left.set()

    async def second(entered: asyncio.Event) -> bool:
        async with call as recording:
            entered.set()
            await first_left.wait()
            return recording.span is not None and recording.span.is_recording()

    async def both() -> bool:
        entered = asyncio.Event()
        return (await asyncio.gather(first(entered), second(entered)))[1]

    assert asyncio.run(both())
    assert len(telemetry.spans) == 2


def test_one_manager_may_be_entered_again(telemetry):
    call = tool_call(name="x")
    with call, call:
        pass
    with call, suppress_instrumentation(), call:
        pass
    assert len(telemetry.spans) == 3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: task(kind="research"), "task: kind is no field"),
        (lambda: route(selected_id=["a"]), "selected_id takes identifier, not list"),
        (lambda: execution(cost_usd="cheap"), "cost_usd takes number, not str"),
        (lambda: tool_call(int), "can't be decorated"),
    ],
)
def test_a_wrong_use_is_one_warning_and_the_host_runs(telemetry, caplog, make, said):
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            made = make()
    assert len(caplog.records) == 1
    assert said in caplog.text
    if made is not int:
        with made:
            pass
        assert len(telemetry.spans) == 1


def test_keywords_win_over_the_object_and_later_calls_over_earlier_ones(telemetry):
    with execution(agent_id="a") as run:
        run.record({"cost_usd": 0.5, "success": False}, cost_usd=0.02)
        run.record({"success": True})
    attributes = telemetry.attributes("invoke_agent")
    assert (attributes[a.EXECUTION_COST_USD], attributes[a.EXECUTION_SUCCESS]) == (0.02, True)


def test_an_absent_holder_of_arguments_hides_no_others_and_is_no_attribute(telemetry, caplog):
    telemetry.use(Settings(capture_content=True))

    @tool_call
    def shell(command: str, args: list[str] | None = None) -> None: ...

    @tool_call
    def call(arguments: object) -> None: ...

    class Unbound:
        @property  # type: ignore[misc]  # such a proxy lies about its type
        def __class__(self):
            raise RuntimeError("working outside of request context")

    shell("ls")
    shell("ls", ["-l"])
    call(Unbound())
    arguments = [span.attributes.get(a.GEN_AI_TOOL_CALL_ARGUMENTS) for span in telemetry.spans]
    assert arguments == ['{"command": "ls", "args": null}', '["-l"]', None]
    assert not caplog.records


def test_content_is_recorded_only_by_the_opt_in(telemetry):
    with tool_call(name="x", arguments={"a": 1}):
        pass
    telemetry.use(Settings(capture_content=True))
    with tool_call(name="x", arguments={"a": 1}):
        pass

    @tool_call
    def read(path: str, limit: int = 5) -> dict[str, str]:
        return {"text": "hello"}

    read("/x")
    first, second, third = telemetry.spans
    assert a.GEN_AI_TOOL_CALL_ARGUMENTS not in first.attributes
    assert second.attributes[a.GEN_AI_TOOL_CALL_ARGUMENTS] == '{"a": 1}'
    assert third.attributes[a.GEN_AI_TOOL_CALL_ARGUMENTS] == '{"path": "/x", "limit": 5}'
    assert third.attributes[a.GEN_AI_TOOL_CALL_RESULT] == '{"text": "hello"}'


# -- Late evaluations ------------------------------------------------------------------------------


def test_a_late_evaluation_names_its_task_by_what_was_kept_of_it(telemetry):
    with task(id="t-1", tenant_id="acme") as current:
        kept = current.traceparent
    KNOWN_TASKS._tasks.clear()  # days later, in another process
    with evaluation(of=kept, evaluator_name="reviewer") as verdict:
        verdict.record(overall_score=0.5)
    root, late = telemetry.one("task"), telemetry.one("evaluate")
    assert kept is not None
    assert kept.startswith(f"00-{root.context.trace_id:032x}-{root.context.span_id:016x}-")
    assert late.parent is None
    assert late.context.trace_id != root.context.trace_id
    assert [link.context.span_id for link in late.links] == [root.context.span_id]
    assert telemetry.attributes("evaluate") == {a.EVALUATOR_NAME: "reviewer", a.EVALUATION_OVERALL_SCORE: 0.5}


def test_a_late_evaluation_is_not_of_the_task_that_it_runs_in(telemetry):
    with task(id="judged", tenant_id="acme") as judged:
        pass
    with task(id="nightly", tenant_id="other"), evaluation(of=judged.traceparent, task_id="judged"):
        pass
    late = telemetry.one("evaluate")
    assert (late.parent, len(late.links)) == (None, 1)
    assert late.attributes == {a.TASK_ID: "judged", a.TENANT_ID: "acme"}


@pytest.mark.parametrize("of", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", 7])
def test_what_names_no_span_is_one_warning(telemetry, caplog, of):
    for _ in range(2):
        with evaluation(of=of, task_id="t-1") as verdict:
            verdict.record(overall_score=0.5)
    assert [len(span.links) for span in telemetry.spans] == [0, 0]
    (warning,) = caplog.messages
    assert "otel_benchmark evaluation: of takes a task's traceparent" in warning


def test_a_decorator_takes_no_single_task(telemetry, caplog):
    @evaluation(of="00-" + "1" * 32 + "-" + "1" * 16 + "-01")
    def judge() -> float:
        return 0.5

    judge()
    assert telemetry.one("evaluate").links == ()
    assert "use `with`" in caplog.text


def test_without_a_span_there_is_no_traceparent(telemetry):
    with suppress_instrumentation(), task(id="t-1") as current:
        assert current.traceparent is None


def test_a_span_context_names_a_task_as_well(telemetry):
    kept = SpanContext(0x0A, 0x0B, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with evaluation(of=kept):
        pass
    (link,) = telemetry.one("evaluate").links
    assert (link.context.trace_id, link.context.span_id) == (0x0A, 0x0B)
