-- Counts of hours that are counted anew.
WITH checks AS (
    DELETE FROM benchmark_data.hourly_checks WHERE hour = ANY (%(hours)s::timestamptz[])
), failures AS (
    DELETE FROM benchmark_data.hourly_failures WHERE hour = ANY (%(hours)s::timestamptz[])
)
DELETE FROM benchmark_data.hourly_measures WHERE hour = ANY (%(hours)s::timestamptz[]);
