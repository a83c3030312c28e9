-- Chunks of records that begin before that time.
SELECT format('%%I.%%I', chunk_schema, chunk_name) AS chunk, range_start, range_end
FROM timescaledb_information.chunks
WHERE hypertable_schema = 'benchmark_data' AND hypertable_name = 'points' AND range_start < %(before)s
ORDER BY range_start;
