-- Each of these waiting strays becomes a tombstone of its own, under its span, and stays known as having joined it.
WITH locked AS MATERIALIZED (
    SELECT fact_id, trace_id, span_id, timestamp, spans, gen_random_uuid() AS tombstone
    FROM benchmark_data.strays
    WHERE fact_id = ANY (%(fact_ids)s::text[]) AND id IS NULL
    ORDER BY fact_id
    FOR UPDATE
),
buried AS (
    INSERT INTO benchmark_data.point_keys (id, trace_id, span_id, timestamp, revision, state, spans, erasure)
    SELECT tombstone, trace_id, span_id, timestamp, 0, 'erased', spans, %(number)s FROM locked
)
UPDATE benchmark_data.strays AS stray
SET id = locked.tombstone, fact = NULL, task_id = NULL, namespace = NULL, tenant = NULL, anomalies = '[]'
FROM locked
WHERE stray.fact_id = locked.fact_id
RETURNING stray.spans;
