-- The newest decisions that match all that is given; null matches everything.
SELECT time, id, action, author, reason, patch
FROM benchmark_data.audit
WHERE
    (%(action)s::text IS NULL OR action = %(action)s)
    AND (%(author)s::text IS NULL OR author = %(author)s)
    AND (%(since)s::timestamptz IS NULL OR time >= %(since)s)
ORDER BY entry DESC
LIMIT %(limit)s::bigint;
