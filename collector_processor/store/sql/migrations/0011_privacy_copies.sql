-- Fewer copies of texts, and a way to those that stay.

-- What a stray says stands in the record that it joined. Beside it, its span is all that has to be known.
UPDATE benchmark_data.strays
SET task_id = NULL, namespace = NULL, tenant = NULL, anomalies = '[]'
WHERE id IS NOT NULL;
COMMENT ON COLUMN benchmark_data.strays.anomalies IS
    'What was cleaned in its span; goes with the fact to its record, and none of it stays';

-- Tables of counts by this label (agent_id, task_type), those behind continuous aggregates too.
CREATE FUNCTION benchmark_data.counted_by(label text) RETURNS SETOF regclass
LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
    RETURN QUERY
    SELECT relation.oid::regclass
    FROM pg_class AS relation
    JOIN pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attname = label
    WHERE
        relation.relnamespace = 'benchmark_data'::regnamespace AND relation.relkind = 'r'
        AND (relation.relname ~ '^(hourly|daily)_' OR relation.relname = 'outlier_bounds');
    IF to_regclass('benchmark_data.hourly_statistics_aggregate') IS NOT NULL THEN
        RETURN QUERY EXECUTE $query$
            SELECT
                format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass
            FROM timescaledb_information.continuous_aggregates AS aggregate
            JOIN pg_attribute AS attribute
                ON attribute.attrelid = format('%I.%I', view_schema, view_name)::regclass AND attribute.attname = $1
            WHERE view_schema = 'benchmark_data'
        $query$ USING label;
    END IF;
END
$$;

-- Every value of a label; '' stands for an unknown one and is left out.
CREATE FUNCTION benchmark_data.labels(label text) RETURNS SETOF text
LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN SELECT benchmark_data.counted_by(label) LOOP
        RETURN QUERY EXECUTE format('SELECT DISTINCT %1$I FROM %2$s WHERE %1$I <> %3$L', label, relation, '');
    END LOOP;
END
$$;

-- Count under another label what was counted under this one; where both have counts, they add up. What can't be
-- added, as a median, stays that of the new label.
CREATE PROCEDURE benchmark_data.rename_label(label text, before text, after text)
LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
    columns text;
    renamed text;
    key text;
    sums text;
BEGIN
    FOR relation IN SELECT benchmark_data.counted_by(label) LOOP
        SELECT
            string_agg(format('%I', attname), ', ' ORDER BY attnum),
            string_agg(CASE WHEN attname = label THEN '$2' ELSE format('%I', attname) END, ', ' ORDER BY attnum),
            string_agg(format('%I', attname), ', ' ORDER BY attnum) FILTER (WHERE attnum = ANY (conkey)),
            string_agg(
                format('%1$I = coalesce(counted.%1$I + excluded.%1$I, counted.%1$I, excluded.%1$I)', attname), ', '
            ) FILTER (WHERE attnum <> ALL (conkey))
        INTO columns, renamed, key, sums
        FROM pg_attribute
        LEFT JOIN pg_constraint ON conrelid = attrelid AND contype = 'p'
        WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped;
        IF key IS NULL THEN
            EXECUTE format('UPDATE %1$s SET %2$I = $2 WHERE %2$I = $1', relation, label) USING before, after;
        ELSE
            EXECUTE format(
                'WITH gone AS (DELETE FROM %1$s WHERE %2$I = $1 RETURNING *)'
                ' INSERT INTO %1$s AS counted (%3$s) SELECT %4$s FROM gone ON CONFLICT (%5$s) DO %6$s',
                relation, label, columns, renamed, key,
                CASE
                    WHEN relation = 'benchmark_data.outlier_bounds'::regclass THEN 'NOTHING'
                    ELSE 'UPDATE SET ' || sums
                END
            ) USING before, after;
        END IF;
    END LOOP;
END
$$;
