-- Which point a task id means at a time, since attempts share their task's id: the one whose interval holds it, else
-- the latest that started before it, else, as clocks differ, one that started just after.
SELECT wanted.fact_id, found.id
FROM unnest(
    %(fact_ids)s::text[], %(task_ids)s::text[], %(namespaces)s::text[], %(tenants)s::text[], %(times)s::timestamptz[]
) AS wanted (fact_id, task_id, namespace, tenant, time)
CROSS JOIN LATERAL (
    SELECT key.id
    FROM benchmark_data.point_keys AS key
    WHERE
        key.task_id = wanted.task_id
        AND key.namespace IS NOT DISTINCT FROM wanted.namespace
        AND key.tenant IS NOT DISTINCT FROM wanted.tenant
        AND key.started <= wanted.time + %(clock_skew)s
    ORDER BY
        wanted.time BETWEEN key.started AND key.ended DESC,
        key.started <= wanted.time DESC,
        abs(extract(epoch FROM wanted.time - key.started)),
        key.id
    LIMIT 1
) AS found;
