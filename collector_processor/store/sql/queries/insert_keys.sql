-- Key rows of points that nobody has, in order of id: a concurrent writer of one of them is waited for.
INSERT INTO benchmark_data.point_keys (
    id, trace_id, span_id, timestamp, task_id, namespace, tenant, started, ended, revision, state, spans
)
SELECT *
FROM unnest(
    %(id)s::uuid[], %(trace_id)s::bytea[], %(span_id)s::bytea[], %(timestamp)s::timestamptz[], %(task_id)s::text[],
    %(namespace)s::text[], %(tenant)s::text[], %(started)s::timestamptz[], %(ended)s::timestamptz[],
    %(revision)s::integer[], %(state)s::text[], %(spans)s::bigint[]
) AS fresh (id)
ORDER BY fresh.id
ON CONFLICT (id) DO NOTHING
RETURNING id;
