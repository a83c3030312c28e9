-- The oldest stale hours, whether their records may still be there, and the entries that say so.
SELECT hour, hour >= horizon AS living, array_agg(entry) AS entries
FROM benchmark_data.stale_hours, benchmark_data.maintenance
GROUP BY hour, horizon
ORDER BY hour
LIMIT %(page)s;
