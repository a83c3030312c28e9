-- What is usual in a window, from counts in buckets: the median, the median distance from it, and the 99th percentile,
-- first as buckets, then as numbers. A spread below 0.1 is taken for 0.1: where nearly all tasks are alike, a
-- third more than usual is no outlier yet.
WITH counted AS (
    SELECT task_type, measure, value_bucket, sum(tasks)::bigint AS tasks
    FROM benchmark_data.hourly_measures
    WHERE hour >= %(window_start)s AND hour < %(window_end)s AND task_type <> ''
    GROUP BY task_type, measure, value_bucket
), ranked AS (
    SELECT
        *,
        sum(tasks) OVER (PARTITION BY task_type, measure ORDER BY value_bucket) AS up_to_here,
        sum(tasks) OVER (PARTITION BY task_type, measure) AS all_of_them
    FROM counted
), usual AS (
    SELECT
        task_type, measure, all_of_them AS tasks,
        min(value_bucket) FILTER (WHERE up_to_here >= 0.5 * all_of_them) AS median_bucket,
        min(value_bucket) FILTER (WHERE up_to_here >= 0.99 * all_of_them) AS p99_bucket
    FROM ranked
    GROUP BY task_type, measure, all_of_them
), distances AS (
    SELECT
        task_type, measure, abs(value_bucket - median_bucket) AS distance, usual.tasks AS all_of_them,
        sum(counted.tasks) OVER (
            PARTITION BY task_type, measure ORDER BY abs(value_bucket - median_bucket)
        ) AS up_to_here
    FROM counted
    JOIN usual USING (task_type, measure)
), spread AS (
    SELECT task_type, measure, min(distance) AS distance
    FROM distances
    WHERE up_to_here >= 0.5 * all_of_them
    GROUP BY task_type, measure
)
INSERT INTO benchmark_data.outlier_bounds (
    window_start, window_end, task_type, measure, tasks, median, deviation, p99
)
SELECT
    %(window_start)s, %(window_end)s, task_type, measure, tasks, benchmark_data.latency_of_bucket(median_bucket),
    greatest(1.4826 * distance * ln(1.02::double precision), 0.1), power(1.02::double precision, p99_bucket)
FROM usual
JOIN spread USING (task_type, measure)
ON CONFLICT (window_end, task_type, measure) DO UPDATE
SET
    window_start = excluded.window_start, tasks = excluded.tasks, median = excluded.median,
    deviation = excluded.deviation, p99 = excluded.p99;
