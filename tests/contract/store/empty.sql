-- As after the migrations, in a fraction of their time.
TRUNCATE
    benchmark_data.points, benchmark_data.point_keys, benchmark_data.awaited, benchmark_data.strays,
    benchmark_data.batches, benchmark_data.deep_samples, benchmark_data.audit, benchmark_data.stale_hours,
    benchmark_data.hourly_statistics, benchmark_data.hourly_latencies, benchmark_data.daily_statistics,
    benchmark_data.daily_latencies, benchmark_data.gates, benchmark_data.hourly_checks, benchmark_data.hourly_failures,
    benchmark_data.hourly_measures, benchmark_data.outlier_bounds, benchmark_data.erasures,
    benchmark_data.privacy_halts, benchmark_data.standing_erasures
RESTART IDENTITY;
TRUNCATE benchmark_data.hourly_statistics_aggregate;
TRUNCATE benchmark_data.hourly_latencies_aggregate;
TRUNCATE benchmark_data.daily_statistics_aggregate;
TRUNCATE benchmark_data.daily_latencies_aggregate;
UPDATE benchmark_data.maintenance SET horizon = DEFAULT, settled_at = NULL, retired_at = NULL, former_violations = 0;
