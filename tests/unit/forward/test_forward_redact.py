"""What leaves with a forwarded span, and that nothing else does, wherever a text can stand."""

from __future__ import annotations

import math
import uuid
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.backend import attributes_of
from support.lifecycle import (
    evaluation,
    event,
    execution,
    foreign,
    key_values,
    model_call,
    route,
    span,
    task,
    tool_call,
)

from collector_processor.forward.allowed import EVENTS, MAX_TEXT, RESOURCE, SPAN
from collector_processor.forward.redact import (
    MAX_REMEMBERED_BYTES,
    Redactor,
    copy_resource,
    copy_scope,
    describe_point,
)
from collector_processor.guard import Protector
from collector_processor.guard.privacy import Keyring, Text
from collector_processor.guard.tenants import hashed
from collector_processor.model.stages import Standing
from otel_benchmark import attributes as a
from otel_benchmark.contract import CONTRACT

SECRET = "sk-PLANTED-jo@example.org"
KEY = b"a key that is good enough for tests"
SCOPE = InstrumentationScope(name="some.library")

STAYS = {
    a.USER_ID,
    a.TASK_DESCRIPTION,
    a.TASK_REQUIREMENTS,
    a.ROUTING_RATIONALE,
    a.ROUTING_CANDIDATE_REASONS,
    a.EXECUTION_FAILURE_REASON,
    a.GEN_AI_EVALUATION_EXPLANATION,
    *a.CONTENT_ATTRIBUTES,
}
TENANTS = {a.TENANT_ID, a.TENANT_HASH}
POINT = Standing(uuid.UUID(int=7), "quarantined", False, "failure", 0.2, ("timing", "reported"), True)


def copy(original, scope=SCOPE, key=None, standing=None, trace_state=""):
    return Redactor(partial(hashed, key=key)).span(original, scope, trace_state, describe_point(standing))


def test_every_attribute_of_the_contract_leaves_or_stays():
    """A new one has to be put on one side."""
    named = {attribute.name for each in CONTRACT for attribute in each.attributes}
    named |= {attribute.name for each in CONTRACT for event in each.events for attribute in event.attributes}
    assert named - set(SPAN) == STAYS | TENANTS
    assert set(EVENTS) == {a.EXCEPTION_EVENT} | {event.name for each in CONTRACT for event in each.events}


def test_facts_leave_as_they_are():
    attributes = {
        a.TASK_ATTEMPT: 2,
        a.TASK_REWARD: 0.5,
        a.PROVENANCE_AI_ASSISTED: True,
        a.CAWS_GATES_PASSED: ["tests", "lint"],
        a.CAWS_SCORE_GATE_INTEGRITY: 1,
    }
    left = copy(task(attributes=attributes, kind=Span.SPAN_KIND_INTERNAL, flags=0x101))
    assert attributes_of(left) == {a.TASK_ID: "task-1", a.TASK_TYPE: "code-editing", **attributes}
    original = task()
    for name in ("trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano"):
        assert getattr(left, name) == getattr(original, name)
    assert (left.kind, left.flags) == (Span.SPAN_KIND_INTERNAL, 0x101)


def test_candidates_without_a_score_keep_their_place():
    left = copy(route(attributes={a.ROUTING_CANDIDATE_IDS: ["x", "y"], a.ROUTING_CANDIDATE_SCORES: [0.5, None]}))
    assert attributes_of(left)[a.ROUTING_CANDIDATE_SCORES] == [0.5, None]


