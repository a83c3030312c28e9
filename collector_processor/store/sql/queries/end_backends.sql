-- End what a previous process of this name left behind, and wait until it is gone.
SELECT pg_terminate_backend(pid, 5000) AS ended
FROM pg_stat_activity
WHERE application_name = %(application_name)s AND datname = current_database() AND pid <> pg_backend_pid();
