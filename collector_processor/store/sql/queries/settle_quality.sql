-- Count hours anew.
CALL benchmark_data.settle_quality(%(hours)s::timestamptz[]);
