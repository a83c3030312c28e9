-- The outcome of a batch that was applied.
SELECT
    in_points, duplicate, orphaned, discarded, erased, undecodable, accepted, quarantined, revised, joined,
    refused::text AS refused, undecodable_spans::text AS undecodable_spans, analyses::text AS analyses,
    sampling::text AS sampling
FROM benchmark_data.batches
WHERE batch_id = %(batch_id)s;
