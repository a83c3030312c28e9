-- Which of these traces something was erased from.
SELECT DISTINCT trace_id
FROM benchmark_data.point_keys
WHERE trace_id = ANY (%(trace_ids)b::bytea[]) AND state = 'erased';
