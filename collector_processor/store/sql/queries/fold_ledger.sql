-- Old rows of the ledger become one a day and kind, which begins at midnight. A batch that comes again after so long
-- is told by its facts, which the records know; only what its outcome was is forgotten.
WITH folded AS (
    DELETE FROM benchmark_data.batches
    WHERE applied_at < %(before)s AND applied_at <> date_trunc('day', applied_at, 'UTC')
    RETURNING *
)
INSERT INTO benchmark_data.batches (
    batch_id, applied_at, kind, in_points, duplicate, orphaned, discarded, erased, expired, undecodable, accepted,
    quarantined, revised, joined
)
SELECT
    gen_random_uuid(), date_trunc('day', applied_at, 'UTC'), kind, sum(in_points), sum(duplicate), sum(orphaned),
    sum(discarded), sum(erased), sum(expired), sum(undecodable), sum(accepted), sum(quarantined), sum(revised),
    sum(joined)
FROM folded
GROUP BY date_trunc('day', applied_at, 'UTC'), kind;
