-- When old records were looked for last.
UPDATE benchmark_data.maintenance SET retired_at = now();
