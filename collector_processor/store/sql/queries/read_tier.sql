-- The tier whose scripts the last migration ran.
SELECT tier FROM benchmark_data.maintenance;
