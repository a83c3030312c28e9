-- What is known of points whose keys are locked.
SELECT
    key.id, key.trace_id, key.span_id, key.state, key.spans,
    point.record::text AS record, awaited.facts::text AS facts
FROM benchmark_data.point_keys AS key
LEFT JOIN benchmark_data.points AS point ON point.id = key.id AND point.timestamp = key.timestamp
LEFT JOIN benchmark_data.awaited AS awaited ON awaited.id = key.id
WHERE key.id = ANY (%(ids)b::uuid[]);
