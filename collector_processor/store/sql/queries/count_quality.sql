-- Count the records of these hours, in one scan of time an hour.
WITH counted AS MATERIALIZED (
    SELECT
        settled.hour, coalesce(point.task_type, '') AS task_type, point.withheld, point.gates_failed,
        point.gate_severities, point.latency_ms, point.tokens_used
    FROM unnest(%(hours)s::timestamptz[]) AS settled (hour)
    CROSS JOIN LATERAL (
        SELECT task_type, withheld, gates_failed, gate_severities, latency_ms, tokens_used
        FROM benchmark_data.points
        WHERE timestamp >= settled.hour AND timestamp < settled.hour + interval '1 hour' AND state <> 'discarded'
    ) AS point
), checks AS (
    INSERT INTO benchmark_data.hourly_checks (hour, task_type, checked)
    SELECT hour, task_type, count(*) FROM counted GROUP BY hour, task_type
), failures AS (
    INSERT INTO benchmark_data.hourly_failures (hour, task_type, gate, severity, failed)
    SELECT hour, task_type, failure.gate, failure.severity, count(*)
    FROM counted
    CROSS JOIN LATERAL unnest(gates_failed, gate_severities) AS failure (gate, severity)
    GROUP BY hour, task_type, failure.gate, failure.severity
)
INSERT INTO benchmark_data.hourly_measures (hour, task_type, measure, value_bucket, tasks)
SELECT hour, task_type, measured.measure, benchmark_data.latency_bucket(measured.value), count(*)
FROM counted
CROSS JOIN LATERAL (
    VALUES ('latency_ms', latency_ms), ('tokens_used', tokens_used::double precision)
) AS measured (measure, value)
WHERE NOT withheld AND measured.value > 0
GROUP BY hour, task_type, measured.measure, benchmark_data.latency_bucket(measured.value);
