-- A source under the name that it has by now; it may be halted under that already.
WITH gone AS (DELETE FROM benchmark_data.privacy_halts WHERE source = %(source)s RETURNING *)
INSERT INTO benchmark_data.privacy_halts (source, since, id, found)
SELECT array_to_string(%(texts)s::text[], '/'), since, id, found FROM gone
ON CONFLICT (source) DO NOTHING;
