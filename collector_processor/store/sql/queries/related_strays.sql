-- Strays that may belong to the points at hand (null id: they wait), and where strays of their traces went.
SELECT fact_id, parent_id, kind, namespace, tenant, fact::text AS fact, anomalies::text AS anomalies, id
FROM benchmark_data.strays
WHERE traces && %(trace_ids)b::bytea[] OR (id IS NULL AND task_id = ANY (%(task_ids)b::text[]))
ORDER BY fact_id
FOR UPDATE;
