-- Tombstones. What tells that a later span belongs here stays: ids of trace and span, times, hashes.
UPDATE benchmark_data.point_keys
SET state = 'erased', task_id = benchmark_data.erased_name(task_id), erasure = %(number)s
WHERE id = ANY (%(ids)s::uuid[]);
