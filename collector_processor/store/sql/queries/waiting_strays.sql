-- A page of waiting strays whose task, traces or parent are known by now; what another transaction joins is left to it.
SELECT fact_id, parent_id, kind, namespace, tenant, fact::text AS fact, anomalies::text AS anomalies, id
FROM benchmark_data.strays AS stray
WHERE
    id IS NULL
    AND fact_id > %(after)s
    AND (
        EXISTS (SELECT FROM benchmark_data.point_keys AS key WHERE key.task_id = stray.task_id)
        OR EXISTS (
            SELECT
            FROM benchmark_data.point_keys AS key
            WHERE key.task_id = benchmark_data.erased_name(stray.task_id) AND key.state = 'erased'
        )
        OR EXISTS (
            SELECT
            FROM unnest(stray.traces) AS trace (id)
            JOIN benchmark_data.point_keys AS key ON encode(key.trace_id, 'hex') = encode(trace.id, 'hex')
        )
        OR EXISTS (
            SELECT
            FROM benchmark_data.strays AS parent
            JOIN benchmark_data.point_keys AS key ON key.id = parent.id
            WHERE parent.fact_id = stray.parent_id
        )
    )
ORDER BY fact_id
LIMIT %(page)s
FOR UPDATE OF stray SKIP LOCKED;
