-- The views, found by key row, and statistics that are always current: settled hours are read, stale ones computed.

-- A question that names an id, a task or a trace begins at the key row: then the join is an inner one, and the time
-- and the hour lead to one row. Where none of these columns is used, PostgreSQL leaves the key rows out altogether.
CREATE OR REPLACE VIEW benchmark_data.visible_points AS
SELECT
    key.id, point.timestamp, key.task_id, point.task_type, point.complexity, point.tenant_id, point.agent_id,
    point.agent_name, point.model_family, point.strategy, point.confidence, point.explored, point.propensity,
    point.success, point.partial_success, point.latency_ms, point.time_to_first_action_ms, point.tokens_used,
    point.input_tokens, point.thinking_tokens, point.output_tokens, point.cost_usd, point.tool_call_count,
    point.tool_call_success_rate, point.token_efficiency, point.overall_score, point.caws_compliant,
    point.budget_compliant, point.passed_all_mandatory, point.final_outcome, point.total_reward,
    point.reward_version, point.adjusted_count, point.group_id, point.attempt, point.valid, point.rl_ready,
    point.state, point.withheld, point.gates_failed, point.completeness, point.ended_by, point.convention,
    point.service_name, point.schema_version, point.revision, key.trace_id, key.span_id, point.record
FROM benchmark_data.points AS point
LEFT JOIN benchmark_data.point_keys AS key
    ON key.id = point.id
    AND key.timestamp = point.timestamp
    AND point.hour = benchmark_data.hour_of(key.timestamp)
WHERE point.state <> 'discarded' AND NOT point.withheld;

CREATE OR REPLACE VIEW benchmark.quarantine AS
SELECT key.id, point.timestamp, key.task_id, point.gates_failed, point.record
FROM benchmark_data.point_keys AS key
JOIN benchmark_data.points AS point
    ON point.id = key.id
    AND point.timestamp = key.timestamp
    AND point.hour = benchmark_data.hour_of(key.timestamp)
WHERE key.state = 'quarantined';

CREATE OR REPLACE VIEW benchmark.deep_samples AS
SELECT
    point.id, sample.timestamp, point.task_id, sample.facet, sample.inclusion_probability, sample.policy,
    sample.content
FROM benchmark_data.deep_samples AS sample
JOIN benchmark_data.visible_points AS point ON point.id = sample.id AND point.timestamp = sample.timestamp;

-- In every section view task_id is the data point's, which has an index; facts hardly ever say another.
CREATE OR REPLACE VIEW benchmark.routing_decisions AS
SELECT
    decided.id, fact."spanId" AS span_id, decided.timestamp, decided.task_id,
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
    "spanId" text, "selectedId" text, "selectedName" text, "modelFamily" text, strategy text,
    confidence double precision, explored boolean, propensity double precision, "policyVersion" text, rationale text,
    candidates jsonb, history jsonb
)
CROSS JOIN LATERAL jsonb_to_record(fact.history) AS history (
    "agentSuccessRate" double precision, "agentAvgQuality" double precision, "agentTaskCount" bigint
);

-- Where no execution of the record reports tokens, those of the model calls below it count, as in the record.
CREATE OR REPLACE VIEW benchmark.task_executions AS
SELECT
    point.id, fact."spanId" AS span_id, point.timestamp, point.task_id,
    fact.agent ->> 'id' AS agent_id, fact.success, fact."partialSuccess" AS partial_success,
    fact."failureReason" AS failure_reason, fact."latencyMs" AS latency_ms,
    used.input_tokens + used.output_tokens AS tokens_used, used.input_tokens, used.thinking_tokens,
    used.output_tokens, used.cost_usd, fact."cpuTimeMs" AS cpu_time_ms, fact."memoryPeakBytes" AS memory_peak_bytes,
    tools.calls AS tool_call_count
