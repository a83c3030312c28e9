-- Hours that are to be counted, the newest first; their entries go. What is counted is read by later statements, which
-- see all that these entries stand for.
WITH chosen AS (
    SELECT DISTINCT hour FROM benchmark_data.stale_quality_hours ORDER BY hour DESC LIMIT %(page)s
), gone AS (
    DELETE FROM benchmark_data.stale_quality_hours AS stale USING chosen WHERE stale.hour = chosen.hour
)
SELECT hour FROM chosen ORDER BY hour;
