-- One row: the ledger's sums beside what the tables hold, and the collection's metrics of the last 24 hours.
WITH ledger AS (
    SELECT
        coalesce(sum(in_points + duplicate + orphaned + discarded + erased) FILTER (WHERE kind = 'batch'), 0) AS spans,
        coalesce(sum(duplicate), 0) AS duplicate,
        coalesce(sum(discarded), 0) AS discarded,
        coalesce(sum(erased), 0) AS erased,
        coalesce(sum(expired), 0) AS expired,
        coalesce(sum(accepted), 0) AS accepted,
        coalesce(sum(quarantined), 0) AS quarantined
    FROM benchmark_data.batches
),
keys AS (
    SELECT
        coalesce(sum(spans) FILTER (WHERE state NOT IN ('discarded', 'erased')), 0) AS spans,
        count(*) FILTER (WHERE state IN ('accepted', 'quarantined', 'released')) AS points
    FROM benchmark_data.point_keys
),
kinds AS (
    SELECT
        agent_id, task_type, complexity, count(*) AS points,
        count(*) FILTER (WHERE timestamp >= date_trunc('day', now(), 'UTC')) AS today,
        count(*) FILTER (WHERE timestamp >= now() - interval '1 hour') AS hour
    FROM benchmark_data.points
    WHERE timestamp >= now() - interval '24 hours' AND timestamp <= now() AND state <> 'discarded'
    GROUP BY agent_id, task_type, complexity
),
day AS (
    SELECT
        coalesce(sum(today), 0)::bigint AS today,
        coalesce(sum(hour), 0)::bigint AS hour,
        array_agg(DISTINCT agent_id) FILTER (WHERE agent_id IS NOT NULL) AS agents,
        array_agg(DISTINCT task_type) FILTER (WHERE task_type IS NOT NULL) AS task_types
    FROM kinds
),
complexities AS (
    SELECT jsonb_object_agg(complexity, points) AS distribution
    FROM (
        SELECT complexity, sum(points) AS points FROM kinds WHERE complexity IS NOT NULL GROUP BY complexity
    ) AS counted
),
waiting AS (
    SELECT count(*) AS facts, count(*) FILTER (WHERE kind = 'evaluation') AS evaluations, min(since) AS since
    FROM (
        SELECT kind, waiting_since AS since FROM benchmark_data.strays WHERE id IS NULL
        UNION ALL
        SELECT NULL, since FROM benchmark_data.awaited
    ) AS each
),
samples AS (
    SELECT coalesce(
        jsonb_agg(jsonb_build_array(facet, concat_ws(': ', status, reason), samples) ORDER BY facet, status, reason), '[]'
    ) AS counted
    FROM (
        SELECT facet, status, reason, count(*) AS samples
        FROM benchmark_data.deep_samples
        WHERE timestamp >= now() - interval '24 hours'
        GROUP BY facet, status, reason
    ) AS endings
),
recent AS (
    SELECT avg((record #>> '{provenance,overheadMs}')::double precision) AS overhead
    FROM (SELECT record FROM benchmark_data.points ORDER BY timestamp DESC LIMIT 200) AS latest
)
SELECT
    ledger.spans AS ledger_spans,
    keys.spans AS ledger_in_points,
    ledger.duplicate AS ledger_duplicate,
    (SELECT coalesce(sum(spans), 0) FROM benchmark_data.strays WHERE id IS NULL) AS ledger_orphaned,
    ledger.discarded AS ledger_discarded,
    ledger.erased AS ledger_erased,
    ledger.expired AS ledger_expired,
    day.today AS data_points_collected_today,
    day.hour AS data_points_per_hour,
    keys.points AS total_data_points,
    CASE
        WHEN ledger.accepted + ledger.quarantined > 0
            THEN (ledger.quarantined / (ledger.accepted + ledger.quarantined))::double precision
    END AS validation_failure_rate,
    maintenance.former_violations
        + (SELECT count(*) FROM benchmark_data.audit WHERE action = 'scan') AS privacy_violations,
    day.agents AS agents_covered,
    day.task_types AS task_types_covered,
    complexities.distribution AS complexity_distribution,
    recent.overhead AS avg_collection_latency_ms,
    samples.counted AS deep_samples,
    pg_database_size(current_database()) AS database_bytes,
    (SELECT count(DISTINCT hour) FROM benchmark_data.stale_hours WHERE hour >= maintenance.horizon) AS stale_hours,
    waiting.facts AS waiting_facts,
    waiting.evaluations AS waiting_evaluations,
    waiting.since AS waiting_since,
    maintenance.settled_at,
    maintenance.retired_at
FROM ledger, keys, day, complexities, waiting, samples, recent, benchmark_data.maintenance;
