-- Deep samples of these points.
DELETE FROM benchmark_data.deep_samples WHERE id = ANY (%(ids)s::uuid[]);
