"""The mapping file: paths lead where the operator says; what is wrong in it is a warning, the rest holds."""

import logging
from types import SimpleNamespace

import pytest

from otel_benchmark import attributes as a
from otel_benchmark.attributes import Kind
from otel_benchmark.environment import Settings
from otel_benchmark.mapping import follow, load


@pytest.fixture
def mapping(tmp_path, telemetry):
    def write(text: str, **settings: object) -> None:
        path = tmp_path / "mapping.toml"
        path.write_text(text)
        telemetry.use(Settings(mapping=path, **settings))

    return write


SOURCE = """
class Option:
    def __init__(self, key, points): self.key, self.points = key, points

class Answer:
    def __init__(self):
        self.chosen_one = {"identifier": "a-7", "labels": ["x", "Ada"]}
        self.options = [Option("a-7", 0.9), Option("a-8", 0.1)]
    @property
    def sure(self): return 0.75
    @property
    def broken(self): raise RuntimeError

class Router:
    build = "v9"
    def pick(self, ticket, *, urgency="low"):
        if ticket == "fail": raise LookupError("nobody is free")
        self.last = 0.4
        return Answer()
"""


def test_paths_start_at_every_root_and_go_through_lists_and_properties(telemetry, host, mapping):
    mapping("""
        [route]
        "selected.id" = "result.chosen_one.identifier"
        "selected.name" = "result.chosen_one.labels.1"
        "confidence" = "result.sure"
        "propensity" = "self.last"
        "policy.version" = "self.build"
        "strategy" = "kwargs.urgency"
        "task.id" = "args.0"
        "rationale" = "result.broken"
        "candidates" = "result.options"
        "candidates.id" = "key"
        "candidates.score" = "points"
    """)
    host(SOURCE, route="Router.pick").Router().pick("T-1")
    assert telemetry.attributes("route") == {
        a.TASK_ID: "T-1",
        a.ROUTING_STRATEGY: "low",
        a.ROUTING_POLICY_VERSION: "v9",
        a.ROUTING_SELECTED_ID: "a-7",
        a.ROUTING_SELECTED_NAME: "Ada",
        a.ROUTING_CONFIDENCE: 0.75,
        a.ROUTING_PROPENSITY: 0.4,
        a.ROUTING_CANDIDATE_IDS: ("a-7", "a-8"),
        a.ROUTING_CANDIDATE_SCORES: (0.9, 0.1),
    }


def test_parameters_are_found_however_they_are_passed(telemetry, host, mapping):
    mapping('[route]\n"task.id" = "kwargs.ticket"\n"strategy" = "args.1"')
    host("def pick(ticket, mode): return 'a'", route="pick").pick("T-1", mode="fallback")
    assert telemetry.attributes("route")[a.TASK_ID] == "T-1"
    assert telemetry.attributes("route")[a.ROUTING_STRATEGY] == "fallback"


def test_exceptions_have_paths_too(telemetry, host, mapping):
    mapping('[execute]\n"failure_reason" = "exception.args.0"')
    module = host("def run(task): raise LookupError('nobody is free')", execute="run")
    with pytest.raises(LookupError):
        module.run({})
    assert telemetry.attributes("invoke_agent")[a.EXECUTION_FAILURE_REASON] == "nobody is free"


def test_the_mapping_wins_over_common_names_and_they_fill_what_it_leaves(telemetry, host, mapping):
    mapping('[route]\n"selected.id" = "result.other"')
    host("def pick(): return {'agent_id': 'common', 'other': 'mapped', 'confidence': 0.5}", route="pick").pick()
    assert telemetry.attributes("route")[a.ROUTING_SELECTED_ID] == "mapped"
    assert telemetry.attributes("route")[a.ROUTING_CONFIDENCE] == 0.5


def test_a_path_that_leads_nowhere_leaves_the_common_name(telemetry, host, mapping):
    mapping('[route]\n"selected.id" = "result.nothing.here"')
    host("def pick(): return {'agent_id': 'common'}", route="pick").pick()
    assert telemetry.attributes("route")[a.ROUTING_SELECTED_ID] == "common"


def test_attribute_names_and_nested_tables_are_keys_too(tmp_path):
    path = tmp_path / "mapping.toml"
    path.write_text('[route]\nselected.id = "result.a"\n"arbiter.routing.confidence" = "result.b"\n')
    lines = load(path)[Kind.ROUTE]
    assert [line.field.key for line in lines.fields] == ["selected.id", "confidence"]


def test_gates_and_turns_have_names_of_their_own(telemetry, host, mapping):
    mapping("""
        [evaluate]
        "gates" = "result.rules"
        "gates.name" = "rule"
        "gates.passed" = "verdict.good"
    """)
    host("def judge(): return {'rules': [{'rule': 'lint', 'verdict': {'good': False}}]}", evaluate="judge").judge()
    (event,) = telemetry.one("evaluate").events
    assert dict(event.attributes) == {a.GEN_AI_EVALUATION_NAME: "lint", a.GATE_PASSED: False}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[routes]\n"selected.id" = "result.a"', "[routes] is no section"),
        ('[route]\n"selected.identity" = "result.a"', "'selected.identity' is no field"),
        ('[route]\n"selected.id" = "answer.a"', "'answer.a' starts at none of"),
        ('[route]\n"selected.id" = "args"', "starts at none of"),
        ('[route]\n"selected.id" = ""', "needs a path"),
        ('[route]\n"selected.id" = "result..id"', "needs a path"),
        ('[route]\n"selected.id" = 5', "needs a path"),
        ("[route", "can't be read"),
    ],
)
def test_what_is_wrong_is_one_warning_and_the_rest_holds(tmp_path, caplog, text, said):
    path = tmp_path / "mapping.toml"
    path.write_text(text + '\n[tool]\nname = "result.t"\n')
    with caplog.at_level(logging.WARNING):
        lines = load(path)
    assert len(caplog.records) == 1
    assert said in caplog.text
    assert str(path) in caplog.text
    assert said == "can't be read" or [line.field.key for line in lines[Kind.TOOL_CALL].fields] == ["name"]


def test_a_missing_file_is_one_warning(tmp_path, caplog):
    assert load(tmp_path / "none.toml") == {}
    assert len(caplog.records) == 1


def test_content_is_mapped_only_by_the_opt_in(telemetry, host, mapping):
    text = '[execute]\npatch = "result.delta"'
    mapping(text)
    host("def run(task): return {'delta': '+x'}", execute="run").run({})
    mapping(text, capture_content=True)
    host("def run(task): return {'delta': '+x'}", execute="run").run({})
    assert [a.DIFF_PATCH in (span.attributes or {}) for span in telemetry.spans] == [False, True]


def test_following_never_raises():
    assert follow(SimpleNamespace(x=[1]), ("x", "7")) is None
    assert follow(None, ("x",)) is None
    assert follow({"x": {"y": 2}}, ("x", "y")) == 2
