-- Key rows of points whose content changed, all of them locked by this transaction.
UPDATE benchmark_data.point_keys AS kept
SET
    timestamp = fresh.timestamp,
    task_id = fresh.task_id,
    namespace = fresh.namespace,
    tenant = fresh.tenant,
    started = fresh.started,
    ended = fresh.ended,
    revision = fresh.revision,
    state = fresh.state,
    spans = fresh.spans
FROM unnest(
    %(id)b::uuid[], %(timestamp)b::timestamptz[], %(task_id)b::text[], %(namespace)b::text[], %(tenant)b::text[],
    %(started)b::timestamptz[], %(ended)b::timestamptz[], %(revision)b::integer[], %(state)b::text[],
    %(spans)b::bigint[]
) AS fresh (id, timestamp, task_id, namespace, tenant, started, ended, revision, state, spans)
WHERE kept.id = fresh.id;
