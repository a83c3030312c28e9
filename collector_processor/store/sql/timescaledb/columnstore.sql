-- Compression by columns, of the Community edition. Points of an hour share batches, see 0003; a deep sample is large
-- enough to be a batch of its own. Settings are left alone once they are there: chunks may have been compressed.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM timescaledb_information.hypertables
        WHERE hypertable_schema = 'benchmark_data' AND hypertable_name = 'points' AND compression_enabled
    ) THEN
        ALTER TABLE benchmark_data.points SET (
            timescaledb.compress, timescaledb.compress_segmentby = 'hour', timescaledb.compress_orderby = 'timestamp'
        );
        ALTER TABLE benchmark_data.deep_samples SET (
            timescaledb.compress, timescaledb.compress_segmentby = 'id', timescaledb.compress_orderby = 'timestamp'
        );
    END IF;
END
$$;
