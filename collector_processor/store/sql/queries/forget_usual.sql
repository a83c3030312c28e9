-- What is kept of earlier windows: bounds for those who ask why a task was flagged, counts for the largest window.
WITH gone AS (
    DELETE FROM benchmark_data.hourly_measures WHERE hour < %(before)s
)
DELETE FROM benchmark_data.outlier_bounds WHERE window_end < %(before)s;
