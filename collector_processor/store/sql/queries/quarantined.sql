-- The newest records that wait for a decision.
SELECT key.id, key.timestamp, key.task_id, point.gates_failed
FROM benchmark_data.point_keys AS key
JOIN benchmark_data.points AS point
    ON point.id = key.id
    AND point.timestamp = key.timestamp
    AND point.hour = benchmark_data.hour_of(key.timestamp)
WHERE key.state = 'quarantined'
ORDER BY key.timestamp DESC, key.id
LIMIT %(limit)s;
