-- Compute hours and days anew.
CALL benchmark_data.settle_hours(%(hours)s::timestamptz[], %(days)s::timestamptz[]);
