-- A tombstone without what was found in its namespace.
UPDATE benchmark_data.point_keys SET namespace = (%(texts)s::text[])[1] WHERE id = %(id)s;
