-- Statistics, results of gates and decisions from before that time; how many violations were among these stays known.
WITH hours AS (DELETE FROM benchmark_data.hourly_statistics WHERE bucket < %(before)s),
latencies AS (DELETE FROM benchmark_data.hourly_latencies WHERE bucket < %(before)s),
days AS (DELETE FROM benchmark_data.daily_statistics WHERE bucket < %(before)s),
latencies_of_days AS (DELETE FROM benchmark_data.daily_latencies WHERE bucket < %(before)s),
checks AS (DELETE FROM benchmark_data.hourly_checks WHERE hour < %(before)s),
failures AS (DELETE FROM benchmark_data.hourly_failures WHERE hour < %(before)s),
decisions AS (DELETE FROM benchmark_data.audit WHERE time < %(before)s RETURNING action)
UPDATE benchmark_data.maintenance
SET former_violations = former_violations + (SELECT count(*) FROM decisions WHERE action = 'scan');
