-- The edition of TimescaleDB that this database has, if it has the extension.
SELECT current_setting('timescaledb.license', true) AS license FROM pg_extension WHERE extname = 'timescaledb';
