-- What a scan finds in a deep sample condemns its record, and violations stay counted when decisions are retired.

-- The record says what its task is called; one copy of a text less.
ALTER TABLE benchmark_data.deep_samples DROP COLUMN task_id;

ALTER TABLE benchmark_data.maintenance ADD COLUMN former_violations bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN benchmark_data.maintenance.former_violations IS
    'Records in which scans found something, of which the trail of decisions no longer tells';
