-- The next facts that await their task.
SELECT awaited.id, awaited.facts::text AS facts, key.tenant
FROM benchmark_data.awaited
JOIN benchmark_data.point_keys AS key ON key.id = awaited.id
WHERE awaited.id > %(after)s
ORDER BY awaited.id
LIMIT %(page)s
FOR UPDATE OF key;
