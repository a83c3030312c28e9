-- Facts that wait for their task.
INSERT INTO benchmark_data.awaited (id, facts)
SELECT id, facts::jsonb
FROM unnest(%(ids)s::uuid[], %(facts)s::text[]) AS fresh (id, facts)
ON CONFLICT (id) DO UPDATE SET facts = excluded.facts;
