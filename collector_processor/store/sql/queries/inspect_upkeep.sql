-- One row about what maintenance has done here, and has to do.
SELECT
    nullif(horizon, '-infinity') AS horizon, settled_at, retired_at,
    (SELECT count(DISTINCT hour) FROM benchmark_data.stale_hours WHERE hour >= horizon) AS stale_hours
FROM benchmark_data.maintenance;
