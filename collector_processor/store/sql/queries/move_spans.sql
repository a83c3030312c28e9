-- Spans that are counted elsewhere from now on: orphans that joined, a record that a person discarded.
INSERT INTO benchmark_data.batches (
    batch_id, kind, in_points, duplicate, orphaned, discarded, erased, revised, joined
)
VALUES (
    gen_random_uuid(), %(kind)s, %(in_points)s, %(duplicate)s, %(orphaned)s, %(discarded)s, %(erased)s, %(revised)s,
    %(joined)s
);
