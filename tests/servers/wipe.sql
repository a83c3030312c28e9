-- Drops all that isn't the extension's own, in one go: what a test left behind in the only database of a server.
DO $$
DECLARE
  statement text;
  statements text[];
BEGIN
  WITH kept AS (SELECT objid, classid FROM pg_depend WHERE deptype = 'e'),
  leftovers (turn, statement) AS (
    SELECT 1, format('SELECT delete_job(%s)', job_id) FROM timescaledb_information.jobs WHERE job_id >= 1000
    UNION ALL
    SELECT 2, format('DROP MATERIALIZED VIEW IF EXISTS %I.%I CASCADE', view_schema, view_name)
    FROM timescaledb_information.continuous_aggregates
    UNION ALL
    SELECT 3, format('DROP SCHEMA %I CASCADE', nspname)
    FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')
      AND (oid, 'pg_namespace'::regclass) NOT IN (SELECT objid, classid FROM kept)
    UNION ALL
    SELECT 4, format('DROP %s IF EXISTS public.%I CASCADE',
      CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
      relname)
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
      AND (oid, 'pg_class'::regclass) NOT IN (SELECT objid, classid FROM kept)
    UNION ALL
    SELECT 5, format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure)
    FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND (oid, 'pg_proc'::regclass) NOT IN (SELECT objid, classid FROM kept)
    UNION ALL
    SELECT 6, format('DROP TYPE IF EXISTS public.%I CASCADE', typname)
    FROM pg_type
    WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e')
      AND (oid, 'pg_type'::regclass) NOT IN (SELECT objid, classid FROM kept)
    UNION ALL
    SELECT turn, format(drops, rolname)
    FROM pg_roles CROSS JOIN (VALUES (7, 'DROP OWNED BY %I CASCADE'), (8, 'DROP ROLE %I')) AS steps (turn, drops)
    WHERE rolname !~ '^pg_' AND rolname <> session_user
    UNION ALL
    SELECT 9, format('ALTER DATABASE %I RESET ALL', current_database())
  )
  SELECT array_agg(leftovers.statement ORDER BY turn) INTO statements FROM leftovers;
  FOREACH statement IN ARRAY statements LOOP
    EXECUTE statement;
  END LOOP;
END $$;
