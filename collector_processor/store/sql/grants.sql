-- What the roles may do in this database. Runs after every migration, because views are made anew in them.
-- Everybody may run a function until that is taken back, and some of ours read tables as their owner.
REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA benchmark_data FROM PUBLIC;

GRANT USAGE ON SCHEMA benchmark_data TO benchmark_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    benchmark_data.points,
    benchmark_data.point_keys,
    benchmark_data.awaited,
    benchmark_data.strays,
    benchmark_data.deep_samples
TO benchmark_writer;
GRANT SELECT, INSERT, UPDATE ON benchmark_data.batches TO benchmark_writer;
GRANT SELECT, INSERT ON benchmark_data.audit TO benchmark_writer;
GRANT UPDATE (patch) ON benchmark_data.audit TO benchmark_writer;
GRANT SELECT, INSERT, UPDATE (removed) ON benchmark_data.erasures TO benchmark_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON benchmark_data.standing_erasures TO benchmark_writer;
GRANT SELECT, INSERT, DELETE ON benchmark_data.privacy_halts TO benchmark_writer;
GRANT INSERT ON benchmark_data.stale_hours TO benchmark_writer;
GRANT EXECUTE ON FUNCTION
    benchmark_data.hour_of(timestamptz),
    benchmark_data.erased_name(text),
    benchmark_data.mentions(text, text []),
    benchmark_data.severities_of(jsonb)
TO benchmark_writer;

GRANT USAGE ON SCHEMA benchmark TO benchmark_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA benchmark TO benchmark_reader;
-- What views and continuous aggregates call is run with the reader's right; without that to the schema nobody calls
-- it by its name.
GRANT EXECUTE ON FUNCTION
    benchmark_data.hour_of(timestamptz),
    benchmark_data.bounded(double precision),
    benchmark_data.label(text),
    benchmark_data.latency_bucket(double precision),
    benchmark_data.latency_of_bucket(integer),
    benchmark_data.statistics_of_hour(timestamptz),
    benchmark_data.latencies_of_hour(timestamptz),
    benchmark_data.checks_of_hour(timestamptz),
    benchmark_data.failures_of_hour(timestamptz)
TO benchmark_reader;
