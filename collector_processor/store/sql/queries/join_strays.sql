-- Strays that have found their point: their facts stand in its record now.
UPDATE benchmark_data.strays AS stray
SET id = found.id, fact = NULL
FROM unnest(%(fact_ids)b::text[], %(ids)b::uuid[]) AS found (fact_id, id)
WHERE stray.fact_id = found.fact_id;
