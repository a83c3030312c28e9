-- How many deep samples of each facet were made, and what they took. What was shed took nothing.
SELECT facet, count(*) AS samples, sum(bytes) AS bytes, sum(calls) AS calls
FROM benchmark.deep_samples
WHERE timestamp >= %(since)s AND status <> 'shed'
GROUP BY facet;
