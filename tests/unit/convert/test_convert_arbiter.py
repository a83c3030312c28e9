"""The `arbiter` convention: which spans are the lifecycle's, and what they say."""

from __future__ import annotations

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from support.lifecycle import (
    event,
    execution,
    foreign,
    model_call,
    route,
    sealed,
    span,
    span_id,
    task,
    tool_call,
)
from support.records import facts_of

from collector_processor.convert.arbiter import recognise
from collector_processor.convert.decode import decode
from collector_processor.model.facts import Candidate, Facts, Problem
from otel_benchmark import attributes as a
from otel_benchmark.attributes import Kind

ID = {a.TASK_ID: "t"}
EVALUATED = event(a.GEN_AI_EVALUATION_EVENT, {a.GEN_AI_EVALUATION_NAME: "tests"})


def problems(facts: Facts) -> list[tuple[str, Problem]]:
    return [(each.field, each.problem) for each in facts.anomalies]


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (span(1, "task code-editing", ID), Kind.TASK),
        (span(1, "task", ID), Kind.TASK),
        (span(1, "task x", {a.TASK_TYPE: "research"}), None),
        (span(1, "route bandit", {a.ROUTING_SELECTED_ID: "alpha"}), Kind.ROUTE),
        (span(1, "route that raised", ID), Kind.ROUTE),
        (span(1, "route /users", {a.GEN_AI_OPERATION_NAME: "chat"}), None),
        (
            span(1, "invoke_agent x", {a.GEN_AI_OPERATION_NAME: "invoke_agent"}, kind=Span.SPAN_KIND_CLIENT),
            Kind.EXECUTION,
        ),
        (span(1, "invoke_agent x", ID), Kind.EXECUTION),
        (span(1, "invoke_agent x", {a.GEN_AI_AGENT_NAME: "x"}), None),
        (span(1, "execute_tool x", {a.GEN_AI_OPERATION_NAME: "execute_tool"}), Kind.TOOL_CALL),
        (span(1, "execute_tool x", {a.GEN_AI_TOOL_NAME: "x"}), None),
        (span(1, "evaluate rubric", {a.EVALUATION_OVERALL_SCORE: 0.0}), Kind.EVALUATION),
        (span(1, "evaluate rubric", events=[EVALUATED]), Kind.EVALUATION),
        (span(1, "evaluate rubric", {a.RUBRIC_TASK: 1.0}), None),
        (span(1, "tasks", ID), None),
        (span(1, "my task", ID), None),
        (span(1, "chat model", {a.GEN_AI_OPERATION_NAME: "chat"}), None),
    ],
    ids=lambda value: value.name if isinstance(value, Span) else str(value),
)
def test_first_word_and_an_attribute_make_a_lifecycle_span(sent: Span, kind: Kind | None) -> None:
    decoded = decode(sealed(sent))
    assert recognise(decoded.spans[span_id(1)]) is kind


def test_a_task_without_a_type_is_a_task() -> None:
    facts = facts_of(span(1, "task", ID))
    assert facts.task is not None
    assert (facts.task.task_id, facts.task.type) == ("t", None)


def test_a_task_whose_id_cannot_be_used_is_a_task_and_flagged() -> None:
    facts = facts_of(span(1, "task", {a.TASK_ID: True}))
    assert facts.task is not None
    assert facts.task.task_id is None
    assert problems(facts) == [(a.TASK_ID, Problem.WRONG_TYPE)]


def test_another_task_inside_says_nothing_here() -> None:
    facts = facts_of(task(), task(5, parent=1, attributes={a.TASK_ID: "inner"}))
    assert facts.task is not None
    assert facts.task.task_id == "task-1"


def test_the_tenants_hash_goes_before_its_name() -> None:
    both = task(attributes={a.TENANT_ID: "acme", a.TENANT_HASH: "ab" * 32})
    clear = task(attributes={a.TENANT_ID: "acme"})
    assert facts_of(both).task.tenant == "ab" * 32  # type: ignore[union-attr]
    assert facts_of(clear).task.tenant == "acme"  # type: ignore[union-attr]


# -- Routing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "strategy", "explored"),
    [
        ({a.ROUTING_STRATEGY: "multi-armed-bandit-explore"}, "multi-armed-bandit", True),
        ({a.ROUTING_STRATEGY: "multi-armed-bandit-exploit"}, "multi-armed-bandit", False),
        ({a.ROUTING_STRATEGY: "multi-armed-bandit-explore", a.ROUTING_EXPLORED: False}, "multi-armed-bandit", False),
        ({a.ROUTING_STRATEGY: "capability-match"}, "capability-match", None),
        ({a.ROUTING_STRATEGY: "my-own"}, "my-own", None),
        ({}, None, None),
    ],
)
def test_a_strategy_is_parted_from_its_move(
    said: dict[str, object], strategy: str | None, explored: bool | None
) -> None:
    (routing,) = facts_of(task(), route(attributes=said)).routings
    assert (routing.strategy, routing.explored) == (strategy, explored)


