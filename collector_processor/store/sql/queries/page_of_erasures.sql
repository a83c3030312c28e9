-- The next reasons of erasures.
SELECT number, NULL AS tenant, ARRAY[reason] AS texts
FROM benchmark_data.erasures
WHERE number > %(number)s
ORDER BY number
LIMIT %(page)s
FOR UPDATE;
