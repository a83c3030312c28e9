-- What people query. Views run with their owner's rights, so a reader needs nothing but them. A section view has a row
-- for every entry of the record's facts that no other span stands for (sameAs); its timestamp is the data point's,
-- which is the indexed one.
CREATE SCHEMA benchmark;

-- '2026-11-22T12:00:00.123456789Z' to the microseconds that PostgreSQL keeps, cut as everywhere, never rounded up.
CREATE FUNCTION benchmark_data.instant(written text) RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN (left(written, 26) || 'Z')::timestamptz;

-- Latencies are counted in buckets whose bounds grow by 2 %: counts of hours, agents or servers add up, and a
-- percentile read from them is at most 1 % off.
CREATE FUNCTION benchmark_data.latency_bucket(milliseconds double precision) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ceil(ln(least(greatest(milliseconds, 1e-3), 1e12)) / ln(1.02::double precision))::integer;

-- The latency that stands for a bucket: at most 1 % from every value in it.
CREATE FUNCTION benchmark_data.latency_of_bucket(bucket integer) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN 2 * power(1.02::double precision, bucket) / 2.02;

CREATE VIEW benchmark_data.visible_points AS
SELECT * FROM benchmark_data.points WHERE state <> 'discarded' AND NOT withheld;

CREATE VIEW benchmark.data_points AS
SELECT
    id, timestamp, task_id, task_type, complexity, tenant_id, agent_id, agent_name, model_family, strategy, confidence,
    explored, propensity, success, partial_success, record #>> '{execution,failureReason}' AS failure_reason,
    latency_ms, time_to_first_action_ms, tokens_used, input_tokens, thinking_tokens, output_tokens, cost_usd,
    tool_call_count, tool_call_success_rate, token_efficiency, overall_score, caws_compliant, budget_compliant,
    passed_all_mandatory, final_outcome, total_reward, reward_version, adjusted_count, group_id, attempt, valid,
    rl_ready, state, gates_failed, completeness, ended_by, convention, service_name, schema_version, revision,
    encode(trace_id, 'hex') AS trace_id, encode(span_id, 'hex') AS span_id, record
FROM benchmark_data.visible_points;
COMMENT ON VIEW benchmark.data_points IS 'A row a task; agent is the one that executed, else the one selected';

CREATE VIEW benchmark.routing_decisions AS
SELECT
    decided.id, fact."spanId" AS span_id, decided.timestamp, coalesce(fact."taskId", decided.task_id) AS task_id,
    decided.task_type, decided.complexity, fact."selectedId" AS agent_id, fact."selectedName" AS agent_name,
    fact."modelFamily" AS model_family, fact.strategy, fact.confidence, fact.explored, fact.propensity,
    fact."policyVersion" AS policy_version, fact.rationale, fact.candidates AS alternatives,
    history."agentSuccessRate" AS agent_success_rate, history."agentAvgQuality" AS agent_avg_quality,
    history."agentTaskCount" AS agent_task_count
FROM (
    SELECT id, timestamp, task_id, task_type, complexity, record #> '{facts,routings}' AS routings
    FROM benchmark_data.visible_points
    UNION ALL
    SELECT NULL, timestamp, task_id, NULL, NULL, jsonb_build_array(fact)
    FROM benchmark_data.strays
    WHERE kind = 'route' AND id IS NULL
) AS decided
CROSS JOIN LATERAL jsonb_to_recordset(decided.routings) AS fact (
    "spanId" text, "taskId" text, "selectedId" text, "selectedName" text, "modelFamily" text, strategy text,
    confidence double precision, explored boolean, propensity double precision, "policyVersion" text, rationale text,
    candidates jsonb, history jsonb
)
CROSS JOIN LATERAL jsonb_to_record(fact.history) AS history (
    "agentSuccessRate" double precision, "agentAvgQuality" double precision, "agentTaskCount" bigint
);
COMMENT ON VIEW benchmark.routing_decisions IS 'A row a routing decision; id is null while its task is unknown';

-- Where no execution of the record reports tokens, those of the model calls below it count, as in the record.
CREATE VIEW benchmark.task_executions AS
SELECT
    point.id, fact."spanId" AS span_id, point.timestamp, coalesce(fact."taskId", point.task_id) AS task_id,
    fact.agent ->> 'id' AS agent_id, fact.success, fact."partialSuccess" AS partial_success,
    fact."failureReason" AS failure_reason, fact."latencyMs" AS latency_ms,
    used.input_tokens + used.output_tokens AS tokens_used, used.input_tokens, used.thinking_tokens,
    used.output_tokens, used.cost_usd, fact."cpuTimeMs" AS cpu_time_ms, fact."memoryPeakBytes" AS memory_peak_bytes,
    tools.calls AS tool_call_count
