-- Deep samples from before that time, where there are no chunks to drop.
DELETE FROM benchmark_data.deep_samples WHERE timestamp < %(before)s;
