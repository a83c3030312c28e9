-- Jobs of the Community edition's own scheduler, made anew only where the settings have changed: compression of
-- records, and the end of statistics. Aggregates are refreshed by name and records dropped together with their keys,
-- both by our own maintenance: a second job that did either would collide with it.
DO $$
DECLARE
    compress_after interval := nullif(current_setting('otel_benchmark.compress_after'), '')::interval;
    drop_after interval := nullif(current_setting('otel_benchmark.retain_statistics'), '')::interval;
    relation text;
    found interval;
BEGIN
    FOREACH relation IN ARRAY ARRAY['points', 'deep_samples'] LOOP
        SELECT (config ->> 'compress_after')::interval INTO found
        FROM timescaledb_information.jobs
        WHERE proc_name = 'policy_compression' AND hypertable_schema = 'benchmark_data' AND hypertable_name = relation;
        IF found IS DISTINCT FROM compress_after THEN
            PERFORM remove_compression_policy(format('benchmark_data.%I', relation)::regclass, if_exists => true);
            IF compress_after IS NOT NULL THEN
                PERFORM add_compression_policy(format('benchmark_data.%I', relation)::regclass, compress_after);
            END IF;
        END IF;
    END LOOP;
    FOREACH relation IN ARRAY ARRAY[
        'hourly_statistics_aggregate', 'hourly_latencies_aggregate', 'daily_statistics_aggregate',
        'daily_latencies_aggregate'
    ] LOOP
        SELECT (job.config ->> 'drop_after')::interval INTO found
        FROM timescaledb_information.continuous_aggregates AS aggregate
        JOIN timescaledb_information.jobs AS job
            ON job.hypertable_name IN (aggregate.view_name, aggregate.materialization_hypertable_name)
        WHERE
            aggregate.view_schema = 'benchmark_data' AND aggregate.view_name = relation
            AND job.proc_name = 'policy_retention';
        IF found IS DISTINCT FROM drop_after THEN
            PERFORM remove_retention_policy(format('benchmark_data.%I', relation)::regclass, if_exists => true);
            IF drop_after IS NOT NULL THEN
                PERFORM add_retention_policy(format('benchmark_data.%I', relation)::regclass, drop_after);
            END IF;
        END IF;
    END LOOP;
END
$$;
