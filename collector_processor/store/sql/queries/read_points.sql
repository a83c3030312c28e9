-- What is known of points whose keys are locked. OFFSET keeps it a look-up a key, in the one chunk that holds its time.
SELECT
    key.id, key.trace_id, key.span_id, key.state, key.spans, key.tenant,
    point.record::text AS record, awaited.facts::text AS facts
FROM benchmark_data.point_keys AS key
LEFT JOIN LATERAL (
    SELECT record FROM benchmark_data.points WHERE timestamp = key.timestamp AND id = key.id OFFSET 0
) AS point ON true
LEFT JOIN benchmark_data.awaited AS awaited ON awaited.id = key.id
WHERE key.id = ANY (%(ids)b::uuid[]);
