-- Chunks of time for what grows with every task, from the Apache edition on. Runs at every migration, so a database
-- that gains the extension later is converted; a new interval counts from the next chunk on. Keys, strays and the
-- ledger stay plain tables: their unique keys hold no time.
SELECT create_hypertable(
    'benchmark_data.points', 'timestamp',
    chunk_time_interval => current_setting('otel_benchmark.chunk_interval')::interval,
    create_default_indexes => false, migrate_data => true, if_not_exists => true
);
SELECT create_hypertable(
    'benchmark_data.deep_samples', 'timestamp',
    chunk_time_interval => current_setting('otel_benchmark.chunk_interval')::interval,
    create_default_indexes => false, migrate_data => true, if_not_exists => true
);
SELECT
    set_chunk_time_interval('benchmark_data.points', current_setting('otel_benchmark.chunk_interval')::interval),
    set_chunk_time_interval('benchmark_data.deep_samples', current_setting('otel_benchmark.chunk_interval')::interval);
