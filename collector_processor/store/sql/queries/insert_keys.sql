-- Key rows of points that nobody has, in order of id: a concurrent writer of one of them is waited for.
INSERT INTO benchmark_data.point_keys (
    id, trace_id, span_id, timestamp, task_id, namespace, tenant, started, ended, revision, state, spans
)
SELECT *
FROM unnest(
    %(id)b::uuid[], %(trace_id)b::bytea[], %(span_id)b::bytea[], %(timestamp)b::timestamptz[], %(task_id)b::text[],
    %(namespace)b::text[], %(tenant)b::text[], %(started)b::timestamptz[], %(ended)b::timestamptz[],
    %(revision)b::integer[], %(state)b::text[], %(spans)b::bigint[]
) AS fresh (id)
ORDER BY fresh.id
ON CONFLICT (id) DO NOTHING
RETURNING id;
