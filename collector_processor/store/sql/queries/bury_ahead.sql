-- Tombstones of tasks whose own span has not come yet.
INSERT INTO benchmark_data.point_keys (id, trace_id, span_id, task_id, revision, state, spans, erasure)
SELECT id, trace_id, span_id, benchmark_data.erased_name(task_id), 0, 'erased', 0, %(number)s
FROM unnest(%(id)s::uuid[], %(trace_id)s::bytea[], %(span_id)s::bytea[], %(task_id)s::text[])
    AS gone (id, trace_id, span_id, task_id)
ORDER BY gone.id
ON CONFLICT (id) DO NOTHING
RETURNING id;
