-- When statistics were settled last.
UPDATE benchmark_data.maintenance SET settled_at = now();
