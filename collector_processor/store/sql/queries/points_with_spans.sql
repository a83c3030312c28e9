-- The points that hold these spans: in records of their trace, in facts that wait, or as joined strays.
SELECT wanted.fact_id, key.id
FROM unnest(%(trace_ids)s::bytea[], %(fact_ids)s::text[]) AS wanted (trace_id, fact_id)
JOIN benchmark_data.point_keys AS key ON key.trace_id = wanted.trace_id
LEFT JOIN benchmark_data.points AS point ON point.id = key.id AND point.timestamp = key.timestamp
LEFT JOIN benchmark_data.awaited AS awaited ON awaited.id = key.id
WHERE
    encode(key.trace_id || key.span_id, 'hex') = wanted.fact_id
    OR jsonb_path_exists(
        coalesce(point.record -> 'facts', awaited.facts),
        '$.*[*] ? (@.factId == $wanted)',
        jsonb_build_object('wanted', wanted.fact_id)
    )
UNION
SELECT stray.fact_id, stray.id
FROM benchmark_data.strays AS stray
WHERE stray.fact_id = ANY (%(fact_ids)s::text[]) AND stray.id IS NOT NULL;
