-- Continuous aggregates and the policies around them and the records, with how their last runs went.
SELECT
    ARRAY(
        SELECT view_name::text
        FROM timescaledb_information.continuous_aggregates
        WHERE view_schema = 'benchmark_data' AND NOT materialized_only
        ORDER BY 1
    ) AS aggregates,
    (
        SELECT jsonb_object_agg(kind, words)
        FROM (
            SELECT
                job.proc_name AS kind,
                string_agg(
                    DISTINCT 'after '
                    || justify_hours(coalesce(job.config ->> 'compress_after', job.config ->> 'drop_after')::interval)
                    || CASE WHEN run.last_run_status = 'Failed' THEN ', FAILED last' ELSE '' END, ', '
                ) || ' (' || count(*) || ' jobs)' AS words
            FROM timescaledb_information.jobs AS job
            LEFT JOIN timescaledb_information.job_stats AS run USING (job_id)
            WHERE
                job.proc_name IN ('policy_compression', 'policy_retention')
                -- The database may be home to others' tables; jobs of an aggregate name it, or the table behind it.
                AND (
                    job.hypertable_schema = 'benchmark_data'
                    OR job.hypertable_name IN (
                        SELECT materialization_hypertable_name
                        FROM timescaledb_information.continuous_aggregates
                        WHERE view_schema = 'benchmark_data'
                    )
                )
            GROUP BY job.proc_name
        ) AS described
    ) AS policies;
