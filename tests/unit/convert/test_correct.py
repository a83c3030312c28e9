"""Corrections: JSON Patch on a record, what may be patched, and what is derived again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.lifecycle import evaluation, execution, route, sealed, span_id, task

from collector_processor.convert import FoldSettings, convert, fold, unite
from collector_processor.convert.correct import correct
from collector_processor.errors import CorrectionError
from collector_processor.model.facts import Anomaly, Correction, Facts, Problem
from collector_processor.model.record import BenchmarkDataPoint, Outcome, Section, point_id
from otel_benchmark import attributes as a

RUBRIC = dict.fromkeys(
    (a.RUBRIC_FORMAT, a.RUBRIC_TOOL, a.RUBRIC_TASK, a.RUBRIC_MINIMAL, a.RUBRIC_COST, a.RUBRIC_SAFETY), 0.5
)
USAGE = {a.GEN_AI_USAGE_INPUT_TOKENS: 900, a.GEN_AI_USAGE_OUTPUT_TOKENS: 100, a.EXECUTION_SUCCESS: True}
OTHER = Anomaly(span_id(0).hex(), a.TASK_DESCRIPTION, Problem.SHORTENED)


def facts(*corrections: list[dict[str, Any]]) -> Facts:
    spans = (
        task(attributes={a.TASK_REQUIREMENTS: ["one", "two"]}),
        route(),
        execution(attributes=USAGE),
        evaluation(attributes=RUBRIC),
    )
    said = convert(sealed(*spans)).facts
    assert said is not None
    made = tuple(Correction(f"{n}", f"{n}", "ada", "", tuple(patch)) for n, patch in enumerate(corrections))
    return msgspec.structs.replace(said, corrections=made)


def folded(*corrections: list[dict[str, Any]]) -> BenchmarkDataPoint:
    return fold(point_id(b"t" * 16, span_id(1)), facts(*corrections), 0, FoldSettings())


def step(op: str, path: str, **more: Any) -> dict[str, Any]:
    return {"op": op, "path": path, **more}


@pytest.mark.parametrize(
    ("patch", "requirements"),
    [
        ([step("replace", "/task/requirements/0", value="x")], ("x", "two")),
        ([step("add", "/task/requirements/1", value="x")], ("one", "x", "two")),
        ([step("add", "/task/requirements/-", value="x")], ("one", "two", "x")),
        ([step("remove", "/task/requirements/0")], ("two",)),
        ([step("move", "/task/requirements/1", **{"from": "/task/requirements/0"})], ("two", "one")),
        ([step("copy", "/task/requirements/-", **{"from": "/task/type"})], ("one", "two", "code-editing")),
        ([step("test", "/task/requirements/0", value="one"), step("remove", "/task/requirements/1")], ("one",)),
    ],
)
def test_every_operation(patch: list[dict[str, Any]], requirements: tuple[str, ...]) -> None:
    assert correct(folded(), patch).task.requirements == requirements


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ([{}], "'path' has to be a JSON Pointer"),
        ([step("replace", "task/type", value="x")], "JSON Pointer"),
        ([step("replace", "/task/typo", value="x")], "there is no /task/typo"),
        ([step("add", "/task/requirements/3", value="x")], "the list has 2 entries"),
        ([step("remove", "/task/requirements/²")], "there is no"),
        ([step("remove", "/task/requirements/-1")], "there is no"),
        ([step("replace", "/task/type")], "no 'value'"),
        ([step("merge", "/task/type", value="x")], "'merge' is not one of"),
        ([step("test", "/task/type", value="research")], "is 'code-editing', not 'research'"),
        ([step("test", "/execution/success", value=1)], "is True, not 1"),
        ([step("replace", "/task/type/x", value=1)], "there is no /task/type/x"),
        ([step("replace", "/task/attempt", value="first")], "it would be no record"),
        ([step("remove", "/task")], "it would be no record"),
        ([step("replace", "/task/type", value="x"), step("remove", "/id")], "step 2 of the patch: /id can't"),
        ([step("copy", "/task/id", **{"from": "/tenantId"})], "/tenantId can't"),
        ([step("replace", "/verdict/valid", value=True)], "/verdict/valid can't"),
        ([step("replace", "/provenance/traceId", value="x")], "/provenance/traceId can't"),
        ([step("replace", "/tasks", value="x")], "/tasks can't"),
    ],
)
def test_what_does_not_fit_is_refused(patch: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(CorrectionError) as caught:
        correct(folded(), patch)
    assert words in str(caught.value)


def test_a_test_compares_as_json() -> None:
    assert correct(folded(), [step("test", "/evaluation/overallScore", value=0.9)]) == folded()
    assert correct(folded(), [step("test", "/execution/inputTokens", value=900.0)]) == folded()


def test_what_follows_from_a_section_follows_its_correction() -> None:
    before = folded()
    assert (before.rl_labels.final_outcome, before.rl_labels.total_reward) == (Outcome.SUCCESS, 0.5)
    after = folded(
        [
            step("replace", "/execution/success", value=False),
            step("replace", "/evaluation/overallScore", value=0.2),
            step("replace", "/evaluation/rubricScores/task", value=0.0),
        ]
    )
    assert after.rl_labels.final_outcome is Outcome.FAILURE
    assert after.rl_labels.total_reward == pytest.approx(0.5 * 0.6)
    assert after.execution is not None
    assert after.execution.token_efficiency == pytest.approx(0.2)
    assert len(after.facts.corrections) == 1
    assert after.facts.executions == before.facts.executions


def test_a_section_that_is_taken_out_is_no_longer_seen() -> None:
    after = folded([step("remove", "/evaluation")])
    assert after.evaluation is None
    assert after.completeness.seen == (Section.TASK, Section.ROUTING, Section.EXECUTION)
    assert after.rl_labels.total_reward is None


def test_corrections_follow_each_other_and_one_that_no_longer_fits_is_left_out_whole() -> None:
    after = folded(
        [step("replace", "/task/type", value="research")],
        [step("replace", "/task/complexity", value="complex"), step("test", "/task/type", value="design")],
        [step("test", "/task/type", value="research"), step("replace", "/task/id", value="corrected")],
    )
    assert (after.task.type, after.task.complexity, after.task.id) == (
        "research",
        folded().task.complexity,
        "corrected",
    )
    (anomaly,) = after.facts.anomalies
    assert (anomaly.span_id, anomaly.field, anomaly.problem) == (
        span_id(1).hex(),
        "facts.corrections[1]",
        Problem.CORRECTION_UNFIT,
    )
    assert (
        anomaly.detail == "the correction of 1 is left out: step 2 of the patch: /task/type is 'research', not 'design'"
    )


def test_a_correction_that_fits_again_is_no_longer_told() -> None:
    unfit = folded([step("test", "/task/complexity", value="complex")])
    assert [each.problem for each in unfit.facts.anomalies] == [Problem.CORRECTION_UNFIT]
    kept = msgspec.structs.replace(unfit.facts, anomalies=(*unfit.facts.anomalies, OTHER))
    assert fold(unfit.id, kept, 2, FoldSettings()).facts.anomalies == (OTHER, *unfit.facts.anomalies)
    assert kept.task is not None
    fitting = msgspec.structs.replace(kept, task=msgspec.structs.replace(kept.task, complexity="complex"))
    assert fold(unfit.id, fitting, 3, FoldSettings()).facts.anomalies == (OTHER,)


def test_a_fold_of_folded_facts_changes_nothing() -> None:
    unfit = folded([step("test", "/task/type", value="design")], [step("replace", "/task/id", value="x")])
    assert fold(unfit.id, unite(unfit.facts, unfit.facts), 0, FoldSettings()) == unfit


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
pointers = st.from_regex(r"/(task|execution|evaluation|caws|routing)(/[a-zA-Z0-9~-]{0,12}){0,3}", fullmatch=True)
operations = st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "?"])
steps = st.fixed_dictionaries(
    {"op": operations, "path": pointers | st.text(max_size=9)}, optional={"value": json_values, "from": pointers}
) | st.dictionaries(st.sampled_from(["op", "path", "from", "value"]), json_values)


@given(st.lists(steps, max_size=4))
def test_whatever_a_patch_holds_the_answer_is_a_record_or_a_refusal(patch: list[dict[str, Any]]) -> None:
    try:
        record = correct(folded(), patch)
    except CorrectionError as error:
        assert str(error)  # noqa: PT017 - either way is right; what matters is that nothing else is raised
    else:
        assert record.id == folded().id
        assert record.facts == folded().facts
