-- The next strays that wait.
SELECT fact_id, parent_id, kind, namespace, tenant, fact::text AS fact, anomalies::text AS anomalies, id
FROM benchmark_data.strays
WHERE id IS NULL AND fact_id > %(after)s
ORDER BY fact_id
LIMIT %(page)s
FOR UPDATE;
