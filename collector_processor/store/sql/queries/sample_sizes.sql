-- How many deep samples with a content there are of each facet, and how large they are as stored.
SELECT facet, count(*) AS samples, sum(pg_column_size(content)) AS bytes
FROM benchmark.deep_samples
WHERE timestamp >= %(since)s AND content <> '{}'::jsonb
GROUP BY facet;
