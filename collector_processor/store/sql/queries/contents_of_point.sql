-- What stands in the deep samples of a point.
SELECT facet, content::text AS content
FROM benchmark_data.deep_samples
WHERE timestamp = %(timestamp)s AND id = %(id)s;
