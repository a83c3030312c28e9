-- A row of the ledger with other errors, in the order in which they were read.
UPDATE benchmark_data.batches
SET
    refused = (
        SELECT coalesce(
            jsonb_agg(jsonb_set(entry, '{error}', to_jsonb((%(texts)s::text[])[place])) ORDER BY place), '[]'
        )
        FROM jsonb_array_elements(refused) WITH ORDINALITY AS listed (entry, place)
    ),
    undecodable_spans = (
        SELECT coalesce(
            jsonb_agg(
                jsonb_set(entry, '{3}', to_jsonb((%(texts)s::text[])[jsonb_array_length(refused) + place]))
                ORDER BY place
            ),
            '[]'
        )
        FROM jsonb_array_elements(undecodable_spans) WITH ORDINALITY AS listed (entry, place)
    )
WHERE batch_id = %(batch_id)s;
