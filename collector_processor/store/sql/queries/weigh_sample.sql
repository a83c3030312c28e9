-- A revision may raise the probability of what was kept before. One row a statement: see delete_points.
UPDATE benchmark_data.deep_samples
SET inclusion_probability = %(inclusion_probability)b, policy = %(policy)b
WHERE timestamp = %(timestamp)b AND id = %(id)b AND facet = %(facet)b;
