"""Fields of an evaluation: scores, rubric, minimal diff, quality gates, governance."""

from __future__ import annotations

from typing import Final

from otel_benchmark import attributes as a
from otel_benchmark.fields import Value, make
from otel_benchmark.vocabulary.items import GATES
from otel_benchmark.vocabulary.shared import GOVERNANCE, REFERENCE


def _rubric(name: str) -> str:
    return " ".join(f"{part}.{name}" for part in ("rubric", "rubric_scores", "scores"))


def _diff(name: str) -> str:
    nested = ("minimal_diff", "minimal_diff_metrics", "diff_metrics", "diff")
    return " ".join((name, *(f"{part}.{name}" for part in nested)))


EVALUATE: Final = (
    *REFERENCE,
    make(
        "overall_score", a.EVALUATION_OVERALL_SCORE, Value.NUMBER, result="overall_score overall score . scores.overall"
    ),
    make("passed_all_mandatory", a.EVALUATION_PASSED_ALL_MANDATORY, Value.FLAG, result="passed_all_mandatory"),
    make(
        "evaluator.name",
        a.EVALUATOR_NAME,
        Value.IDENTIFIER,
        parameter="evaluator_name",
        self="evaluator_name name",
        result="evaluator_name evaluator evaluator.name",
    ),
    make(
        "evaluator.version",
        a.EVALUATOR_VERSION,
        Value.IDENTIFIER,
        self="evaluator_version version",
        result="evaluator_version evaluator.version",
    ),
    make(
        "evaluator.kind",
        a.EVALUATOR_KIND,
        Value.IDENTIFIER,
        self="evaluator_kind kind",
        result="evaluator_kind evaluator.kind",
    ),
    make(
        "rubric.version",
        a.RUBRIC_VERSION,
        Value.IDENTIFIER,
        self="rubric_version rubric.version",
        result="rubric_version rubric.version",
    ),
    *(
        make(f"rubric.{name}", attribute, Value.NUMBER, result=f"{name}_score {_rubric(name)}")
        for name, attribute in (
            ("format", a.RUBRIC_FORMAT),
            ("tool", a.RUBRIC_TOOL),
            ("task", a.RUBRIC_TASK),
            ("minimal", a.RUBRIC_MINIMAL),
            ("cost", a.RUBRIC_COST),
            ("safety", a.RUBRIC_SAFETY),
        )
    ),
    make("diff.ast_similarity", a.DIFF_AST_SIMILARITY, Value.NUMBER, result=_diff("ast_similarity")),
    make(
        "diff.files_touched",
        a.DIFF_FILES_TOUCHED,
        Value.INTEGER,
        result=f"{_diff('files_touched')} {_diff('file_touch_count')}",
    ),
    make("diff.line_change_ratio", a.DIFF_LINE_CHANGE_RATIO, Value.NUMBER, result=_diff("line_change_ratio")),
    make("diff.scaffolding_penalty", a.DIFF_SCAFFOLDING_PENALTY, Value.NUMBER, result=_diff("scaffolding_penalty")),
    make("diff.reward_multiplier", a.DIFF_REWARD_MULTIPLIER, Value.NUMBER, result=_diff("reward_multiplier")),
    make(GATES, "gates", Value.ITEMS, result="quality_gates gates criteria checks"),
    *GOVERNANCE,
    make("patch", a.DIFF_PATCH, Value.CONTENT, result="patch diff.patch"),
    make("before", a.DIFF_BEFORE, Value.CONTENT, result="before before_content diff.before"),
    make("after", a.DIFF_AFTER, Value.CONTENT, result="after after_content diff.after"),
    make("judge_reasoning", a.JUDGE_REASONING, Value.CONTENT, result="judge_reasoning reasoning judge_explanation"),
)
