-- Which deep samples of points there are. OFFSET keeps it a look-up a point, in the one chunk that holds its time.
SELECT point.id, sample.facet
FROM unnest(%(ids)b::uuid[], %(timestamps)b::timestamptz[]) AS point (id, timestamp)
CROSS JOIN LATERAL (
    SELECT facet FROM benchmark_data.deep_samples WHERE timestamp = point.timestamp AND id = point.id OFFSET 0
) AS sample;
