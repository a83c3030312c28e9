-- The next rows of the ledger that say why something was not stored: the errors of both lists, one after the other.
SELECT
    batch_id, NULL AS tenant,
    ARRAY(
        SELECT entry ->> 'error'
        FROM jsonb_array_elements(refused) WITH ORDINALITY AS listed (entry, place)
        ORDER BY place
    ) || ARRAY(
        SELECT entry ->> 3
        FROM jsonb_array_elements(undecodable_spans) WITH ORDINALITY AS listed (entry, place)
        ORDER BY place
    ) AS texts
FROM benchmark_data.batches
WHERE batch_id > %(batch_id)s AND (refused <> '[]' OR undecodable_spans <> '[]')
ORDER BY batch_id
LIMIT %(page)s
FOR UPDATE;
