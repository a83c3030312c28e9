"""Fields that several lifecycle spans have: whose task it is, governance and provenance, scores of a turn."""

from __future__ import annotations

from typing import Final

from otel_benchmark import attributes as a
from otel_benchmark.fields import Field, Value, make

TENANT = "tenant_id tenant.id organization_id org_id customer_id"
REFERENCE: Final = (
    make(
        "task.id",
        a.TASK_ID,
        Value.IDENTIFIER,
        parameter="task_id",
        task="task_id id",
        decision="task_id task.id",
        subject="task_id task.id task.task_id",
        result="task_id task.id",
    ),
    make(
        "tenant.id",
        a.TENANT_ID,
        Value.IDENTIFIER,
        parameter="tenant_id tenant",
        task=f"{TENANT} tenant",
        subject="tenant_id",
    ),
    make(
        "tenant.hash",
        a.TENANT_HASH,
        Value.IDENTIFIER,
        parameter="tenant_hash",
        task="tenant_hash",
        subject="tenant_hash",
    ),
)
"""How a span that is not the task's own says which task it belongs to."""


def _governed(key: str, attribute: str, value: Value, names: str) -> Field:
    return make(key, attribute, value, parameter=names.split(maxsplit=1)[0], task=names, result=names)


GOVERNANCE: Final = (
    _governed("caws.compliant", a.CAWS_COMPLIANT, Value.FLAG, "caws_compliant caws.compliant"),
    _governed("caws.budget_compliant", a.CAWS_BUDGET_COMPLIANT, Value.FLAG, "budget_compliant caws.budget_compliant"),
    _governed("caws.version", a.CAWS_VERSION, Value.IDENTIFIER, "caws_version caws.version"),
    _governed("caws.spec.id", a.CAWS_SPEC_ID, Value.IDENTIFIER, "caws_spec_id spec_id caws.spec_id caws.spec.id"),
    _governed("caws.verdict.id", a.CAWS_VERDICT_ID, Value.IDENTIFIER, "verdict_id caws.verdict_id caws.verdict.id"),
    _governed("caws.waivers", a.CAWS_WAIVERS, Value.TEXTS, "waivers_used waivers caws.waivers_used caws.waivers"),
    _governed("caws.gates_passed", a.CAWS_GATES_PASSED, Value.TEXTS, "gates_passed caws.gates_passed"),
    _governed(
        "caws.signature", a.CAWS_SIGNATURE, Value.IDENTIFIER, "arbiter_signature caws.arbiter_signature caws.signature"
    ),
    *(
        _governed(
            f"caws.score.{name}",
            attribute,
            Value.NUMBER,
            f"{name} caws.{name} caws.score.{name} caws.scores.{name} caws_scores.{name}",
        )
        for name, attribute in (
            ("evidence_completeness", a.CAWS_SCORE_EVIDENCE_COMPLETENESS),
            ("budget_adherence", a.CAWS_SCORE_BUDGET_ADHERENCE),
            ("gate_integrity", a.CAWS_SCORE_GATE_INTEGRITY),
            ("provenance_clarity", a.CAWS_SCORE_PROVENANCE_CLARITY),
        )
    ),
    *(
        _governed(
            f"caws.budget.{name}",
            attribute,
            Value.INTEGER,
            f"{name} budget.{name} budget_usage.{name} caws.budget.{name} caws.budget_usage.{name}",
        )
        for name, attribute in (
            ("files_used", a.CAWS_BUDGET_FILES_USED),
            ("files_limit", a.CAWS_BUDGET_FILES_LIMIT),
            ("loc_used", a.CAWS_BUDGET_LOC_USED),
            ("loc_limit", a.CAWS_BUDGET_LOC_LIMIT),
        )
    ),
    _governed("provenance.ai_assisted", a.PROVENANCE_AI_ASSISTED, Value.FLAG, "ai_assisted provenance.ai_assisted"),
    _governed(
        "provenance.human_reviewed", a.PROVENANCE_HUMAN_REVIEWED, Value.FLAG, "human_reviewed provenance.human_reviewed"
    ),
    _governed(
        "provenance.commit_hash",
        a.PROVENANCE_COMMIT_HASH,
        Value.IDENTIFIER,
        "commit_hash commit_sha provenance.commit_hash",
    ),
)
"""`caws.*` and provenance: on the task's span or on the evaluation's."""


def selected(*names: str) -> str:
    """Return the paths of the selected agent's attributes inside a routing decision."""
    parts = ("agent", "selected_agent", "selected", "chosen", "winner")
    return " ".join(f"{part}.{name}" for name in names for part in parts)


TURN_SCORES: Final = (
    ("information_gain", a.TURN_INFORMATION_GAIN),
    ("format_correctness", a.TURN_FORMAT_CORRECTNESS),
    ("task_progress", a.TURN_TASK_PROGRESS),
    ("safety_score", a.TURN_SAFETY_SCORE),
)
