-- Chunks that lie between these times; no `since` is since ever.
SELECT drop_chunks(
    %(relation)s::regclass, older_than => %(before)s::timestamptz, newer_than => %(since)s::timestamptz
);
