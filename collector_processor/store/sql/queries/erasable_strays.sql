-- Strays that wait, of these tenants or tasks, or in which one of these pseudonyms stands.
SELECT fact_id
FROM benchmark_data.strays
WHERE
    id IS NULL
    AND (
        tenant = ANY (%(tenants)s::text[])
        OR task_id = ANY (%(task_ids)s::text[])
        OR benchmark_data.mentions(fact::text, %(pseudonyms)s::text[])
    )
ORDER BY fact_id;
