-- Where migrations are written down. It exists before the first of them.
CREATE SCHEMA IF NOT EXISTS benchmark_data;
CREATE TABLE IF NOT EXISTS benchmark_data.schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
