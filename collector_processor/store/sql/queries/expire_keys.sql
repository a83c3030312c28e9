-- Key rows of records between these times, locked in order of id as everybody does; their spans move to the count of
-- what has expired.
WITH locked AS MATERIALIZED (
    SELECT id
    FROM benchmark_data.point_keys
    WHERE id IN (
        SELECT id FROM benchmark_data.points WHERE timestamp >= %(since)s AND timestamp < %(before)s
    )
    ORDER BY id
    FOR UPDATE
),
gone AS (
    DELETE FROM benchmark_data.point_keys AS key
    USING locked
    WHERE key.id = locked.id
    RETURNING CASE WHEN key.state IN ('discarded', 'erased') THEN 0 ELSE key.spans END AS spans
),
moved AS (
    INSERT INTO benchmark_data.batches (batch_id, kind, in_points, expired)
    SELECT gen_random_uuid(), 'retention', -sum(spans), sum(spans) FROM gone HAVING sum(spans) > 0
)
SELECT count(*) AS records FROM gone;