def test_candidates_are_read_from_the_arrays_that_are_there() -> None:
    said = {a.ROUTING_CANDIDATE_IDS: ["alpha", "beta"], a.ROUTING_CANDIDATE_PROPENSITIES: [0.9, 0.1]}
    (routing,) = facts_of(task(), route(attributes=said)).routings
    assert routing.candidates == (Candidate("alpha", propensity=0.9), Candidate("beta", propensity=0.1))


@pytest.mark.parametrize(
    "said",
    [
        {a.ROUTING_CANDIDATE_IDS: ["alpha", "beta"], a.ROUTING_CANDIDATE_SCORES: [0.9]},
        {a.ROUTING_CANDIDATE_IDS: ["alpha"], a.ROUTING_CANDIDATE_REASONS: ["x", "y"]},
        {a.ROUTING_CANDIDATE_SCORES: [0.9, 0.8]},
    ],
)
def test_candidate_arrays_of_different_length_are_dropped_whole_and_flagged(said: dict[str, object]) -> None:
    facts = facts_of(task(), route(attributes=said))
    assert facts.routings[0].candidates == ()
    assert problems(facts) == [(a.ROUTING_CANDIDATE_IDS, Problem.LENGTH_MISMATCH)]


def test_a_score_that_is_no_number_leaves_its_candidate() -> None:
    said = {a.ROUTING_CANDIDATE_IDS: ["alpha", "beta"], a.ROUTING_CANDIDATE_SCORES: [float("nan"), 0.5]}
    facts = facts_of(task(), route(attributes=said))
    assert facts.routings[0].candidates == (Candidate("alpha"), Candidate("beta", 0.5))
    assert problems(facts) == [(a.ROUTING_CANDIDATE_SCORES, Problem.NOT_FINITE)]


def test_a_route_that_raised_has_no_selection() -> None:
    raised = span(
        2,
        "route bandit",
        ID,
        parent=1,
        error="nobody is free",
        events=[event(a.EXCEPTION_EVENT, {a.EXCEPTION_TYPE: "LookupError"})],
    )
    (routing,) = facts_of(task(), raised).routings
    assert (routing.selected_id, routing.error_type) == (None, "LookupError")


# -- Execution -------------------------------------------------------------------------------------


def exception(message: str, kind: str = "ValueError", at: float = 0) -> Span.Event:
    return event(a.EXCEPTION_EVENT, {a.EXCEPTION_TYPE: kind, a.EXCEPTION_MESSAGE: message}, at=at)


@pytest.mark.parametrize(
    ("sent", "success", "reason", "error_type"),
    [
        (execution(), None, None, None),
        (execution(attributes={a.EXECUTION_SUCCESS: True}), True, None, None),
        (execution(attributes={a.EXECUTION_SUCCESS: False}), False, None, None),
        (execution(error="timed out"), False, "timed out", None),
        (execution(events=[exception("boom")]), False, "boom", "ValueError"),
        (execution(events=[exception("first"), exception("last", "KeyError")], error="e"), False, "last", "KeyError"),
        (execution(attributes={a.EXECUTION_SUCCESS: True}, events=[exception("handled")]), True, None, "ValueError"),
        (
            execution(attributes={a.EXECUTION_FAILURE_REASON: "own"}, events=[exception("boom")]),
            False,
            "own",
            "ValueError",
        ),
        (execution(attributes={a.ERROR_TYPE: "timeout"}, error="late"), False, "late", "timeout"),
    ],
)
def test_success_is_reported_or_contradicted_never_inferred(
    sent: Span, success: bool | None, reason: str | None, error_type: str | None
) -> None:
    (run,) = facts_of(task(), sent).executions
    assert (run.success, run.failure_reason, run.error_type) == (success, reason, error_type)


def test_new_names_go_before_old_ones() -> None:
    old = {
        a.AGENT_ID: "",
        a.GEN_AI_AGENT_ID: "old-id",
        a.GEN_AI_AGENT_VERSION: "0.9",
        a.FORMER_PROVIDER_NAME: "former",
        a.FORMER_USAGE_INPUT_TOKENS: 10,
        a.FORMER_USAGE_OUTPUT_TOKENS: 5,
        a.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: 3,
        a.GEN_AI_RESPONSE_MODEL: "answered",
    }
    new = {
        a.AGENT_ID: "id",
        a.AGENT_VERSION: "1.0",
        a.GEN_AI_PROVIDER_NAME: "now",
        a.GEN_AI_USAGE_INPUT_TOKENS: 0,
        a.GEN_AI_USAGE_OUTPUT_TOKENS: 7,
        a.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS: 4,
        a.GEN_AI_REQUEST_MODEL: "asked",
    }
    (run,) = facts_of(task(), execution(attributes=old)).executions
    assert (run.agent.id, run.agent.version, run.provider, run.model) == ("old-id", "0.9", "former", "answered")
    assert (run.input_tokens, run.output_tokens, run.cache_write_tokens) == (10, 5, 3)
    (run,) = facts_of(task(), execution(attributes=old | new)).executions
    assert (run.agent.id, run.agent.version, run.provider, run.model) == ("id", "1.0", "now", "asked")
    assert (run.input_tokens, run.output_tokens, run.cache_write_tokens) == (0, 7, 4)


