-- Strays that have found their point: their facts stand in its record now, or are gone where that was erased.
UPDATE benchmark_data.strays AS stray
SET
    id = found.id,
    fact = NULL,
    task_id = CASE WHEN key.state <> 'erased' THEN stray.task_id END,
    namespace = CASE WHEN key.state <> 'erased' THEN stray.namespace END,
    tenant = CASE WHEN key.state <> 'erased' THEN stray.tenant END,
    anomalies = CASE WHEN key.state <> 'erased' THEN stray.anomalies ELSE '[]' END
FROM unnest(%(fact_ids)b::text[], %(ids)b::uuid[]) AS found (fact_id, id)
JOIN benchmark_data.point_keys AS key ON key.id = found.id
WHERE stray.fact_id = found.fact_id;
