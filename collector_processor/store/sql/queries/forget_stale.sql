-- Entries that were seen before their hours were settled; a later change has an entry of its own.
DELETE FROM benchmark_data.stale_hours WHERE entry = ANY (%(entries)s::bigint[]);
