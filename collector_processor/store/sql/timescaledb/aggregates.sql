-- Statistics as continuous aggregates, of the Community edition: by the hour, and by the day on top of the hours. The
-- tables keep what was settled of hours whose records are gone; all others are handed over, and are stale until the
-- settler has refreshed them.
DO $$
DECLARE
    first_hour timestamptz := (SELECT horizon FROM benchmark_data.maintenance);
BEGIN
    IF to_regclass('benchmark_data.hourly_statistics_aggregate') IS NULL THEN
        DELETE FROM benchmark_data.hourly_statistics WHERE bucket >= first_hour;
        DELETE FROM benchmark_data.hourly_latencies WHERE bucket >= first_hour;
        DELETE FROM benchmark_data.daily_statistics WHERE bucket >= first_hour;
        DELETE FROM benchmark_data.daily_latencies WHERE bucket >= first_hour;
        INSERT INTO benchmark_data.stale_hours (hour) SELECT DISTINCT hour FROM benchmark_data.points;
    END IF;
END
$$;

CREATE MATERIALIZED VIEW IF NOT EXISTS benchmark_data.hourly_statistics_aggregate
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket('1 hour', timestamp) AS bucket,
    benchmark_data.label(agent_id) AS agent_id, benchmark_data.label(task_type) AS task_type,
    count(*) AS tasks, count(*) FILTER (WHERE success) AS successful, count(success) AS judged,
    count(*) FILTER (WHERE NOT valid) AS invalid,
    count(overall_score) AS evaluated, sum(benchmark_data.bounded(overall_score)) AS quality_sum,
    sum(benchmark_data.bounded(overall_score) ^ 2) AS quality_squares,
    count(latency_ms) AS timed, sum(benchmark_data.bounded(latency_ms)) AS latency_sum,
    count(tokens_used) AS metered, sum(tokens_used) AS tokens_sum, sum(benchmark_data.bounded(cost_usd)) AS cost_sum
FROM benchmark_data.points
WHERE state <> 'discarded' AND NOT withheld
GROUP BY time_bucket('1 hour', timestamp), benchmark_data.label(agent_id), benchmark_data.label(task_type)
WITH NO DATA;

CREATE MATERIALIZED VIEW IF NOT EXISTS benchmark_data.hourly_latencies_aggregate
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket('1 hour', timestamp) AS bucket,
    benchmark_data.label(agent_id) AS agent_id, benchmark_data.label(task_type) AS task_type,
    benchmark_data.latency_bucket(latency_ms) AS latency_bucket, count(*) AS tasks
FROM benchmark_data.points
WHERE state <> 'discarded' AND NOT withheld AND latency_ms IS NOT NULL
GROUP BY
    time_bucket('1 hour', timestamp), benchmark_data.label(agent_id), benchmark_data.label(task_type),
    benchmark_data.latency_bucket(latency_ms)
WITH NO DATA;

CREATE MATERIALIZED VIEW IF NOT EXISTS benchmark_data.daily_statistics_aggregate
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket('1 day', bucket) AS bucket, agent_id, task_type,
    sum(tasks)::bigint AS tasks, sum(successful)::bigint AS successful, sum(judged)::bigint AS judged,
    sum(invalid)::bigint AS invalid, sum(evaluated)::bigint AS evaluated, sum(quality_sum) AS quality_sum,
    sum(quality_squares) AS quality_squares, sum(timed)::bigint AS timed, sum(latency_sum) AS latency_sum,
    sum(metered)::bigint AS metered, sum(tokens_sum) AS tokens_sum, sum(cost_sum) AS cost_sum
FROM benchmark_data.hourly_statistics_aggregate
GROUP BY time_bucket('1 day', bucket), agent_id, task_type
WITH NO DATA;

CREATE MATERIALIZED VIEW IF NOT EXISTS benchmark_data.daily_latencies_aggregate
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket('1 day', bucket) AS bucket, agent_id, task_type, latency_bucket, sum(tasks)::bigint AS tasks
FROM benchmark_data.hourly_latencies_aggregate
GROUP BY time_bucket('1 day', bucket), agent_id, task_type, latency_bucket
WITH NO DATA;

CREATE OR REPLACE VIEW benchmark_data.settled_hourly_statistics AS
SELECT * FROM benchmark_data.hourly_statistics
UNION ALL
SELECT * FROM benchmark_data.hourly_statistics_aggregate;
CREATE OR REPLACE VIEW benchmark_data.settled_hourly_latencies AS
SELECT * FROM benchmark_data.hourly_latencies
UNION ALL
SELECT * FROM benchmark_data.hourly_latencies_aggregate;
CREATE OR REPLACE VIEW benchmark_data.settled_daily_statistics AS
SELECT * FROM benchmark_data.daily_statistics
UNION ALL
SELECT * FROM benchmark_data.daily_statistics_aggregate;
CREATE OR REPLACE VIEW benchmark_data.settled_daily_latencies AS
SELECT * FROM benchmark_data.daily_latencies
UNION ALL
SELECT * FROM benchmark_data.daily_latencies_aggregate;
