-- A deep sample without what was found in it.
UPDATE benchmark_data.deep_samples
SET content = %(content)s::text::jsonb, bytes = %(bytes)s
WHERE timestamp = %(timestamp)s AND id = %(id)s AND facet = %(facet)s;
