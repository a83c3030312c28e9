-- Every tenant that has pseudonyms of its own.
SELECT tenant FROM benchmark_data.point_keys WHERE tenant IS NOT NULL
UNION
SELECT tenant FROM benchmark_data.strays WHERE tenant IS NOT NULL;
