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
    %(id)s::uuid[], %(timestamp)s::timestamptz[], %(task_id)s::text[], %(namespace)s::text[], %(tenant)s::text[],
    %(started)s::timestamptz[], %(ended)s::timestamptz[], %(revision)s::integer[], %(state)s::text[],
    %(spans)s::bigint[]
) AS fresh (id, timestamp, task_id, namespace, tenant, started, ended, revision, state, spans)
WHERE kept.id = fresh.id;
