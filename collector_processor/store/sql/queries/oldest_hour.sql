-- The oldest hour with records from before that time.
SELECT benchmark_data.hour_of(min(timestamp)) AS hour FROM benchmark_data.points WHERE timestamp < %(before)s;
