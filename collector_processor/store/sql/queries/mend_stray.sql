-- A waiting stray without what was found in it.
UPDATE benchmark_data.strays
SET fact = %(fact)s::jsonb, task_id = %(task_id)s, namespace = %(namespace)s, anomalies = %(anomalies)s::jsonb
WHERE fact_id = %(fact_id)s;
