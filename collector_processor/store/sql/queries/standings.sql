-- How points stand, by their id and by the stray spans that have joined them (fact_id null in rows of the first kind).
-- What was erased has no record any longer and is shown nowhere. OFFSET keeps it a look-up a key, in the one chunk that
-- holds its time.
SELECT
    asked.fact_id, asked.id, coalesce(point.state, key.state) AS state, coalesce(point.valid, false) AS valid,
    point.final_outcome AS outcome, point.overall_score AS score, coalesce(point.gates_failed, '{}') AS gates_failed,
    coalesce(point.state <> 'discarded' AND NOT point.withheld, false) AS shown
FROM (
    SELECT NULL AS fact_id, id
    FROM unnest(%(ids)b::uuid[]) AS id
    UNION ALL
    SELECT fact_id, id
    FROM benchmark_data.strays
    WHERE fact_id = ANY (%(fact_ids)b::text[]) AND id IS NOT NULL
    UNION ALL
    SELECT encode(trace_id || span_id, 'hex'), id
    FROM benchmark_data.point_keys
    WHERE
        trace_id IN (SELECT decode(left(fact_id, 32), 'hex') FROM unnest(%(fact_ids)b::text[]) AS fact_id)
        AND encode(trace_id || span_id, 'hex') = ANY (%(fact_ids)b::text[]) AND state = 'erased'
) AS asked
JOIN benchmark_data.point_keys AS key ON key.id = asked.id
LEFT JOIN LATERAL (
    SELECT state, valid, final_outcome, overall_score, gates_failed, withheld
    FROM benchmark_data.points
    WHERE timestamp = key.timestamp AND id = key.id
    OFFSET 0
) AS point ON true
WHERE point.state IS NOT NULL OR key.state = 'erased';
