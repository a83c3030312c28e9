-- The next tombstones that know the namespace of what was erased.
SELECT id, tenant, ARRAY[namespace] AS texts
FROM benchmark_data.point_keys
WHERE id > %(id)s AND state = 'erased' AND namespace IS NOT NULL
ORDER BY id
LIMIT %(page)s
FOR UPDATE;
