-- The next records in order of time, whatever state they are in.
SELECT id, timestamp, record::text AS record
FROM benchmark_data.points
WHERE (timestamp, id) > (%(timestamp)s, %(id)s)
ORDER BY timestamp, id
LIMIT %(page)s;
