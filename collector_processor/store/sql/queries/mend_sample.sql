-- A deep sample without what was found in it; content that nobody can read is none.
UPDATE benchmark_data.deep_samples
SET task_id = (%(texts)s::text[])[1], content = coalesce((%(texts)s::text[])[2]::jsonb, '{}')
WHERE timestamp = %(timestamp)s AND id = %(id)s AND facet = %(facet)s;
