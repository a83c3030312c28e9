-- Hours whose points this transaction has changed, in the transaction that does it.
INSERT INTO benchmark_data.stale_hours (hour)
SELECT DISTINCT benchmark_data.hour_of(written) FROM unnest(%(timestamps)b::timestamptz[]) AS written;
