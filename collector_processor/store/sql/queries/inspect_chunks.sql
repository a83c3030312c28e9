-- A row a hypertable of records.
SELECT
    hypertable.hypertable_name AS name, justify_hours(dimension.time_interval)::text AS interval,
    hypertable.compression_enabled AS columnstore, count(chunk.chunk_name) AS chunks,
    count(chunk.chunk_name) FILTER (WHERE chunk.is_compressed) AS compressed
FROM timescaledb_information.hypertables AS hypertable
JOIN timescaledb_information.dimensions AS dimension USING (hypertable_schema, hypertable_name)
LEFT JOIN timescaledb_information.chunks AS chunk USING (hypertable_schema, hypertable_name)
WHERE hypertable.hypertable_schema = 'benchmark_data'
GROUP BY 1, 2, 3
ORDER BY 1 DESC;
