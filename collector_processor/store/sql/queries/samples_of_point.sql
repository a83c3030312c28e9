-- Which deep samples of a point there are.
SELECT facet FROM benchmark_data.deep_samples WHERE timestamp = %(timestamp)s AND id = %(id)s;
