-- Done, in the transaction that did it.
INSERT INTO benchmark_data.schema_migrations (version, name, checksum)
VALUES (%(version)s, %(name)s, %(checksum)s);
