-- Which point a task id means at a time, since attempts share their task's id: the one whose interval holds it, else
-- the latest that started before it, else, as clocks differ, one that started just after. Who doesn't say a namespace
-- or a tenant (an evaluator that knows the id alone) means the tasks of that id only while they have one in common.
SELECT wanted.fact_id, found.id
FROM unnest(
    %(fact_ids)s::text[], %(task_ids)s::text[], %(namespaces)s::text[], %(tenants)s::text[], %(times)s::timestamptz[]
) AS wanted (fact_id, task_id, namespace, tenant, time)
CROSS JOIN LATERAL (
    SELECT meant.id
    FROM (
        SELECT
            key.id,
            key.started,
            key.ended,
            min(coalesce(key.namespace, '')) OVER () = max(coalesce(key.namespace, '')) OVER ()
            AND min(coalesce(key.tenant, '')) OVER () = max(coalesce(key.tenant, '')) OVER () AS in_common
        FROM benchmark_data.point_keys AS key
        WHERE
            (key.task_id = wanted.task_id OR key.task_id = benchmark_data.erased_name(wanted.task_id))
            AND (wanted.namespace IS NULL OR key.namespace = wanted.namespace)
            AND (wanted.tenant IS NULL OR key.tenant = wanted.tenant)
    ) AS meant
    WHERE meant.in_common AND meant.started <= wanted.time + %(clock_skew)s
    ORDER BY
        wanted.time BETWEEN meant.started AND meant.ended DESC,
        meant.started <= wanted.time DESC,
        abs(extract(epoch FROM wanted.time - meant.started)),
        meant.id
    LIMIT 1
) AS found;
