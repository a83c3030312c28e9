-- The newest records of some states that match all that is given; null matches everything.
SELECT
    key.id, key.timestamp, key.task_id, point.task_type, point.agent_id, key.state, point.gates_failed,
    coalesce(point.gate_severities, benchmark_data.severities_of(point.record)) AS severities
FROM benchmark_data.point_keys AS key
JOIN benchmark_data.points AS point
    ON point.id = key.id
    AND point.timestamp = key.timestamp
    AND point.hour = benchmark_data.hour_of(key.timestamp)
WHERE
    key.state = ANY (%(states)s::text[])
    AND (%(ids)s::uuid[] IS NULL OR key.id = ANY (%(ids)s))
    AND (%(since)s::timestamptz IS NULL OR key.timestamp >= %(since)s)
    AND (%(task_type)s::text IS NULL OR point.task_type = %(task_type)s)
    AND (%(agent)s::text IS NULL OR point.agent_id = %(agent)s)
    AND (
        (%(gate)s::text IS NULL AND %(severity)s::text IS NULL)
        OR EXISTS (
            SELECT
            FROM unnest(
                point.gates_failed, coalesce(point.gate_severities, benchmark_data.severities_of(point.record))
            ) AS failure (gate, severity)
            WHERE
                (%(gate)s IS NULL OR failure.gate = %(gate)s)
                AND (%(severity)s IS NULL OR failure.severity = %(severity)s)
        )
    )
ORDER BY key.timestamp DESC, key.id
LIMIT %(limit)s::bigint;
