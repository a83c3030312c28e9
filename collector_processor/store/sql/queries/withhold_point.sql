-- A record that nobody can read is shown by no view but quarantine. One that is withheld already stays as it is.
WITH key AS (
    UPDATE benchmark_data.point_keys
    SET state = CASE WHEN state = 'discarded' THEN state ELSE 'quarantined' END
    WHERE id = %(id)s
    RETURNING id, timestamp, state
)
UPDATE benchmark_data.points AS point
SET
    state = key.state, withheld = true, valid = false, rl_ready = false,
    gate_severities = coalesce(point.gate_severities, benchmark_data.severities_of(point.record)) || %(severity)s::text,
    gates_failed = point.gates_failed || %(gate)s::text
FROM key
WHERE
    point.id = key.id AND point.timestamp = key.timestamp AND point.hour = benchmark_data.hour_of(key.timestamp)
    AND NOT point.withheld
RETURNING point.timestamp;
