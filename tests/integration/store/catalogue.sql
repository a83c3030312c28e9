-- All of our schemas, a line each, whatever the order in which it was made.
WITH ours AS (
    SELECT oid, nspname FROM pg_namespace WHERE nspname IN ('benchmark', 'benchmark_data')
),
relations AS (
    SELECT c.*, ours.nspname || '.' || c.relname AS name FROM pg_class AS c JOIN ours ON ours.oid = c.relnamespace
),
lines (line) AS (
    SELECT format('%s %s %s %s', relkind, name, relpersistence, relacl::text) FROM relations
    UNION ALL
    SELECT
        format(
            '%s.%s %s %s default %s identity %s generated %s storage %s%s', r.name, a.attname,
            format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
            pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, a.attstorage, a.attcompression
        )
    FROM pg_attribute AS a
    JOIN relations AS r ON r.oid = a.attrelid AND r.relkind IN ('r', 'v', 'm', 'p')
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT format('%s constraint %s %s', r.name, c.conname, pg_get_constraintdef(c.oid))
    FROM pg_constraint AS c
    JOIN relations AS r ON r.oid = c.conrelid
    UNION ALL
    SELECT format('index %s', pg_get_indexdef(i.indexrelid)) FROM pg_index AS i JOIN relations AS r ON r.oid = i.indrelid
    UNION ALL
    SELECT format('view %s %s', name, pg_get_viewdef(oid)) FROM relations WHERE relkind = 'v'
    UNION ALL
    SELECT format('routine %s %s', p.oid::regprocedure, pg_get_functiondef(p.oid))
    FROM pg_proc AS p
    JOIN ours ON ours.oid = p.pronamespace
    UNION ALL
    SELECT format('comment %s %s %s', r.name, d.objsubid, d.description)
    FROM pg_description AS d
    JOIN relations AS r ON r.oid = d.objoid AND d.classoid = 'pg_class'::regclass
    UNION ALL
    SELECT format('trigger %s %s', r.name, t.tgname)
    FROM pg_trigger AS t
    JOIN relations AS r ON r.oid = t.tgrelid
    WHERE NOT t.tgisinternal
)
-- A materialization's number depends on what was made before it.
SELECT regexp_replace(line, '(_materialized_hypertable_|_direct_view_|_partial_view_|hypertable\(|watermark\()\d+', '\1N', 'g') AS line
FROM lines
ORDER BY 1;
