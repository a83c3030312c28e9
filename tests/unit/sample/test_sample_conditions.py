"""Conditions mirror the record: every kind of field, every comparison, what is missing, and what can't be read."""

from __future__ import annotations

import pytest
from support.facts import BASELINE, evaluation, execution, routing, tool_call
from support.sampled import config, record

from collector_processor.errors import ConfigError
from collector_processor.model.facts import Evaluator
from collector_processor.model.record import BenchmarkDataPoint, Outcome
from collector_processor.model.sampling import MAX_SEEN, SamplingState
from collector_processor.sample import Sampler
from collector_processor.sample.conditions import disagreement, first_of
from collector_processor.sample.draw import hashed
from collector_processor.sample.fields import FIELDS


def matches(when: str, point: BenchmarkDataPoint, state: SamplingState | None = None) -> bool:
    sampler = Sampler(config(f"[[judge]]\nname = 'p'\nwhen = {{ {when} }}\nalways = true"))
    return bool(sampler.decide(point, state or SamplingState()).kept)


def refused(when: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config(f"[[judge]]\nname = 'p'\nwhen = {{ {when} }}\nalways = true")
    (line,) = str(caught.value).splitlines()
    return line.removeprefix("test.toml: judge[1].when")


FAILED = record(outcome=Outcome.FAILURE, score=0.3)
BARE = record(executions=(), evaluations=(), routings=(), tool_calls=())


@pytest.mark.parametrize(
    ("when", "point", "expected"),
    [
        ("task.type = 'code-editing'", FAILED, True),
        ("task.type = ['research', 'code-editing']", FAILED, True),
        ("task.type = 'research'", FAILED, False),
        ("task.complexity = 'complex'", record(complexity="complex"), True),
        ("execution.agent.id = 'alpha'", FAILED, True),
        ("routing.selectedAgent.modelFamily = 'small'", FAILED, True),
        ("routing.strategy = 'multi-armed-bandit', routing.explored = true", FAILED, True),
        ("routing.explored = false", FAILED, False),
        ("rlLabels.finalOutcome = 'failure'", FAILED, True),
        ("rlLabels.finalOutcome = 'failure', task.type = 'research'", FAILED, False),
        ("evaluation.overallScore.below = 0.5", FAILED, True),
        ("evaluation.overallScore.below = 0.3", FAILED, False),
        ("evaluation.overallScore.above = 0.25", FAILED, True),
        ("evaluation.overallScore.above = 0.3", FAILED, False),
        ("evaluation.overallScore = { near = 0.25, within = 0.06 }", FAILED, True),
        ("evaluation.overallScore = { near = 0.25, within = 0.04 }", FAILED, False),
        ("evaluation.overallScore = { above = 0.2, below = 0.4, known = true }", FAILED, True),
        ("evaluation.overallScore = 0.3", FAILED, True),
        ("execution.toolCallCount = [1, 2]", FAILED, True),
        ("completeness.seen = 'routing'", FAILED, True),
        ("completeness.seen = ['routing', 'evaluation']", BARE, False),
        ("completeness.truncated = false", FAILED, True),
        ("tool = 'read_file'", FAILED, True),
        ("tool = ['write_file']", FAILED, False),
        ("gate = false", record(), True),
        ("gate = true", FAILED, False),
        ("gate = 'latency-outlier'", record(), False),
        ("not.task.type = 'research'", FAILED, True),
        ("any = [{ task.type = 'research' }, { gate = false }]", FAILED, True),
        ("all = [{ task.type = 'research' }, { gate = false }]", FAILED, False),
        ("not = { any = [{ not.gate = false }, { task.type = 'research' }] }", FAILED, True),
        # What is missing meets nothing but that it isn't known.
        ("evaluation.overallScore.below = 0.5", BARE, False),
        ("evaluation.overallScore.above = 0", BARE, False),
        ("evaluation.overallScore.known = false", BARE, True),
        ("evaluation.overallScore.known = true", BARE, False),
        ("rlLabels.finalOutcome.known = false", BARE, True),
        ("task.requirements.known = false", BARE, True),
        ("execution.success = false", BARE, False),
        ("tool = 'read_file'", BARE, False),
        ("tool.known = false", BARE, True),
        ("first.agent = 5", BARE, False),
        ("first.tool = 5", BARE, False),
        ("not.routing.explored = true", BARE, True),
    ],
)
def test_what_a_condition_matches(when: str, point: BenchmarkDataPoint, expected: bool):
    assert matches(when, point) is expected


def test_gates_and_outliers():
    slow = record(
        executions=(execution(latency_ms=1e9),), evaluations=(), baseline=BASELINE, tool_calls=(), routings=(routing(),)
    )
    assert matches("gate = ['latency-outlier', 'token-outlier']", slow)
    assert matches("gate = true", slow)
    assert not matches("gate = 'token-outlier'", slow)


def test_evaluators_disagree_by_their_newest_scores():
    told = (
        evaluation(span=5, evaluator=Evaluator("rubric"), overall_score=0.1),
        evaluation(span=6, evaluator=Evaluator("rubric"), overall_score=0.75, end="2026-11-22T13:00:00.000000000Z"),
        evaluation(span=7, evaluator=Evaluator("human"), overall_score=0.5),
        evaluation(span=8, evaluator=Evaluator("silent"), overall_score=None),
    )
    point = record(evaluations=told)
    assert disagreement(point) == pytest.approx(0.25)
    assert matches("disagreement.above = 0.2", point)
    assert not matches("disagreement.above = 0.3", point)
    assert disagreement(record()) is None
    assert matches("disagreement.known = false", record())


def test_first_tasks_of_an_agent_or_tool():
    alpha, tool = hashed("agent", "alpha"), hashed("tool", "read_file")
    assert matches("first.agent = 3", FAILED)
    assert matches("first.agent = 3", FAILED, SamplingState(seen={alpha: 2}))
    assert not matches("first.agent = 3", FAILED, SamplingState(seen={alpha: 3}))
    assert not matches("first.tool = 3", FAILED, SamplingState(seen={tool: 3}))
    two_tools = record(tool_calls=(tool_call(span=4), tool_call(span=6, tool_name="new")))
    assert matches("first.tool = 3", two_tools, SamplingState(seen={tool: 3}))
    full = SamplingState(seen=dict.fromkeys(range(MAX_SEEN), 1))
    assert not matches("first.agent = 3", FAILED, full), "nobody is new once the table is full"


def test_the_largest_number_of_first_tasks():
    assert first_of({"task": {"type": "design"}}) == 0
    nested = {"any": [{"first": {"agent": 2}}, {"not": {"first": {"tool": 30}}}], "all": [{"first": {"agent": 7}}]}
    assert first_of(nested) == 30


def test_every_field_of_the_record_may_be_named_but_those_that_identify_or_follow_from_sampling():
    assert {"task.type", "execution.costUsd", "caws.budgetUsage.locUsed", "completeness.endedBy"} <= FIELDS.keys()
    tops = {path.partition(".")[0] for path in FIELDS}
    assert not tops & {"id", "timestamp", "revision", "schemaVersion", "sampling", "facts"}
    point = record()
    for name, field in FIELDS.items():
        field.reader()(point)
        field.reader()(BARE)
        assert matches(f"any = [{{ {name}.known = true }}, {{ {name}.known = false }}]", BARE), name


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("task.typ = 'x'", ".task.typ: no field of the record that a condition may name; did you mean task.type?"),
        ("task.type = 3", ".task.type: has to be text, or a list of such"),
        ("task.type = []", ".task.type: has to be text, or a list of such"),
        ("task = 'x'", ".task: is a section: write a condition on one of its fields, such as task.id"),
        (
            "state = 'rejected'",
            ".state: has to be one of accepted, quarantined, released, discarded, or a list of such",
        ),
        ("gate = 'pii-found'", ".gate: has to be one of required-sections,"),
        ("routing.explored = 'yes'", ".routing.explored: has to be true or false, or a list of such"),
        ("evaluation.overallScore.under = 1", ".evaluation.overallScore.under: no comparison: there are above,"),
        ("evaluation.overallScore.above = 'high'", ".evaluation.overallScore.above: has to be a number"),
        ("evaluation.overallScore.above = nan", ".evaluation.overallScore.above: has to be a number"),
        ("evaluation.overallScore.near = 0.5", ".evaluation.overallScore: near and within belong together"),
        ("evaluation.overallScore = {near = 1, within = -1}", ".evaluation.overallScore: near and within belong"),
        ("task.type.above = 1", ".task.type.above: compares numbers, and the field holds text"),
        ("task.type.known = 1", ".task.type.known: has to be true or false"),
        ("first.agents = 3", ".first: has to be a table such as { agent = 20 } or { tool = 10 }"),
        ("first.agent = 0", ".first: has to be a table"),
        ("first = 3", ".first: has to be a table"),
        ("any = []", ".any: has to be a list of conditions"),
        ("any = [{ task.typ = 'x' }]", ".any[1].task.typ: no field"),
        ("not = 3", ".not: has to be a condition"),
        ("sampling.adjustedCount.above = 1", ".sampling: no field of the record that a condition may name"),
        ("facts.truncated = true", ".facts: no field of the record"),
    ],
)
def test_what_can_not_be_read_is_named_with_its_place(when: str, words: str):
    assert refused(when).startswith(words)
