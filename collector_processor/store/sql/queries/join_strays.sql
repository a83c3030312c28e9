-- Strays that have found their point: what they said stands in its record now, or is gone where that was erased.
UPDATE benchmark_data.strays AS stray
SET id = found.id, fact = NULL, task_id = NULL, namespace = NULL, tenant = NULL, anomalies = '[]'
FROM unnest(%(fact_ids)b::text[], %(ids)b::uuid[]) AS found (fact_id, id)
WHERE stray.fact_id = found.fact_id;
