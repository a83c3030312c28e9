-- The TimescaleDB extension of this database, if it has it.
SELECT extversion AS version FROM pg_extension WHERE extname = 'timescaledb';
