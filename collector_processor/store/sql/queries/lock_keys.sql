-- Lock in order of id. Reading is the next statement's work: this one may have waited, and would return old rows.
SELECT id
FROM benchmark_data.point_keys
WHERE id = ANY (%(ids)b::uuid[])
ORDER BY id
FOR UPDATE;
