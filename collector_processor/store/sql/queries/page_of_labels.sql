-- The next values of a label that statistics are counted by.
SELECT value, NULL AS tenant, ARRAY[value] AS texts
FROM (SELECT DISTINCT benchmark_data.labels(%(label)s) AS value) AS counted
WHERE value > %(value)s
ORDER BY value
LIMIT %(page)s;
