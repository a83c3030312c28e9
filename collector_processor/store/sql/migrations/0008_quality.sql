-- Data quality: what the gates said, by the hour; what is usual for a type of task; and which records may be exported.

-- Beside gates_failed, entry by entry. Rows from before have null until they are written again: filling them in would
-- decompress every chunk.
ALTER TABLE benchmark_data.points ADD COLUMN gate_severities text[];
COMMENT ON COLUMN benchmark_data.points.gate_severities IS
    'The severity of each entry of gates_failed; null in rows from before version 8, see severities_of';

-- The severities of the gates that a record failed, in its own order.
CREATE FUNCTION benchmark_data.severities_of(record jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ARRAY(
    SELECT failure.gate ->> 'severity'
    FROM jsonb_array_elements(record #> '{verdict,gatesFailed}') WITH ORDINALITY AS failure (gate, place)
    ORDER BY failure.place
);

CREATE INDEX audit_time ON benchmark_data.audit (time);

-- The gates, with each severity that they may fail with, as the processor that started last has them.
CREATE TABLE benchmark_data.gates (
    gate text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('incomplete', 'warning', 'error', 'critical')),
    PRIMARY KEY (gate, severity)
);

-- Counts that add up, by hour and task type; '' stands for an unknown one. Discarded records count nowhere. What the
-- gates said counts withheld records too: else a critical gate would never be seen to fail.
CREATE TABLE benchmark_data.hourly_checks (
    hour timestamptz NOT NULL,
    task_type text NOT NULL,
    checked bigint NOT NULL,
    PRIMARY KEY (hour, task_type)
);
CREATE TABLE benchmark_data.hourly_failures (
    hour timestamptz NOT NULL,
    task_type text NOT NULL,
    gate text NOT NULL,
    severity text NOT NULL,
    failed bigint NOT NULL,
    PRIMARY KEY (hour, task_type, gate, severity)
);

-- How latencies and tokens are spread: tasks by buckets of 2 % (benchmark_data.latency_bucket). A task without tokens
-- used no model: it says nothing of how many are usual.
CREATE TABLE benchmark_data.hourly_measures (
    hour timestamptz NOT NULL,
    task_type text NOT NULL,
    measure text NOT NULL CHECK (measure IN ('latency_ms', 'tokens_used')),
    value_bucket integer NOT NULL,
    tasks bigint NOT NULL,
    PRIMARY KEY (hour, task_type, measure, value_bucket)
);

-- All hours are counted once, with their statistics.
INSERT INTO benchmark_data.stale_hours (hour)
SELECT DISTINCT hour FROM benchmark_data.points;

-- What was usual in a window that ends at a full hour; the newest is what tasks are compared with.
CREATE TABLE benchmark_data.outlier_bounds (
    window_end timestamptz NOT NULL,
    window_start timestamptz NOT NULL,
    task_type text NOT NULL,
    measure text NOT NULL,
    tasks bigint NOT NULL,
    median double precision NOT NULL,
    deviation double precision NOT NULL,
    p99 double precision NOT NULL,
    PRIMARY KEY (window_end, task_type, measure)
);
COMMENT ON COLUMN benchmark_data.outlier_bounds.deviation IS
    'Robust standard deviation of the natural logarithm: 1.4826 median absolute deviations, at least 0.1';

-- What the records of an hour say now. Functions for the same reason as statistics_of_hour.
CREATE FUNCTION benchmark_data.checks_of_hour(hour timestamptz) RETURNS TABLE (task_type text, checked bigint)
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT benchmark_data.label(point.task_type), count(*)
    FROM benchmark_data.points AS point
    WHERE
        point.timestamp >= checks_of_hour.hour AND point.timestamp < checks_of_hour.hour + interval '1 hour'
        AND point.state <> 'discarded'
    GROUP BY 1;
END
$$;

CREATE FUNCTION benchmark_data.failures_of_hour(hour timestamptz) RETURNS TABLE (
    task_type text, gate text, severity text, failed bigint
)
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 30 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT benchmark_data.label(point.task_type), failure.gate, failure.severity, count(*)
    FROM benchmark_data.points AS point
    CROSS JOIN LATERAL unnest(
        point.gates_failed, coalesce(point.gate_severities, benchmark_data.severities_of(point.record))
    ) AS failure (gate, severity)
    WHERE
        point.timestamp >= failures_of_hour.hour AND point.timestamp < failures_of_hour.hour + interval '1 hour'
        AND point.state <> 'discarded' AND point.gates_failed <> '{}'
    GROUP BY 1, 2, 3;
END
$$;

CREATE FUNCTION benchmark_data.measures_of_hour(hour timestamptz) RETURNS TABLE (
    task_type text, measure text, value_bucket integer, tasks bigint
)
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT
        benchmark_data.label(point.task_type), measured.measure, benchmark_data.latency_bucket(measured.value),
        count(*)
    FROM benchmark_data.points AS point
    CROSS JOIN LATERAL (
        VALUES ('latency_ms', point.latency_ms), ('tokens_used', point.tokens_used::double precision)
    ) AS measured (measure, value)
    WHERE
        point.timestamp >= measures_of_hour.hour AND point.timestamp < measures_of_hour.hour + interval '1 hour'
        AND point.state <> 'discarded' AND NOT point.withheld AND measured.value > 0
    GROUP BY 1, 2, 3;
END
$$;

CREATE VIEW benchmark_data.live_checks AS
SELECT unsettled.bucket AS hour, counted.*
FROM benchmark_data.unsettled_hours AS unsettled
CROSS JOIN LATERAL benchmark_data.checks_of_hour(unsettled.bucket) AS counted;

CREATE VIEW benchmark_data.live_failures AS
SELECT unsettled.bucket AS hour, counted.*
FROM benchmark_data.unsettled_hours AS unsettled
CROSS JOIN LATERAL benchmark_data.failures_of_hour(unsettled.bucket) AS counted;

CREATE VIEW benchmark_data.current_checks AS
SELECT hour, task_type, checked
FROM benchmark_data.hourly_checks
WHERE hour NOT IN (SELECT bucket FROM benchmark_data.unsettled_hours)
UNION ALL
SELECT hour, task_type, checked FROM benchmark_data.live_checks;

CREATE VIEW benchmark_data.current_failures AS
SELECT hour, task_type, gate, severity, failed
FROM benchmark_data.hourly_failures
WHERE hour NOT IN (SELECT bucket FROM benchmark_data.unsettled_hours)
UNION ALL
SELECT hour, task_type, gate, severity, failed FROM benchmark_data.live_failures;

-- Count stale hours into the tables, on every tier.
CREATE PROCEDURE benchmark_data.settle_quality(hours timestamptz[])
LANGUAGE sql AS $$
    DELETE FROM benchmark_data.hourly_checks WHERE hour = ANY (hours);
    INSERT INTO benchmark_data.hourly_checks (hour, task_type, checked)
    SELECT hour, task_type, checked FROM benchmark_data.live_checks WHERE hour = ANY (hours);

    DELETE FROM benchmark_data.hourly_failures WHERE hour = ANY (hours);
    INSERT INTO benchmark_data.hourly_failures (hour, task_type, gate, severity, failed)
    SELECT hour, task_type, gate, severity, failed FROM benchmark_data.live_failures WHERE hour = ANY (hours);

    DELETE FROM benchmark_data.hourly_measures WHERE hour = ANY (hours);
    INSERT INTO benchmark_data.hourly_measures (hour, task_type, measure, value_bucket, tasks)
    SELECT settled.hour, counted.task_type, counted.measure, counted.value_bucket, counted.tasks
    FROM unnest(hours) AS settled (hour)
    CROSS JOIN LATERAL benchmark_data.measures_of_hour(settled.hour) AS counted;
$$;

-- Every gate is there in every hour that has records, with each severity that it may fail with: so a rate of 1 is told
-- apart from silence, and rates of several hours add up. What failed with other severities, as configured once, has
-- rows of its own.
CREATE VIEW benchmark.gate_results AS
SELECT
    hour, nullif(task_type, '') AS task_type, gate, severity, checked, failed,
    1 - failed / checked::double precision AS pass_rate
FROM (
    SELECT
        hour, task_type, gate, severity, sum(failed)::bigint AS failed,
        max(max(checked)) OVER (PARTITION BY hour, task_type) AS checked
    FROM (
        SELECT hour, task_type, gate, severity, checked, 0 AS failed
        FROM benchmark_data.current_checks
        LEFT JOIN benchmark_data.gates ON true
        UNION ALL
        SELECT hour, task_type, gate, severity, 0, failed FROM benchmark_data.current_failures
    ) AS told
    GROUP BY hour, task_type, gate, severity
) AS counted
WHERE gate IS NOT NULL;
COMMENT ON VIEW benchmark.gate_results IS
    'Hour x task type x gate x severity, always current; pass_rate over the checked records, discarded ones left out';

CREATE VIEW benchmark.failed_gates AS
SELECT
    point.id, point.timestamp, point.task_id, point.task_type, point.agent_id, point.state, failure.gate,
    failure.severity, failure.reason
FROM benchmark_data.visible_points AS point
CROSS JOIN LATERAL jsonb_to_recordset(point.record #> '{verdict,gatesFailed}') AS failure (
    gate text, severity text, reason text
)
WHERE point.gates_failed <> '{}';
COMMENT ON VIEW benchmark.failed_gates IS 'A row a gate that a record failed; the reason names field, value and bound';

CREATE VIEW benchmark.outlier_bounds AS
SELECT
    window_start, window_end, task_type, measure, tasks, median, deviation, median * exp(3 * deviation) AS mad_bound,
    p99
FROM benchmark_data.outlier_bounds;
COMMENT ON VIEW benchmark.outlier_bounds IS 'What was usual in each window; tasks are compared with the newest';

CREATE VIEW benchmark.exportable AS
SELECT * FROM benchmark.data_points WHERE valid OR state = 'released';
COMMENT ON VIEW benchmark.exportable IS 'Records that exports take: valid ones, and those that a person released';