FROM benchmark_data.visible_points AS point
CROSS JOIN LATERAL jsonb_to_recordset(point.record #> '{facts,executions}') AS fact (
    "spanId" text, "taskId" text, agent jsonb, success boolean, "partialSuccess" boolean, "failureReason" text,
    "latencyMs" double precision, "inputTokens" bigint, "outputTokens" bigint, "thinkingTokens" bigint,
    "costUsd" double precision, "cpuTimeMs" double precision, "memoryPeakBytes" bigint, "sameAs" text
)
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN own THEN fact."inputTokens" ELSE sum("inputTokens")::bigint END AS input_tokens,
        CASE WHEN own THEN fact."outputTokens" ELSE sum("outputTokens")::bigint END AS output_tokens,
        CASE WHEN own THEN fact."thinkingTokens" ELSE sum("thinkingTokens")::bigint END AS thinking_tokens,
        coalesce(fact."costUsd", sum("costUsd")) AS cost_usd
    FROM (SELECT coalesce(fact."inputTokens", fact."outputTokens") IS NOT NULL AS own) AS reported
    LEFT JOIN jsonb_to_recordset(point.record #> '{facts,modelCalls}') AS call (
        "executionSpanId" text, "inputTokens" bigint, "outputTokens" bigint, "thinkingTokens" bigint,
        "costUsd" double precision
    ) ON call."executionSpanId" = fact."spanId"
    GROUP BY own
) AS used
CROSS JOIN LATERAL (
    SELECT count(*) AS calls
    FROM jsonb_to_recordset(point.record #> '{facts,toolCalls}') AS call ("executionSpanId" text, "sameAs" text)
    WHERE call."executionSpanId" = fact."spanId" AND call."sameAs" IS NULL
) AS tools
WHERE fact."sameAs" IS NULL;
COMMENT ON VIEW benchmark.task_executions IS 'A row a run of an agent on a task';

CREATE VIEW benchmark.tool_calls AS
SELECT
    point.id, fact."spanId" AS span_id, point.timestamp, coalesce(fact."taskId", point.task_id) AS task_id,
    coalesce(execution.agent_id, point.agent_id) AS agent_id, fact.turn_number, fact."toolName" AS tool_name,
    fact.success, fact.effective, fact."latencyMs" AS latency_ms, fact."errorType" AS error_type,
    score."informationGain" AS information_gain, score."formatCorrectness" AS format_correctness,
    score."taskProgress" AS task_progress, score."safetyScore" AS safety_score, score.reward AS turn_reward
FROM benchmark_data.visible_points AS point
CROSS JOIN LATERAL (
    -- Numbered as the record's turns are: as reported, else, where no call of the task says, in order of start.
    SELECT
        call.*,
        CASE
            WHEN bool_or(call.scores ->> 'number' IS NOT NULL) OVER () THEN (call.scores ->> 'number')::bigint
            ELSE row_number() OVER (ORDER BY call.start, call."factId")
        END AS turn_number
    FROM jsonb_to_recordset(point.record #> '{facts,toolCalls}') AS call (
        "factId" text, "spanId" text, start text, "taskId" text, "executionSpanId" text, "toolName" text,
        success boolean, effective boolean, "latencyMs" double precision, "errorType" text, scores jsonb,
        "sameAs" text
    )
    WHERE call."sameAs" IS NULL
) AS fact
CROSS JOIN LATERAL jsonb_to_record(fact.scores) AS score (
    "informationGain" double precision, "formatCorrectness" double precision, "taskProgress" double precision,
    "safetyScore" double precision, reward double precision
)
LEFT JOIN LATERAL (
    SELECT run.agent ->> 'id' AS agent_id
    FROM jsonb_to_recordset(point.record #> '{facts,executions}') AS run ("spanId" text, agent jsonb)
    WHERE run."spanId" = fact."executionSpanId"
    LIMIT 1
) AS execution ON true;
COMMENT ON VIEW benchmark.tool_calls IS 'A row a tool call';

CREATE VIEW benchmark.turns AS
SELECT
    point.id, point.timestamp, point.task_id, point.agent_id, turn."turnNumber" AS turn_number,
    turn."toolCalled" AS tool_called, turn."informationGain" AS information_gain,
    turn."formatCorrectness" AS format_correctness, turn."taskProgress" AS task_progress,
    turn."safetyScore" AS safety_score, turn."turnReward" AS turn_reward
FROM benchmark_data.visible_points AS point
CROSS JOIN LATERAL jsonb_to_recordset(point.record #> '{rlLabels,turns}') AS turn (
    "turnNumber" bigint, "toolCalled" text, "informationGain" double precision,
    "formatCorrectness" double precision, "taskProgress" double precision, "safetyScore" double precision,
    "turnReward" double precision
);
COMMENT ON VIEW benchmark.turns IS 'A row a turn of a task, with or without a tool';

CREATE VIEW benchmark.evaluations AS
SELECT
    point.id, fact."spanId" AS span_id, point.timestamp, coalesce(fact."taskId", point.task_id) AS task_id,
    point.agent_id, judge.name AS evaluator_name, judge.version AS evaluator_version, judge.kind AS evaluator_kind,
    fact."rubricVersion" AS rubric_version, fact."overallScore" AS overall_score, rubric.format, rubric.tool,
    rubric.task, rubric.minimal, rubric.cost, rubric.safety, fact."cawsCompliant" AS caws_compliant,
    fact."budgetCompliant" AS budget_compliant,
    coalesce(fact."passedAllMandatory", mandatory.passed) AS passed_all_mandatory, fact."qualityGates" AS gates,
    nullif(fact."minimalDiff", 'null') AS minimal_diff,
    fact."spanId" IS NOT DISTINCT FROM point.record #>> '{evaluation,spanId}' AS is_current
FROM benchmark_data.visible_points AS point
CROSS JOIN LATERAL jsonb_to_recordset(point.record #> '{facts,evaluations}') AS fact (
    "spanId" text, "taskId" text, evaluator jsonb, "rubricVersion" text, "overallScore" double precision,
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
COMMENT ON VIEW benchmark.evaluations IS 'A row an evaluation of a task; is_current marks the one its record carries';

CREATE VIEW benchmark.agent_statistics AS
WITH counted AS (
    SELECT
        date_trunc('hour', timestamp, 'UTC') AS bucket, agent_id, task_type,
        count(*) AS total_tasks, count(*) FILTER (WHERE success) AS successful_tasks,
        count(success) AS judged_tasks, count(*) FILTER (WHERE NOT valid) AS invalid_tasks,
        avg(overall_score) AS avg_quality, stddev_samp(overall_score) AS stddev_quality,
        avg(latency_ms) AS avg_latency_ms, avg(tokens_used)::double precision AS avg_tokens,
        sum(cost_usd) AS total_cost_usd
    FROM benchmark_data.visible_points
    GROUP BY 1, 2, 3
), ranked AS (
    SELECT
        date_trunc('hour', timestamp, 'UTC') AS bucket, agent_id, task_type,
        benchmark_data.latency_bucket(latency_ms) AS latency_bucket,
        sum(count(*)) OVER (
            PARTITION BY date_trunc('hour', timestamp, 'UTC'), agent_id, task_type
            ORDER BY benchmark_data.latency_bucket(latency_ms)
        ) AS up_to_here,
        sum(count(*)) OVER (PARTITION BY date_trunc('hour', timestamp, 'UTC'), agent_id, task_type) AS all_of_them
    FROM benchmark_data.visible_points
    WHERE latency_ms IS NOT NULL
    GROUP BY 1, 2, 3, 4
), p95 AS (
    SELECT bucket, agent_id, task_type, min(latency_bucket) AS latency_bucket
    FROM ranked
    WHERE up_to_here >= 0.95 * all_of_them
    GROUP BY 1, 2, 3
)
SELECT
    counted.bucket, counted.agent_id, counted.task_type, counted.total_tasks, counted.successful_tasks,
    counted.invalid_tasks,
    counted.successful_tasks / nullif(counted.judged_tasks, 0)::double precision AS success_rate,
    counted.avg_quality, counted.stddev_quality, counted.avg_latency_ms,
    benchmark_data.latency_of_bucket(p95.latency_bucket) AS p95_latency_ms, counted.avg_tokens,
    counted.total_cost_usd
FROM counted
LEFT JOIN p95
    ON p95.bucket = counted.bucket
    AND p95.agent_id IS NOT DISTINCT FROM counted.agent_id
    AND p95.task_type IS NOT DISTINCT FROM counted.task_type;
COMMENT ON VIEW benchmark.agent_statistics IS
    'Hour x agent x task type; success_rate over the tasks whose success is known; p95 within 1 %';

CREATE VIEW benchmark.quarantine AS
SELECT id, timestamp, task_id, gates_failed, record
FROM benchmark_data.points
WHERE state = 'quarantined';
COMMENT ON VIEW benchmark.quarantine IS 'Records that failed a gate and wait for a decision';

CREATE VIEW benchmark.orphans AS
SELECT
    encode(span_id, 'hex') AS span_id, encode(trace_id, 'hex') AS trace_id, timestamp, kind, task_id, waiting_since
FROM benchmark_data.strays
WHERE id IS NULL;
COMMENT ON VIEW benchmark.orphans IS 'Lifecycle spans whose task is unknown';

CREATE VIEW benchmark.deep_samples AS
SELECT
    sample.id, sample.timestamp, sample.task_id, sample.facet, sample.inclusion_probability, sample.policy,
    sample.content
FROM benchmark_data.deep_samples AS sample
JOIN benchmark_data.visible_points AS point ON point.id = sample.id AND point.timestamp = sample.timestamp;
COMMENT ON VIEW benchmark.deep_samples IS 'A row a deep facet that was kept; weigh it by 1 / inclusion_probability';
