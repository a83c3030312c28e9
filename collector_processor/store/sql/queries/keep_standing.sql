-- These names are refused from now on, for so long.
INSERT INTO benchmark_data.standing_erasures (name, erasure, until)
SELECT name, %(number)s, now() + %(period)s
FROM unnest(%(names)s::text[]) AS wished (name)
ON CONFLICT (name) DO UPDATE SET erasure = excluded.erasure, until = excluded.until;
