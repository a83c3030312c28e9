-- The next deep samples from a time on, with the tenant of their record.
SELECT sample.timestamp, sample.id, sample.facet, key.tenant, ARRAY[sample.task_id, sample.content::text] AS texts
FROM benchmark_data.deep_samples AS sample
LEFT JOIN benchmark_data.point_keys AS key ON key.id = sample.id
WHERE
    sample.timestamp >= %(since)s
    AND (sample.timestamp, sample.id, sample.facet) > (%(timestamp)s, %(id)s, %(facet)s)
ORDER BY sample.timestamp, sample.id, sample.facet
LIMIT %(page)s;
