-- A decision without what was found in its reason and its patch; a patch that nobody can read is none.
UPDATE benchmark_data.audit
SET reason = (%(texts)s::text[])[1], patch = (%(texts)s::text[])[2]::jsonb
WHERE entry = %(entry)s;
