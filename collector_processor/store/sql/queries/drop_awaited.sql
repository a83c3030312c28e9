-- Facts whose task has come: they stand in its record now.
DELETE FROM benchmark_data.awaited WHERE id = ANY (%(ids)s::uuid[]);
