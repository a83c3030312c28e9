-- One settling process at a time in this database; the lock ends with the transaction. A long scan is no fault here.
SELECT
    pg_try_advisory_xact_lock(5496113320472830562) AS mine,
    set_config('timezone', 'UTC', true);
