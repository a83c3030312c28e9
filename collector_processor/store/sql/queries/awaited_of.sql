-- Those of these points that wait for their task.
SELECT id FROM benchmark_data.awaited WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id;
