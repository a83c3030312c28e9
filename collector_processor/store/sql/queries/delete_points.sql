-- A row whose new revision is copied in next: one way of writing for first and later versions. One row a statement,
-- because a join would have TimescaleDB decompress every compressed row there is.
DELETE FROM benchmark_data.points WHERE timestamp = %(timestamp)b AND id = %(id)b;
