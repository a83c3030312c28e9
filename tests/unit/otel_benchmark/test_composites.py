"""Lists of objects: candidates as parallel arrays, gates and turns as events, in whatever form the host has them."""

from collections import namedtuple
from types import SimpleNamespace

import pytest

from otel_benchmark import attributes as a
from otel_benchmark.values import LIST_ITEMS

IDS, SCORES = a.ROUTING_CANDIDATE_IDS, a.ROUTING_CANDIDATE_SCORES
Pair = namedtuple("Pair", "agent_id score")  # noqa: PYI024 - hosts have these


@pytest.mark.parametrize(
    "listed",
    [
        [{"agent_id": "a", "score": 0.5}, {"agentId": "b", "score": 1}],
        [{"agent": {"id": "a"}, "score": 0.5}, {"agent": "b", "score": 1}],
        [SimpleNamespace(id="a", value=0.5), SimpleNamespace(id="b", value=1)],
        [("a", 0.5), ("b", 1)],
        [(SimpleNamespace(id="a"), 0.5), (SimpleNamespace(id="b"), 1)],
        [Pair("a", 0.5), Pair("b", 1)],
        {"a": 0.5, "b": 1},
        {"a": {"score": 0.5}, "b": {"score": 1.0}},
    ],
)
def test_candidates_come_in_many_forms(telemetry, host, listed):
    module = host("def pick(listed): return {'agent_id': 'a', 'alternatives': listed}", route="pick")
    module.pick(listed)
    attributes = telemetry.attributes("route")
    assert attributes[IDS] == ("a", "b")
    assert attributes[SCORES] == (0.5, 1.0)


def test_ids_alone_are_candidates_too(telemetry, host):
    host("def pick(): return {'agent_id': 'a', 'candidates': ['a', 'b']}", route="pick").pick()
    assert telemetry.attributes("route")[IDS] == ("a", "b")
    assert SCORES not in telemetry.attributes("route")


def test_candidates_may_be_given_as_an_argument(telemetry, host):
    module = host("def pick(task, candidates):\n    chosen = candidates.pop()\n    return chosen['id']", route="pick")
    module.pick({}, [{"id": "a"}, {"id": "b"}])
    assert telemetry.attributes("route")[IDS] == ("a", "b")
    assert telemetry.attributes("route")[a.ROUTING_SELECTED_ID] == "b"


def test_the_results_candidates_win_over_the_arguments(telemetry, host):
    module = host("def pick(candidates): return {'agent_id': 'x', 'scores': {'x': 0.5, 'y': 0.25}}", route="pick")
    module.pick([{"id": "a", "reason": "why"}])
    attributes = telemetry.attributes("route")
    assert (attributes[IDS], attributes[SCORES]) == (("x", "y"), (0.5, 0.25))
    assert a.ROUTING_CANDIDATE_REASONS not in attributes


def test_the_selected_agent_is_among_the_candidates(telemetry, host):
    result = {
        "agent_id": "a",
        "propensity": 0.75,
        "alternatives": [{"agent_id": "b", "score": 0.1, "propensity": 0.25}],
    }
    host("def pick(result): return result", route="pick").pick(result)
    attributes = telemetry.attributes("route")
    assert attributes[IDS] == ("b", "a")
    assert attributes[a.ROUTING_CANDIDATE_PROPENSITIES] == (0.25, 0.75)
    assert attributes[SCORES] == (0.1, None)


def test_a_call_that_fails_keeps_the_candidates_it_was_given(telemetry, host):
    module = host("def pick(candidates): raise LookupError", route="pick")
    with pytest.raises(LookupError):
        module.pick(["a", "b"])
    assert telemetry.attributes("route")[IDS] == ("a", "b")


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([{"name": "lint", "passed": True}], [{a.GATE_PASSED: True}]),
        ([SimpleNamespace(gate="lint", ok=False, required=True)], [{a.GATE_PASSED: False, a.GATE_MANDATORY: True}]),
        ({"lint": True}, [{a.GATE_PASSED: True}]),
        ({"lint": 0.5}, [{a.GEN_AI_EVALUATION_SCORE_VALUE: 0.5}]),
        ({"lint": {"score": 1, "threshold": 0.8}}, [{a.GEN_AI_EVALUATION_SCORE_VALUE: 1.0, a.GATE_THRESHOLD: 0.8}]),
        (
            [{"criterion": "lint", "status": "good", "reason": "clean"}],
            [{a.GEN_AI_EVALUATION_SCORE_LABEL: "good", a.GEN_AI_EVALUATION_EXPLANATION: "clean"}],
        ),
        ([{"passed": True}, "lint", 5, None], []),
        ([], []),
    ],
)
def test_gates_come_in_many_forms(telemetry, host, listed, expected):
    host("def judge(listed): return {'gates': listed}", evaluate="judge").judge(listed)
    events = telemetry.one("evaluate").events
    assert [dict(event.attributes) for event in events] == [{a.GEN_AI_EVALUATION_NAME: "lint", **e} for e in expected]
    assert {event.name for event in events} <= {"gen_ai.evaluation.result"}


def test_lists_are_bounded(telemetry, host):
    host("def judge(): return {'gates': {str(n): True for n in range(1000)}}", evaluate="judge").judge()
    host("def pick(): return {'agent_id': '0', 'scores': {str(n): 0.5 for n in range(1000)}}", route="pick").pick()
    assert len(telemetry.one("evaluate").events) <= 128
    assert len(telemetry.attributes("route")[IDS]) == LIST_ITEMS


TURNS = """
def read(path, turn_number=None): return {"success": True}
def run(task, numbered):
    read("/x", 1 if numbered else None)
    return {"turns": [{"number": 1, "tool": "read", "reward": 0.5}, {"number": 2, "information_gain": 0.25}]}
"""


@pytest.mark.parametrize(("numbered", "numbers"), [(True, [1, 2]), (False, [2])])
def test_a_turn_with_a_tool_is_told_by_the_tools_span_unless_numbers_join_them(telemetry, host, numbered, numbers):
    host(TURNS, execute="run", tool="read").run({}, numbered)
    events = telemetry.one("invoke_agent").events
    assert [event.attributes[a.TURN_NUMBER] for event in events] == numbers
    assert {event.name for event in events} == {a.TURN_EVENT}
