-- One row about the server and this database.
SELECT
    current_setting('server_version') AS server_version,
    (SELECT jsonb_object_agg(extname, extversion) FROM pg_extension) AS extensions,
    current_setting('timescaledb.license', true) AS timescaledb_license,
    to_regclass('benchmark_data.schema_migrations') IS NOT NULL AS has_ledger,
    ARRAY(
        SELECT wanted
        FROM unnest(%(roles)s::text[]) AS wanted
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
        ORDER BY wanted
    ) AS roles_missing,
    EXISTS (
        SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)
    ) AS has_lz4;
