-- Names that have been refused for long enough.
DELETE FROM benchmark_data.standing_erasures WHERE until <= %(now)s;