def test_agent_and_tool_are_named_by_the_span_where_no_attribute_does() -> None:
    facts = facts_of(task(), span(3, "invoke_agent Beta Two", ID, parent=1), span(4, "execute_tool grep", ID, parent=3))
    assert facts.executions[0].agent.name == "Beta Two"
    assert facts.tool_calls[0].tool_name == "grep"


def test_turn_events_are_turns_without_a_tool() -> None:
    turns = [
        event(a.TURN_EVENT, {a.TURN_NUMBER: 2, a.TURN_REWARD: -1.5}, at=60),
        event("something else", {}, at=61),
        event(a.TURN_EVENT, {a.TURN_NUMBER: 3, a.TURN_SAFETY_SCORE: float("inf")}, at=62),
    ]
    facts = facts_of(task(), execution(events=turns))
    assert [(turn.time[-11:], turn.scores.number, turn.scores.reward) for turn in facts.executions[0].turns] == [
        ("0.060000000Z"[-11:], 2, -1.5),
        ("0.062000000Z"[-11:], 3, None),
    ]
    assert problems(facts) == [(a.TURN_SAFETY_SCORE, Problem.NOT_FINITE)]


# -- Tool calls ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "success"),
    [
        (tool_call(), None),
        (tool_call(attributes={a.TOOL_SUCCESS: True}, error="told otherwise"), True),
        (tool_call(error="no such file"), False),
        (tool_call(events=[exception("boom")]), False),
    ],
)
def test_a_tool_call_succeeds_as_reported_else_as_its_status_says(sent: Span, success: bool | None) -> None:
    (call,) = facts_of(task(), execution(), sent).tool_calls
    assert call.success is success


def test_a_status_of_ok_is_success() -> None:
    sent = tool_call()
    sent.status.code = Status.STATUS_CODE_OK
    assert facts_of(task(), execution(), sent).tool_calls[0].success is True


@pytest.mark.parametrize(
    ("spans", "execution_number"),
    [
        ([execution(), tool_call()], 3),
        ([execution(), execution(5, parent=3), tool_call(parent=5)], 5),
        ([execution(), foreign(50), tool_call(6), tool_call(parent=6), foreign(51, parent=4)], 3),
        ([execution(), tool_call(parent=1)], None),
        ([execution(), tool_call(parent=77)], None),
    ],
    ids=["direct", "nearest", "through a tool", "below the task", "parent unknown"],
)
def test_a_tool_call_belongs_to_the_nearest_execution_above_it(spans: list[Span], execution_number: int | None) -> None:
    calls = {call.span_id: call for call in facts_of(task(), *spans).tool_calls}
    expected = span_id(execution_number).hex() if execution_number else None
    assert calls[span_id(4).hex()].execution_span_id == expected


# -- Model calls -----------------------------------------------------------------------------------


USAGE = {a.GEN_AI_USAGE_INPUT_TOKENS: 10, a.GEN_AI_USAGE_OUTPUT_TOKENS: 5}


def test_model_calls_below_an_execution_are_facts() -> None:
    facts = facts_of(
        task(),
        execution(),
        tool_call(),
        foreign(50),
        model_call(20, attributes=USAGE),
        model_call(21, parent=4, attributes=USAGE),
        model_call(22, parent=50, attributes=USAGE),
    )
    assert {call.span_id for call in facts.model_calls} == {span_id(each).hex() for each in (20, 21, 22)}
    assert {call.execution_span_id for call in facts.model_calls} == {span_id(3).hex()}


def test_model_calls_of_router_task_and_inside_another_call_are_not_the_agents() -> None:
    facts = facts_of(
        task(),
        route(),
        execution(),
        model_call(20, parent=2, attributes=USAGE),
        model_call(21, parent=1, attributes=USAGE),
        model_call(22, attributes=USAGE),
        model_call(23, parent=22, attributes=USAGE),
        span(24, "embeddings m", {a.GEN_AI_OPERATION_NAME: "embeddings", **USAGE}, parent=3),
    )
    assert [call.span_id for call in facts.model_calls] == [span_id(22).hex()]
