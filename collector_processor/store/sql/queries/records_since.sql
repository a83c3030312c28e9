-- All records that views show, in order of time.
SELECT record::text AS record
FROM benchmark.data_points
WHERE timestamp >= %(since)s
ORDER BY timestamp, id;