def everywhere() -> Span:
    """A span with the secret in every place that can hold a text, as value and as key."""
    nested = AnyValue(
        kvlist_value=KeyValueList(values=[KeyValue(key=SECRET, value=AnyValue(array_value=ArrayValue()))])
    )
    texts = dict.fromkeys([*STAYS, "http.url", a.EXCEPTION_MESSAGE, SECRET], SECRET)
    wrong = dict.fromkeys((a.TASK_ATTEMPT, a.EXECUTION_SUCCESS, a.ROUTING_CANDIDATE_SCORES), SECRET)
    bad = {
        a.AGENT_ID: nested,
        a.AGENT_VERSION: [SECRET],
        a.ROUTING_CANDIDATE_LOAD_SCORES: [0.5, SECRET],
        a.ROUTING_CANDIDATE_IDS: [["x", SECRET]],
        a.RUBRIC_VERSION: SECRET.encode(),
        a.EVALUATOR_NAME: f"two\nlines {SECRET}",
        a.EVALUATOR_VERSION: SECRET + "x" * MAX_TEXT,
    }
    events = [
        event(
            a.EXCEPTION_EVENT,
            {a.EXCEPTION_TYPE: "ValueError", a.EXCEPTION_MESSAGE: SECRET, "exception.stacktrace": SECRET},
        ),
        event(
            a.GEN_AI_EVALUATION_EVENT,
            {a.GEN_AI_EVALUATION_NAME: "tests", a.GEN_AI_EVALUATION_EXPLANATION: SECRET, SECRET: 1},
        ),
        event(a.TURN_EVENT, {a.TURN_NUMBER: SECRET, "note": SECRET}),
        event(SECRET, {a.TURN_NUMBER: 1}),
    ]
    links = [
        Span.Link(trace_id=b"t" * 16, span_id=b"s" * 8, trace_state=f"v={SECRET}", attributes=key_values({"x": SECRET}))
    ]
    planted = span(
        1,
        f"task {SECRET}",
        {a.TASK_ID: "task-1"} | texts | wrong | bad,
        events=events,
        links=links,
        error=SECRET,
        trace_state=f"vendor={SECRET},ot=th:0;x:{SECRET}",
    )
    # A field of a later OTLP, on the span and inside a value that is allowed.
    unknown = b"\xfa\x3f" + bytes([len(SECRET)]) + SECRET.encode()
    allowed = KeyValue(
        key=a.TASK_TYPE, value=AnyValue.FromString(AnyValue(string_value="design").SerializeToString() + unknown)
    )
    planted.attributes.append(KeyValue.FromString(allowed.SerializeToString() + unknown))
    return Span.FromString(planted.SerializeToString() + unknown)


def test_no_text_leaves_wherever_it_stands():
    planted = everywhere()
    assert planted.SerializeToString().count(SECRET.encode()) > 30
    left = copy(planted, trace_state="ot=th:0", standing=POINT)
    assert SECRET.encode() not in left.SerializeToString()
    assert left.name == "task design"
    assert [each.name for each in left.events] == [a.EXCEPTION_EVENT, a.GEN_AI_EVALUATION_EVENT, a.TURN_EVENT]
    assert [attributes_of(each) for each in left.events] == [
        {a.EXCEPTION_TYPE: "ValueError"},
        {a.GEN_AI_EVALUATION_NAME: "tests"},
        {},
    ]
    assert [(link.trace_id, link.span_id) for link in left.links] == [(b"t" * 16, b"s" * 8)]
    assert (left.status.code, left.status.message) == (2, "")
    assert left.trace_state == "ot=th:0"


def test_a_link_that_is_none_stays():
    """Its ids could be any bytes, and a backend that reads them refuses the request with all that stands beside."""
    good = Span.Link(trace_id=b"t" * 16, span_id=b"s" * 8, flags=1)
    bad = [Span.Link(trace_id=SECRET.encode(), span_id=b"s" * 8), Span.Link(trace_id=b"t" * 16, span_id=b"s" * 7)]
    left = copy(task(links=[*bad, good], dropped_links_count=1))
    assert list(left.links) == [good]
    assert left.dropped_links_count == 3


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 4111111111111111, -4111111111111111.0])
def test_what_is_no_finite_number_or_as_long_as_a_cards_stays(number):
    attributes = {a.TASK_REWARD: number, a.ROUTING_CANDIDATE_SCORES: [0.5, number], a.TASK_ATTEMPT: 2}
    assert attributes_of(copy(task(attributes=attributes))).keys() & attributes.keys() == {a.TASK_ATTEMPT}


