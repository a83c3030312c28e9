-- One migrating process at a time in this database; the lock ends with the transaction.
SELECT set_config('lock_timeout', %(lock_wait)s, true), pg_advisory_xact_lock(5496113320472830561);
