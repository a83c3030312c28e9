-- Facts without a task span above them. One that is there already was counted when it came first.
INSERT INTO benchmark_data.strays (
    fact_id, trace_id, span_id, parent_id, timestamp, kind, task_id, namespace, tenant, spans, fact, anomalies, traces
)
SELECT
    fact_id, trace_id, span_id, parent_id, timestamp, kind, task_id, namespace, tenant, spans, fact::jsonb,
    anomalies::jsonb,
    trace_id || ARRAY(SELECT decode(left(link, 32), 'hex') FROM jsonb_array_elements_text(fact::jsonb -> 'links') AS link)
FROM unnest(
    %(fact_id)s::text[], %(trace_id)s::bytea[], %(span_id)s::bytea[], %(parent_id)s::text[],
    %(timestamp)s::timestamptz[], %(kind)s::text[], %(task_id)s::text[], %(namespace)s::text[], %(tenant)s::text[],
    %(spans)s::smallint[], %(fact)s::text[], %(anomalies)s::text[]
) AS fresh (fact_id, trace_id, span_id, parent_id, timestamp, kind, task_id, namespace, tenant, spans, fact, anomalies)
ORDER BY fact_id
ON CONFLICT (fact_id) DO NOTHING
RETURNING fact_id;
