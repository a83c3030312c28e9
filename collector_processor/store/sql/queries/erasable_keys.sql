-- What is known of points whose keys are locked, and that aren't tombstones of an erasure already.
SELECT id, timestamp, state, spans
FROM benchmark_data.point_keys
WHERE id = ANY (%(ids)s::uuid[]) AND state <> 'erased';
