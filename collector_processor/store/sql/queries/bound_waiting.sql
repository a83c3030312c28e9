-- Facts that have waited for their task since before that time, and the oldest above so many: they are counted as
-- expired. What another transaction joins at this moment is left to it; a task that came at this moment made a record of
-- its facts.
WITH surplus AS MATERIALIZED (
    SELECT fact_id
    FROM benchmark_data.strays
    WHERE id IS NULL
    ORDER BY waiting_since DESC, fact_id DESC
    OFFSET %(most)s
),
locked AS MATERIALIZED (
    SELECT fact_id
    FROM benchmark_data.strays
    WHERE id IS NULL AND (waiting_since < %(before)s OR fact_id IN (SELECT fact_id FROM surplus))
    ORDER BY fact_id
    FOR UPDATE SKIP LOCKED
),
strays AS (
    DELETE FROM benchmark_data.strays WHERE fact_id IN (SELECT fact_id FROM locked) RETURNING spans
),
awaited AS (
    DELETE FROM benchmark_data.point_keys
    WHERE
        state = 'awaited'
        AND id IN (
            SELECT id FROM benchmark_data.awaited WHERE since < %(before)s
            UNION ALL
            (SELECT id FROM benchmark_data.awaited ORDER BY since DESC, id DESC OFFSET %(most)s)
        )
    RETURNING spans
),
counted AS (
    SELECT
        (SELECT count(*) FROM strays) + (SELECT count(*) FROM awaited) AS facts,
        (SELECT coalesce(sum(spans), 0) FROM strays) AS orphaned,
        (SELECT coalesce(sum(spans), 0) FROM awaited) AS in_points
),
noted AS (
    INSERT INTO benchmark_data.batches (batch_id, kind, in_points, orphaned, expired)
    SELECT gen_random_uuid(), 'retention', -in_points, -orphaned, in_points + orphaned
    FROM counted
    WHERE in_points + orphaned > 0
)
SELECT facts FROM counted;
