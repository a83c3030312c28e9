-- One deep sample of a point whose key is locked; one that is there stays.
INSERT INTO benchmark_data.deep_samples (
    id, timestamp, facet, inclusion_probability, policy, content, status, reason, gaps, analyser, bytes,
    seconds, calls, analysed_at
)
VALUES (
    %(id)s, %(timestamp)s, %(facet)s, %(inclusion_probability)s, %(policy)s, %(content)s::text::jsonb,
    %(status)s, %(reason)s, %(gaps)s::text[], %(analyser)s, %(bytes)s, %(seconds)s, %(calls)s, now()
)
ON CONFLICT (timestamp, id, facet) DO NOTHING;
