-- What the scripts of TimescaleDB's tiers read, for this transaction. '' stands for never.
SELECT
    set_config('otel_benchmark.chunk_interval', %(chunk_interval)s, true),
    set_config('otel_benchmark.compress_after', %(compress_after)s, true),
    set_config('otel_benchmark.retain_statistics', %(retain_statistics)s, true);