def test_the_copy_tells_how_much_stayed():
    left = copy(task(attributes={"x": 1, "y": 2}, events=[event("note", {}), event(a.TURN_EVENT, {"z": 1})]))
    assert (left.dropped_attributes_count, left.dropped_events_count) == (2, 1)
    assert left.events[0].dropped_attributes_count == 1
    full = copy(task(attributes={"x": 1}, dropped_attributes_count=0xFFFFFFFF))
    assert full.dropped_attributes_count == 0xFFFFFFFF


def test_of_one_name_twice_the_last_counts_as_in_records():
    twice = task(attributes={a.TASK_COMPLEXITY: "trivial"})
    twice.attributes.extend(key_values({a.TASK_COMPLEXITY: "complex"}))
    assert attributes_of(copy(twice))[a.TASK_COMPLEXITY] == "complex"
    twice.attributes.extend(key_values({a.TASK_COMPLEXITY: f"so\n{SECRET}"}))
    assert a.TASK_COMPLEXITY not in attributes_of(copy(twice))


@pytest.mark.parametrize(
    ("original", "name"),
    [
        (task(), "task code-editing"),
        (span(1, f"task {SECRET}", {a.TASK_ID: "t"}), "task"),
        (route(), "route"),
        (execution(), "invoke_agent Alpha"),
        (tool_call(), "execute_tool read_file"),
        (evaluation(attributes={a.EVALUATOR_NAME: "rubric"}), "evaluate rubric"),
        (evaluation(), "evaluate"),
        (model_call(5, attributes={a.GEN_AI_REQUEST_MODEL: "small-1"}), "chat small-1"),
        (model_call(5), "chat"),
        (foreign(5), "some.library"),
        (span(5, f"task {SECRET}"), "some.library"),
        (span(5, SECRET, {a.TASK_ID: "t"}), "some.library"),
        (span(5, SECRET, {a.GEN_AI_OPERATION_NAME: SECRET}), "some.library"),
    ],
)
def test_names_are_formed_of_what_leaves(original, name):
    assert copy(original).name == name


def test_a_foreign_span_of_an_unnamed_scope_has_a_name():
    assert copy(foreign(5), scope=InstrumentationScope()).name == "span"


def test_tenants_leave_as_records_know_them():
    in_clear = task(attributes={a.TENANT_ID: "acme"})
    assert "acme" not in str(copy(in_clear))
    assert a.TENANT_HASH not in attributes_of(copy(in_clear))
    assert attributes_of(copy(in_clear, key=KEY))[a.TENANT_HASH] == a.tenant_hash(KEY, "acme")
    assert "acme" not in str(copy(in_clear, key=KEY))
    at_source = task(attributes={a.TENANT_HASH: "9f" * 32})
    assert attributes_of(copy(at_source))[a.TENANT_HASH] == "9f" * 32
    pretended = task(attributes={a.TENANT_HASH: "acme"})
    assert "acme" not in str(copy(pretended))


def test_the_point_is_named_by_us_alone():
    claimed = task(attributes=dict.fromkeys(a.POINT_ATTRIBUTES, "claimed"))
    assert set(attributes_of(copy(claimed))) == {a.TASK_ID, a.TASK_TYPE}
    named = attributes_of(copy(claimed, standing=POINT))
    assert {name: named[name] for name in a.POINT_ATTRIBUTES} == {
        a.POINT_ID: str(POINT.id),
        a.POINT_STATE: "quarantined",
        a.POINT_VALID: False,
        a.POINT_OUTCOME: "failure",
        a.POINT_GATES_FAILED: ["timing", "reported"],
    }


