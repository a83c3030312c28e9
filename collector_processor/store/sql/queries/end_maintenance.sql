-- Let others maintain.
SELECT pg_advisory_unlock(5496113320472830561);
