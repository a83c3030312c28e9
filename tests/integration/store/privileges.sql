-- What a role may do with anything that isn't the server's own, by whatever way: its own grants, PUBLIC's, ownership.
WITH ours AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
rights (kind, name, right_) AS (
    SELECT 'schema', nspname::text, right_
    FROM ours, unnest(ARRAY['USAGE', 'CREATE']) AS right_
    WHERE has_schema_privilege(%(role)s, oid, right_)
    UNION ALL
    SELECT CASE relkind WHEN 'v' THEN 'view' ELSE 'table' END, format('%%s.%%s', nspname, relname), right_
    FROM pg_class AS c
    JOIN ours ON ours.oid = relnamespace,
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN']) AS right_
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(%(role)s, c.oid, right_)
    UNION ALL
    SELECT 'column', format('%%s.%%s.%%s', nspname, relname, attname), right_
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = attrelid AND relkind IN ('r', 'p', 'v', 'm', 'f')
    JOIN ours ON ours.oid = relnamespace,
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS right_
    WHERE
        attnum > 0 AND NOT attisdropped
        AND has_column_privilege(%(role)s, c.oid, attnum, right_) AND NOT has_table_privilege(%(role)s, c.oid, right_)
    UNION ALL
    SELECT 'sequence', format('%%s.%%s', nspname, relname), right_
    FROM pg_class AS c
    JOIN ours ON ours.oid = relnamespace,
    unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS right_
    WHERE relkind = 'S' AND has_sequence_privilege(%(role)s, c.oid, right_)
    UNION ALL
    SELECT CASE WHEN prosecdef THEN 'definer' ELSE 'routine' END, p.oid::regprocedure::text, 'EXECUTE'
    FROM pg_proc AS p
    JOIN ours ON ours.oid = pronamespace
    WHERE has_function_privilege(%(role)s, p.oid, 'EXECUTE')
    UNION ALL
    SELECT 'database', 'ours', right_
    FROM unnest(ARRAY['CREATE', 'CONNECT', 'TEMPORARY']) AS right_
    WHERE has_database_privilege(%(role)s, current_database(), right_)
    UNION ALL
    SELECT 'member of', rolname::text, 'MEMBER'
    FROM pg_roles
    WHERE rolname <> %(role)s AND pg_has_role(%(role)s, oid, 'MEMBER')
    UNION ALL
    SELECT 'owner of', format('%%s.%%s', nspname, relname), 'OWNER'
    FROM pg_class
    JOIN ours ON ours.oid = relnamespace
    WHERE relowner = %(role)s::regrole
)
SELECT kind, name, string_agg(right_, ' ' ORDER BY right_) AS rights
FROM rights
GROUP BY kind, name
ORDER BY kind, name;
