-- The newest records that wait for a decision.
SELECT id, timestamp, task_id, gates_failed
FROM benchmark_data.points
WHERE state = 'quarantined'
ORDER BY timestamp DESC, id
LIMIT %(limit)s;
