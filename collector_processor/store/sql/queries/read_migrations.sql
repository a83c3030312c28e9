-- What was done to this database.
SELECT version, name, checksum FROM benchmark_data.schema_migrations ORDER BY version;
