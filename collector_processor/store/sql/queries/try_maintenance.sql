-- One maintainer at a time in this database, and none beside a migration. Refreshing can't be part of a transaction,
-- so the lock is the session's.
SELECT pg_try_advisory_lock(5496113320472830561) AS held;
