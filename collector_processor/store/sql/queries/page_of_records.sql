-- The next records in order of time, whatever state they are in, and whether there are deep samples of them.
SELECT
    id, timestamp, record::text AS record,
    EXISTS (
        SELECT FROM benchmark_data.deep_samples AS sample
        WHERE sample.timestamp = point.timestamp AND sample.id = point.id
    ) AS sampled
FROM benchmark_data.points AS point
WHERE (timestamp, id) > (%(timestamp)s, %(id)s)
ORDER BY timestamp, id
LIMIT %(page)s;
