-- Strays that had joined these points stay known by their spans alone.
UPDATE benchmark_data.strays
SET task_id = NULL, namespace = NULL, tenant = NULL, anomalies = '[]'
WHERE id = ANY (%(ids)s::uuid[]);
