-- What the roles may do in this database. Runs after every migration, because views are made anew in them.
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

GRANT USAGE ON SCHEMA benchmark TO benchmark_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA benchmark TO benchmark_reader;
