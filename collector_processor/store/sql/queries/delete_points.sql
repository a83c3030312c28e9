-- Rows whose new revision is copied in next: one way of writing for first and later versions.
DELETE FROM benchmark_data.points AS point
USING unnest(%(ids)b::uuid[], %(timestamps)b::timestamptz[]) AS old (id, timestamp)
WHERE point.id = old.id AND point.timestamp = old.timestamp;
