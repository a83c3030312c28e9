-- Sources that wait for a person.
SELECT source, since, id, found FROM benchmark_data.privacy_halts ORDER BY source;
