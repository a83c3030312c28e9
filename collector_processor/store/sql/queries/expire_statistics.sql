-- Statistics, results of gates and decisions from before that time.
WITH hours AS (DELETE FROM benchmark_data.hourly_statistics WHERE bucket < %(before)s),
latencies AS (DELETE FROM benchmark_data.hourly_latencies WHERE bucket < %(before)s),
days AS (DELETE FROM benchmark_data.daily_statistics WHERE bucket < %(before)s),
latencies_of_days AS (DELETE FROM benchmark_data.daily_latencies WHERE bucket < %(before)s),
checks AS (DELETE FROM benchmark_data.hourly_checks WHERE hour < %(before)s),
failures AS (DELETE FROM benchmark_data.hourly_failures WHERE hour < %(before)s)
DELETE FROM benchmark_data.audit WHERE time < %(before)s;
