-- What became of the batch's spans.
UPDATE benchmark_data.batches
SET
    in_points = %(in_points)s,
    duplicate = %(duplicate)s,
    orphaned = %(orphaned)s,
    discarded = %(discarded)s,
    erased = %(erased)s,
    undecodable = %(undecodable)s,
    accepted = %(accepted)s,
    quarantined = %(quarantined)s,
    revised = %(revised)s,
    joined = %(joined)s,
    refused = %(refused)s::jsonb,
    undecodable_spans = %(undecodable_spans)s::jsonb,
    analyses = %(analyses)s::jsonb,
    sampling = %(sampling)s::jsonb
WHERE batch_id = %(batch_id)s;
