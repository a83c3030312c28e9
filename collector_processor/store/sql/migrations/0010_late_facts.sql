-- Evaluations by log records, several of which may be about one span, and the waiting for tasks within bounds.

CREATE OR REPLACE VIEW benchmark.evaluations AS
SELECT
    point.id, fact."spanId" AS span_id, point.timestamp, point.task_id,
    point.agent_id, judge.name AS evaluator_name, judge.version AS evaluator_version, judge.kind AS evaluator_kind,
    fact."rubricVersion" AS rubric_version, fact."overallScore" AS overall_score, rubric.format, rubric.tool,
    rubric.task, rubric.minimal, rubric.cost, rubric.safety, fact."cawsCompliant" AS caws_compliant,
    fact."budgetCompliant" AS budget_compliant,
    coalesce(fact."passedAllMandatory", mandatory.passed) AS passed_all_mandatory, fact."qualityGates" AS gates,
    nullif(fact."minimalDiff", 'null') AS minimal_diff,
    -- Records of before say the span alone, which several events may share.
    CASE
        WHEN point.record #>> '{evaluation,factId}' IS NULL
            THEN fact."spanId" IS NOT DISTINCT FROM point.record #>> '{evaluation,spanId}'
        ELSE fact."factId" = point.record #>> '{evaluation,factId}'
    END AS is_current
FROM benchmark_data.visible_points AS point
CROSS JOIN LATERAL jsonb_to_recordset(point.record #> '{facts,evaluations}') AS fact (
    "factId" text, "spanId" text, evaluator jsonb, "rubricVersion" text, "overallScore" double precision,
    "rubricScores" jsonb, "cawsCompliant" boolean, "budgetCompliant" boolean, "passedAllMandatory" boolean,
    "qualityGates" jsonb, "minimalDiff" jsonb
)
CROSS JOIN LATERAL jsonb_to_record(fact.evaluator) AS judge (name text, version text, kind text)
CROSS JOIN LATERAL jsonb_to_record(fact."rubricScores") AS rubric (
    format double precision, tool double precision, task double precision, minimal double precision,
    cost double precision, safety double precision
)
CROSS JOIN LATERAL (
    SELECT bool_and(gate.passed) AS passed
    FROM jsonb_to_recordset(fact."qualityGates") AS gate (passed boolean, mandatory boolean)
    WHERE gate.mandatory
) AS mandatory;

COMMENT ON COLUMN benchmark_data.strays.spans IS '1 for a span or a log record, 0 for an event of a span';
CREATE INDEX strays_since ON benchmark_data.strays (waiting_since) WHERE id IS NULL;
