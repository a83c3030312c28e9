-- Points of these tenants or tasks, or in which one of these pseudonyms stands, wherever it does.
SELECT key.id
FROM benchmark_data.point_keys AS key
WHERE key.state <> 'erased' AND (key.tenant = ANY (%(tenants)s::text[]) OR key.task_id = ANY (%(task_ids)s::text[]))
UNION
SELECT awaited.id
FROM benchmark_data.awaited
WHERE
    benchmark_data.mentions(facts::text, %(pseudonyms)s::text[])
    OR EXISTS (
        SELECT
        FROM jsonb_path_query(facts, '$.*[*].taskId') AS said (task_id)
        WHERE said.task_id #>> '{}' = ANY (%(task_ids)s::text[])
    )
UNION
SELECT id
FROM benchmark_data.points
WHERE cardinality(%(pseudonyms)s::text[]) > 0 AND benchmark_data.mentions(record::text, %(pseudonyms)s::text[])
UNION
SELECT id
FROM benchmark_data.deep_samples
WHERE cardinality(%(pseudonyms)s::text[]) > 0 AND benchmark_data.mentions(content::text, %(pseudonyms)s::text[])
ORDER BY id;
