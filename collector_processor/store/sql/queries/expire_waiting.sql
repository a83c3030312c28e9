-- Facts that have waited for their task since before that time, and strays from before it; those that had joined
-- a record were counted with it. The state is asked for because it is looked at again under the lock: a task that came
-- at this moment made a record of its facts.
WITH strays AS (
    DELETE FROM benchmark_data.strays
    WHERE timestamp < %(before)s
    RETURNING CASE WHEN id IS NULL THEN spans ELSE 0 END AS spans
),
awaited AS (
    DELETE FROM benchmark_data.point_keys
    WHERE state = 'awaited' AND id IN (SELECT id FROM benchmark_data.awaited WHERE since < %(before)s)
    RETURNING spans
),
counted AS (
    SELECT
        (SELECT coalesce(sum(spans), 0) FROM strays) AS orphaned,
        (SELECT coalesce(sum(spans), 0) FROM awaited) AS in_points
)
INSERT INTO benchmark_data.batches (batch_id, kind, in_points, orphaned, expired)
SELECT gen_random_uuid(), 'retention', -in_points, -orphaned, in_points + orphaned
FROM counted
WHERE in_points + orphaned > 0
RETURNING expired;
