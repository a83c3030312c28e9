-- Points as an arbiter's life would leave them, made by the server: agents by Zipf's law, few types of tasks often and
-- others seldom, log-normal latencies, busy and idle hours. In order of time, as they would have come. Records are small.
WITH drawn AS MATERIALIZED (
    SELECT
        number,
        md5(number::text)::uuid AS id,
        decode(md5(number::text), 'hex') AS trace_id,
        substring(decode(md5(number::text), 'hex') FOR 8) AS span_id,
        -- The load goes up and down with a day's hours, from three times the mean, as in the last hour, to 0.6 times.
        %(until)s::timestamptz - make_interval(days => %(days)s::integer)
        + make_interval(secs => 86400 * (day - 0.65 * sin(2 * pi() * day) / (2 * pi()))) AS timestamp,
        'agent-' || to_char(floor(exp(random() * ln(51))), 'FM00') AS agent_id,
        (ARRAY['code-editing', 'research', 'data-analysis', 'planning', 'design'])[
            width_bucket(random(), ARRAY[0.0, 0.45, 0.7, 0.85, 0.95])
        ] AS task_type,
        exp(8 + 0.9 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) AS latency_ms,
        0.2 + 0.8 * sqrt(random()) AS overall_score,
        random() < 0.85 AS success,
        random() < 0.03 AS quarantined
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS number
    CROSS JOIN LATERAL (
        SELECT (number - random()) / %(points)s * %(days)s::double precision AS day
    ) AS placed
),
keys AS (
    INSERT INTO benchmark_data.point_keys (
        id, trace_id, span_id, timestamp, task_id, started, ended, revision, state, spans
    )
    SELECT
        id, trace_id, span_id, timestamp, 'task-' || number, timestamp, timestamp + latency_ms * interval '1 ms', 1,
        CASE WHEN quarantined THEN 'quarantined' ELSE 'accepted' END, 8
    FROM drawn
)
INSERT INTO benchmark_data.points (
    id, timestamp, task_id, task_type, complexity, agent_id, agent_name, model_family, strategy, confidence, explored,
    propensity, success, latency_ms, tokens_used, cost_usd, tool_call_count, overall_score, reward_version,
    adjusted_count, valid, rl_ready, state, withheld, gates_failed, completeness, ended_by, convention, service_name,
    schema_version, revision, trace_id, span_id, record
)
SELECT
    id, timestamp, 'task-' || number, task_type, 'standard', agent_id, initcap(agent_id), 'small', 'multi-armed-bandit',
    0.5, false, 0.5, success, latency_ms, (latency_ms / 8)::bigint, latency_ms / 1e6, 3, overall_score, '1', 1,
    NOT quarantined, NOT quarantined, CASE WHEN quarantined THEN 'quarantined' ELSE 'accepted' END, false,
    CASE WHEN quarantined THEN ARRAY['timing'] ELSE '{}' END,
    ARRAY['task', 'routing', 'execution', 'evaluation'], 'task_ended', 'arbiter', 'arbiter', 1, 1, trace_id, span_id,
    jsonb_build_object(
        'id', id, 'schemaVersion', 1, 'execution', jsonb_build_object('latencyMs', latency_ms), 'verdict',
        jsonb_build_object(
            'gatesFailed', CASE WHEN quarantined THEN '[{"gate": "timing", "severity": "error"}]' ELSE '[]' END::jsonb
        )
    )
FROM drawn;
