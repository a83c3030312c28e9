-- What is usual now: the newest window, unless its own length has passed since it ended.
SELECT task_type, measure, window_start, window_end, tasks, median, deviation, p99
FROM benchmark_data.outlier_bounds
WHERE
    window_end = (SELECT max(window_end) FROM benchmark_data.outlier_bounds)
    AND window_end > %(now)s - (window_end - window_start)
ORDER BY task_type, measure;