def test_of_a_resource_only_what_is_listed_leaves():
    described = {
        a.SERVICE_NAME: "orchestrator",
        "host.name": SECRET,
        "process.command_line": SECRET,
        a.SERVICE_VERSION: 3,
    }
    left = copy_resource(Resource(attributes=key_values(described)).SerializeToString())
    assert attributes_of(left) == {a.SERVICE_NAME: "orchestrator"}
    assert left.dropped_attributes_count == 3
    assert a.SERVICE_NAME in RESOURCE
    assert copy_resource(b"\xff\xff") == Resource()


def test_of_a_scope_name_and_version_leave():
    scope = InstrumentationScope(name="lib", version="1", attributes=key_values({"x": SECRET}))
    assert copy_scope(scope.SerializeToString()) == InstrumentationScope(name="lib", version="1")
    assert copy_scope(InstrumentationScope(name=f"a\n{SECRET}").SerializeToString()) == InstrumentationScope()
    assert copy_scope(b"\xff\xff") == InstrumentationScope()


def test_a_long_resource_is_not_remembered():
    """What is remembered counts as nobody's memory."""
    redactor = Redactor(lambda _: None)

    def is_remembered(size: int) -> bool:
        raw = Resource(attributes=key_values({"x": "x" * size})).SerializeToString()
        return redactor.resource(raw) is redactor.resource(raw)

    assert is_remembered(10)
    assert not is_remembered(MAX_REMEMBERED_BYTES)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
_ATTRIBUTES = st.dictionaries(st.sampled_from([*SPAN, *STAYS, a.TENANT_ID]) | st.text(), _VALUES, max_size=8)


@given(_ATTRIBUTES, st.text(), _ATTRIBUTES)
def test_a_copy_is_its_own_copy(attributes, name, in_event):
    """Redacting twice changes nothing but the counts of what stayed; so nothing escapes by being copied."""
    original = span(1, name, attributes, events=[event(a.TURN_EVENT, in_event)])
    once = copy(original)
    twice = copy(once)
    assert twice == once
    assert set(attributes_of(once)) <= set(SPAN) | {a.TENANT_HASH}
    assert set(attributes_of(once.events[0])) <= set(SPAN)


ANNOUNCED = '{"customer_name": "Mia Li"}'
PEOPLE = KeyValueList(values=[KeyValue(key="name", value=AnyValue(string_value="Mia Li"))])
BESIDE = {
    "an attribute": span(9, "work", {"request.body": ANNOUNCED}),
    "a list": span(9, "work", {"request.parts": ["one", ANNOUNCED]}),
    "a map": span(9, "work", {"customer": AnyValue(kvlist_value=PEOPLE)}),
    "an event": span(9, "work", events=[event("log", {"message": ANNOUNCED})]),
    "a name": span(9, ANNOUNCED),
    "a status": span(9, "work", error=ANNOUNCED),
    "a form that is refused": task(9, attributes={a.TASK_TYPE: ANNOUNCED + " " * MAX_TEXT}),
    "what stays of a task": task(9, attributes={a.TASK_DESCRIPTION: ANNOUNCED}),
}


@pytest.mark.parametrize("place", BESIDE)
def test_a_name_leaves_in_no_other_field_wherever_it_is_announced(place):
    """Also by spans that name no task, and by what stays here for its form."""
    protector = Protector(KEY, Keyring({"k1": bytes(range(32))}, "k1"))

    def clean(texts, tenant):
        return protector.redact([Text(*text) for text in texts], tenant).values

    redactor = Redactor(partial(hashed, key=KEY), clean)
    originals = [execution(attributes={a.GEN_AI_AGENT_NAME: "Mia Li"}), BESIDE[place]]
    copies = [redactor.span(each, SCOPE, "", []) for each in originals]
    assert attributes_of(copies[0])[a.GEN_AI_AGENT_NAME] == "Mia Li"
    redactor.clean(copies, originals)
    assert attributes_of(copies[0])[a.GEN_AI_AGENT_NAME].startswith("<NAME:k1:")
    assert "Mia" not in str(copies)
