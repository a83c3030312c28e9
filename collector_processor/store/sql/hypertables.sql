-- Where this database has the TimescaleDB extension: chunks by day for what grows with every task. Runs after
-- every migration, so that a database which gains the extension later is converted; doing it again changes nothing.
-- Strays and keys stay plain tables: their unique keys hold no time.
SELECT create_hypertable(
    'benchmark_data.points', 'timestamp',
    chunk_time_interval => interval '1 day', migrate_data => true, if_not_exists => true
);
SELECT create_hypertable(
    'benchmark_data.deep_samples', 'timestamp',
    chunk_time_interval => interval '1 day', migrate_data => true, if_not_exists => true
);
