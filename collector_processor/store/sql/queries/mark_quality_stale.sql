-- Hours whose records this transaction has changed, in the transaction that does it.
INSERT INTO benchmark_data.stale_quality_hours (hour)
SELECT DISTINCT date_trunc('hour', written, 'UTC') FROM unnest(%(timestamps)b::timestamptz[]) AS written;
