-- Sources that are halted, taken apart into namespace and name.
SELECT source, NULL AS tenant, string_to_array(source, '/') AS texts
FROM benchmark_data.privacy_halts
WHERE source > %(source)s
ORDER BY source
LIMIT %(page)s
FOR UPDATE;
