-- The points that hold these spans: as their task span, in records or waiting facts of the trace, or as joined strays.
-- A trace may be endless and hold thousands of tasks, so every record is read once, however many spans are asked for.
-- A stray may outlive the record that it joined.
SELECT held.fact_id, held.id
FROM (
    SELECT encode(trace_id || span_id, 'hex') AS fact_id, id
    FROM benchmark_data.point_keys
    WHERE encode(trace_id, 'hex') = ANY (%(trace_ids)b::text[])
    UNION ALL
    SELECT fact.id #>> '{}', key.id
    FROM benchmark_data.point_keys AS key
    -- OFFSET keeps this a look-up a key, in the one chunk that holds its time.
    LEFT JOIN LATERAL (
        SELECT record FROM benchmark_data.points WHERE timestamp = key.timestamp AND id = key.id OFFSET 0
    ) AS point ON true
    LEFT JOIN benchmark_data.awaited AS awaited ON awaited.id = key.id
    CROSS JOIN LATERAL jsonb_path_query(coalesce(point.record -> 'facts', awaited.facts), '$.*[*].factId') AS fact (id)
    WHERE encode(key.trace_id, 'hex') = ANY (%(trace_ids)b::text[])
    UNION ALL
    SELECT stray.fact_id, key.id
    FROM benchmark_data.strays AS stray
    JOIN benchmark_data.point_keys AS key ON key.id = stray.id
    WHERE stray.fact_id = ANY (%(fact_ids)b::text[])
) AS held
WHERE held.fact_id = ANY (%(fact_ids)b::text[]);