FROM benchmark_data.visible_points AS point
CROSS JOIN LATERAL jsonb_to_recordset(point.record #> '{facts,executions}') AS fact (
    "spanId" text, agent jsonb, success boolean, "partialSuccess" boolean, "failureReason" text,
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

CREATE OR REPLACE VIEW benchmark.tool_calls AS
SELECT
    point.id, fact."spanId" AS span_id, point.timestamp, point.task_id,
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
        "factId" text, "spanId" text, start text, "executionSpanId" text, "toolName" text,
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

CREATE OR REPLACE VIEW benchmark.evaluations AS
SELECT
    point.id, fact."spanId" AS span_id, point.timestamp, point.task_id,
    point.agent_id, judge.name AS evaluator_name, judge.version AS evaluator_version, judge.kind AS evaluator_kind,
    fact."rubricVersion" AS rubric_version, fact."overallScore" AS overall_score, rubric.format, rubric.tool,
    rubric.task, rubric.minimal, rubric.cost, rubric.safety, fact."cawsCompliant" AS caws_compliant,
    fact."budgetCompliant" AS budget_compliant,
    coalesce(fact."passedAllMandatory", mandatory.passed) AS passed_all_mandatory, fact."qualityGates" AS gates,
    nullif(fact."minimalDiff", 'null') AS minimal_diff,
    fact."spanId" IS NOT DISTINCT FROM point.record #>> '{evaluation,spanId}' AS is_current
FROM benchmark_data.visible_points AS point
CROSS JOIN LATERAL jsonb_to_recordset(point.record #> '{facts,evaluations}') AS fact (
    "spanId" text, evaluator jsonb, "rubricVersion" text, "overallScore" double precision,
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

-- No sum may overflow, whatever was reported.
CREATE FUNCTION benchmark_data.bounded(number double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN least(greatest(number, -1e12), 1e12);

-- A name as statistics have it: '' for an unknown one, and never too long for an index.
CREATE FUNCTION benchmark_data.label(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(left(name, 200), '');

CREATE VIEW benchmark_data.unsettled_hours AS
SELECT DISTINCT hour AS bucket
FROM benchmark_data.stale_hours
WHERE hour >= (SELECT horizon FROM benchmark_data.maintenance);

CREATE VIEW benchmark_data.unsettled_days AS
SELECT DISTINCT date_trunc('day', bucket, 'UTC') AS bucket FROM benchmark_data.unsettled_hours;

-- What the points of an hour say now; p95 stands for its latency bucket. A function, because it is planned with the
-- hour at hand and sees one chunk: as a part of the views it would have PostgreSQL plan all chunks there are. It reads
-- with its owner's rights, as views do, and in the snapshot of the query that asks.
CREATE FUNCTION benchmark_data.statistics_of_hour(hour timestamptz) RETURNS TABLE (
    agent_id text, task_type text, tasks bigint, successful bigint, judged bigint, invalid bigint, evaluated bigint,
    quality_sum double precision, quality_squares double precision, timed bigint, latency_sum double precision,
    metered bigint, tokens_sum numeric, cost_sum double precision, p95 integer
)
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 200 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT
        benchmark_data.label(point.agent_id), benchmark_data.label(point.task_type),
        count(*), count(*) FILTER (WHERE point.success), count(point.success), count(*) FILTER (WHERE NOT point.valid),
        count(point.overall_score), sum(benchmark_data.bounded(point.overall_score)),
        sum(benchmark_data.bounded(point.overall_score) ^ 2),
        count(point.latency_ms), sum(benchmark_data.bounded(point.latency_ms)),
        count(point.tokens_used), sum(point.tokens_used), sum(benchmark_data.bounded(point.cost_usd)),
        percentile_disc(0.95) WITHIN GROUP (ORDER BY benchmark_data.latency_bucket(point.latency_ms))
    FROM benchmark_data.points AS point
    WHERE
        point.timestamp >= statistics_of_hour.hour AND point.timestamp < statistics_of_hour.hour + interval '1 hour'
        AND point.state <> 'discarded' AND NOT point.withheld
    GROUP BY 1, 2;
END
$$;

CREATE FUNCTION benchmark_data.latencies_of_hour(hour timestamptz) RETURNS TABLE (
    agent_id text, task_type text, latency_bucket integer, tasks bigint
)
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT
        benchmark_data.label(point.agent_id), benchmark_data.label(point.task_type),
        benchmark_data.latency_bucket(point.latency_ms), count(*)
    FROM benchmark_data.points AS point
    WHERE
        point.timestamp >= latencies_of_hour.hour AND point.timestamp < latencies_of_hour.hour + interval '1 hour'
        AND point.state <> 'discarded' AND NOT point.withheld AND point.latency_ms IS NOT NULL
    GROUP BY 1, 2, 3;
END
$$;

CREATE VIEW benchmark_data.live_hourly_statistics AS
SELECT unsettled.bucket, counted.*
FROM benchmark_data.unsettled_hours AS unsettled
CROSS JOIN LATERAL benchmark_data.statistics_of_hour(unsettled.bucket) AS counted;

CREATE VIEW benchmark_data.live_hourly_latencies AS
SELECT unsettled.bucket, counted.*
FROM benchmark_data.unsettled_hours AS unsettled
CROSS JOIN LATERAL benchmark_data.latencies_of_hour(unsettled.bucket) AS counted;

-- Settled statistics as plain PostgreSQL has them; with more than that, the tier's script says it otherwise.
CREATE VIEW benchmark_data.settled_hourly_statistics AS SELECT * FROM benchmark_data.hourly_statistics;
CREATE VIEW benchmark_data.settled_hourly_latencies AS SELECT * FROM benchmark_data.hourly_latencies;
CREATE VIEW benchmark_data.settled_daily_statistics AS SELECT * FROM benchmark_data.daily_statistics;
CREATE VIEW benchmark_data.settled_daily_latencies AS SELECT * FROM benchmark_data.daily_latencies;

-- Days with a stale hour: their settled hours and the stale ones together.
CREATE VIEW benchmark_data.live_daily_statistics AS
SELECT
    unsettled.bucket, hourly.agent_id, hourly.task_type, sum(hourly.tasks)::bigint AS tasks,
    sum(hourly.successful)::bigint AS successful, sum(hourly.judged)::bigint AS judged,
    sum(hourly.invalid)::bigint AS invalid, sum(hourly.evaluated)::bigint AS evaluated,
    sum(hourly.quality_sum) AS quality_sum, sum(hourly.quality_squares) AS quality_squares,
    sum(hourly.timed)::bigint AS timed, sum(hourly.latency_sum) AS latency_sum,
    sum(hourly.metered)::bigint AS metered, sum(hourly.tokens_sum) AS tokens_sum, sum(hourly.cost_sum) AS cost_sum
FROM benchmark_data.unsettled_days AS unsettled
CROSS JOIN LATERAL (
    SELECT *
    FROM benchmark_data.settled_hourly_statistics
    WHERE
        bucket >= unsettled.bucket AND bucket < unsettled.bucket + interval '1 day'
        AND bucket NOT IN (SELECT bucket FROM benchmark_data.unsettled_hours)
    UNION ALL
    SELECT
        bucket, agent_id, task_type, tasks, successful, judged, invalid, evaluated, quality_sum, quality_squares,
        timed, latency_sum, metered, tokens_sum, cost_sum
    FROM benchmark_data.live_hourly_statistics
    WHERE bucket >= unsettled.bucket AND bucket < unsettled.bucket + interval '1 day'
) AS hourly
GROUP BY unsettled.bucket, hourly.agent_id, hourly.task_type;

CREATE VIEW benchmark_data.live_daily_latencies AS
SELECT
    unsettled.bucket, hourly.agent_id, hourly.task_type, hourly.latency_bucket, sum(hourly.tasks)::bigint AS tasks
FROM benchmark_data.unsettled_days AS unsettled
CROSS JOIN LATERAL (
    SELECT *
    FROM benchmark_data.settled_hourly_latencies
    WHERE
        bucket >= unsettled.bucket AND bucket < unsettled.bucket + interval '1 day'
        AND bucket NOT IN (SELECT bucket FROM benchmark_data.unsettled_hours)
    UNION ALL
    SELECT *
    FROM benchmark_data.live_hourly_latencies
    WHERE bucket >= unsettled.bucket AND bucket < unsettled.bucket + interval '1 day'
) AS hourly
GROUP BY unsettled.bucket, hourly.agent_id, hourly.task_type, hourly.latency_bucket;

-- All hours and all days. p95 is the latency bucket that 95 % of the tasks reach; it is found only where it is asked for.
CREATE VIEW benchmark_data.current_statistics AS
SELECT
    'hour' AS period, settled.*,
    (
        SELECT min(latency_bucket)
        FROM (
            SELECT
                latency_bucket, sum(tasks) OVER (ORDER BY latency_bucket) AS up_to_here, sum(tasks) OVER () AS all_of_them
            FROM benchmark_data.settled_hourly_latencies AS latency
            WHERE
                latency.bucket = settled.bucket AND latency.agent_id = settled.agent_id
                AND latency.task_type = settled.task_type
        ) AS ranked
        WHERE up_to_here >= 0.95 * all_of_them
    ) AS p95
FROM benchmark_data.settled_hourly_statistics AS settled
WHERE settled.bucket NOT IN (SELECT bucket FROM benchmark_data.unsettled_hours)
UNION ALL
SELECT 'hour', live.*
FROM benchmark_data.live_hourly_statistics AS live
UNION ALL
SELECT
    'day', settled.*,
    (
        SELECT min(latency_bucket)
        FROM (
            SELECT
                latency_bucket, sum(tasks) OVER (ORDER BY latency_bucket) AS up_to_here, sum(tasks) OVER () AS all_of_them
            FROM benchmark_data.settled_daily_latencies AS latency
            WHERE
                latency.bucket = settled.bucket AND latency.agent_id = settled.agent_id
                AND latency.task_type = settled.task_type
        ) AS ranked
        WHERE up_to_here >= 0.95 * all_of_them
    ) AS p95
FROM benchmark_data.settled_daily_statistics AS settled
WHERE settled.bucket NOT IN (SELECT bucket FROM benchmark_data.unsettled_days)
UNION ALL
SELECT 'day', live.*, latency.p95
FROM benchmark_data.live_daily_statistics AS live
LEFT JOIN (
    SELECT bucket, agent_id, task_type, min(latency_bucket) FILTER (WHERE up_to_here >= 0.95 * all_of_them) AS p95
    FROM (
        SELECT
            *,
            sum(tasks) OVER (PARTITION BY bucket, agent_id, task_type ORDER BY latency_bucket) AS up_to_here,
            sum(tasks) OVER (PARTITION BY bucket, agent_id, task_type) AS all_of_them
        FROM benchmark_data.live_daily_latencies
    ) AS ranked
    GROUP BY bucket, agent_id, task_type
) AS latency USING (bucket, agent_id, task_type);

CREATE VIEW benchmark_data.readable_statistics AS
SELECT
    period, bucket, nullif(agent_id, '') AS agent_id, nullif(task_type, '') AS task_type, tasks AS total_tasks,
    successful AS successful_tasks, invalid AS invalid_tasks,
    successful / nullif(judged, 0)::double precision AS success_rate,
    quality_sum / nullif(evaluated, 0) AS avg_quality,
    -- Rounding may leave a spread of nothing a little below zero.
    sqrt(greatest(quality_squares - quality_sum ^ 2 / nullif(evaluated, 0), 0) / nullif(evaluated - 1, 0))
        AS stddev_quality,
    latency_sum / nullif(timed, 0) AS avg_latency_ms,
    benchmark_data.latency_of_bucket(p95) AS p95_latency_ms,
    (tokens_sum / nullif(metered, 0))::double precision AS avg_tokens, cost_sum AS total_cost_usd,
    judged AS judged_tasks, evaluated AS evaluated_tasks, timed AS timed_tasks, metered AS metered_tasks
FROM benchmark_data.current_statistics;

CREATE OR REPLACE VIEW benchmark.agent_statistics AS
SELECT
    bucket, agent_id, task_type, total_tasks, successful_tasks, invalid_tasks, success_rate, avg_quality,
    stddev_quality, avg_latency_ms, p95_latency_ms, avg_tokens, total_cost_usd, judged_tasks, evaluated_tasks,
    timed_tasks, metered_tasks
FROM benchmark_data.readable_statistics
WHERE period = 'hour';
COMMENT ON VIEW benchmark.agent_statistics IS
    'Hour x agent x task type, always current; success_rate over judged_tasks, avg_quality over evaluated_tasks, '
    'avg_latency_ms over timed_tasks, avg_tokens over metered_tasks; p95 within 1 %';

CREATE VIEW benchmark.agent_statistics_daily AS
SELECT
    bucket, agent_id, task_type, total_tasks, successful_tasks, invalid_tasks, success_rate, avg_quality,
    stddev_quality, avg_latency_ms, p95_latency_ms, avg_tokens, total_cost_usd, judged_tasks, evaluated_tasks,
    timed_tasks, metered_tasks
FROM benchmark_data.readable_statistics
WHERE period = 'day';
COMMENT ON VIEW benchmark.agent_statistics_daily IS 'The same by UTC day: long spans of time are read from here';

-- Compute stale hours, and the days that hold them, into the tables, as every tier but the Community edition does.
CREATE PROCEDURE benchmark_data.settle_hours(hours timestamptz[], days timestamptz[])
LANGUAGE sql AS $$
    DELETE FROM benchmark_data.hourly_statistics WHERE bucket = ANY (hours);
    INSERT INTO benchmark_data.hourly_statistics
    SELECT
        bucket, agent_id, task_type, tasks, successful, judged, invalid, evaluated, quality_sum, quality_squares,
        timed, latency_sum, metered, tokens_sum, cost_sum
    FROM benchmark_data.live_hourly_statistics
    WHERE bucket = ANY (hours);

    DELETE FROM benchmark_data.hourly_latencies WHERE bucket = ANY (hours);
    INSERT INTO benchmark_data.hourly_latencies
    SELECT * FROM benchmark_data.live_hourly_latencies WHERE bucket = ANY (hours);

    DELETE FROM benchmark_data.daily_statistics WHERE bucket = ANY (days);
    INSERT INTO benchmark_data.daily_statistics
    SELECT * FROM benchmark_data.live_daily_statistics WHERE bucket = ANY (days);

    DELETE FROM benchmark_data.daily_latencies WHERE bucket = ANY (days);
    INSERT INTO benchmark_data.daily_latencies
    SELECT * FROM benchmark_data.live_daily_latencies WHERE bucket = ANY (days);
$$;
