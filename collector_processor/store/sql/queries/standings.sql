-- How points stand, by their id and by the stray spans that have joined them (fact_id null in rows of the first kind).
-- OFFSET keeps it a look-up a key, in the one chunk that holds its time.
SELECT
    asked.fact_id, asked.id, point.state, point.valid, point.final_outcome AS outcome, point.overall_score AS score,
    point.gates_failed, point.state <> 'discarded' AND NOT point.withheld AS shown
FROM (
    SELECT NULL AS fact_id, id
    FROM unnest(%(ids)b::uuid[]) AS id
    UNION ALL
    SELECT fact_id, id
    FROM benchmark_data.strays
    WHERE fact_id = ANY (%(fact_ids)b::text[]) AND id IS NOT NULL
) AS asked
JOIN benchmark_data.point_keys AS key ON key.id = asked.id
CROSS JOIN LATERAL (
    SELECT state, valid, final_outcome, overall_score, gates_failed, withheld
    FROM benchmark_data.points
    WHERE timestamp = key.timestamp AND id = key.id
    OFFSET 0
) AS point;
