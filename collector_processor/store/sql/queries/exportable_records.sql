-- Records that exports take, in order of time; null matches everything.
SELECT record::text AS record
FROM benchmark.exportable
WHERE
    (%(since)s::timestamptz IS NULL OR timestamp >= %(since)s)
    AND (%(task_type)s::text IS NULL OR task_type = %(task_type)s)
ORDER BY timestamp, id;
