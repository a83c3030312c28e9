-- Statistics that stay when records go, look-up of a record by its key row, and the end of a record's life.

-- The UTC hour that holds a moment.
CREATE FUNCTION benchmark_data.hour_of(moment timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN date_trunc('hour', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';

-- Time first: rows come in order of time, so this index grows at its end, and it answers questions about a span of
-- time as well. A record is found by its key row, which knows the time: no other index of ids is needed here.
ALTER TABLE benchmark_data.points DROP CONSTRAINT points_key;
DROP INDEX benchmark_data.points_timestamp;
DROP INDEX benchmark_data.points_task;
DROP INDEX benchmark_data.points_trace;
ALTER TABLE benchmark_data.points ADD CONSTRAINT points_key PRIMARY KEY (timestamp, id);

-- TimescaleDB compresses the rows of one hour together. Joins reach compressed rows by that column alone: with it, a
-- key row leads to one batch of one chunk.
ALTER TABLE benchmark_data.points
ADD COLUMN hour timestamptz GENERATED ALWAYS AS (benchmark_data.hour_of(timestamp)) STORED;

ALTER TABLE benchmark_data.deep_samples DROP CONSTRAINT deep_samples_pkey;
DROP INDEX benchmark_data.deep_samples_timestamp;
ALTER TABLE benchmark_data.deep_samples ADD PRIMARY KEY (timestamp, id, facet);

-- As people write a trace id.
DROP INDEX benchmark_data.point_keys_trace;
CREATE INDEX point_keys_trace ON benchmark_data.point_keys USING hash (encode(trace_id, 'hex'));

-- Counts and sums that add up, an hour or a day of an agent and a task type each; '' stands for an unknown one.
CREATE TABLE benchmark_data.hourly_statistics (
    bucket timestamptz NOT NULL,
    agent_id text NOT NULL,
    task_type text NOT NULL,
    tasks bigint NOT NULL,
    successful bigint NOT NULL,
    judged bigint NOT NULL,
    invalid bigint NOT NULL,
    evaluated bigint NOT NULL,
    quality_sum double precision,
    quality_squares double precision,
    timed bigint NOT NULL,
    latency_sum double precision,
    metered bigint NOT NULL,
    tokens_sum numeric,
    cost_sum double precision,
    PRIMARY KEY (bucket, agent_id, task_type)
);
COMMENT ON COLUMN benchmark_data.hourly_statistics.judged IS 'Tasks whose success is known';
COMMENT ON COLUMN benchmark_data.hourly_statistics.evaluated IS 'Tasks with an overall score';
COMMENT ON COLUMN benchmark_data.hourly_statistics.timed IS 'Tasks with a latency';
COMMENT ON COLUMN benchmark_data.hourly_statistics.metered IS 'Tasks whose tokens are known';
CREATE TABLE benchmark_data.daily_statistics (LIKE benchmark_data.hourly_statistics INCLUDING ALL);

CREATE TABLE benchmark_data.hourly_latencies (
    bucket timestamptz NOT NULL,
    agent_id text NOT NULL,
    task_type text NOT NULL,
    latency_bucket integer NOT NULL,
    tasks bigint NOT NULL,
    PRIMARY KEY (bucket, agent_id, task_type, latency_bucket)
);
CREATE TABLE benchmark_data.daily_latencies (LIKE benchmark_data.hourly_latencies INCLUDING ALL);

-- Hours whose points have changed since their statistics were computed: the views compute these anew until the
-- settler has. Writers only append, so they never wait for one another; the settler deletes the very entries that it
-- saw before it computed, so a change that commits meanwhile stays marked.
CREATE TABLE benchmark_data.stale_hours (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hour timestamptz NOT NULL
);
INSERT INTO benchmark_data.stale_hours (hour)
SELECT DISTINCT hour FROM benchmark_data.points;

-- One row: what maintenance has done, and with which tier's means. Records from before the horizon are gone; their
-- statistics are final.
CREATE TABLE benchmark_data.maintenance (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    tier text NOT NULL DEFAULT 'postgresql',
    horizon timestamptz NOT NULL DEFAULT '-infinity',
    settled_at timestamptz,
    retired_at timestamptz
);
INSERT INTO benchmark_data.maintenance DEFAULT VALUES;

-- Records whose time has come move their spans to a count of their own.
ALTER TABLE benchmark_data.batches ADD COLUMN expired bigint NOT NULL DEFAULT 0;
ALTER TABLE benchmark_data.batches DROP CONSTRAINT batches_kind_check, DROP CONSTRAINT batches_check;
ALTER TABLE benchmark_data.batches
ADD CONSTRAINT batches_kind_check CHECK (kind IN ('batch', 'join', 'review', 'retention')),
ADD CONSTRAINT batches_check
CHECK (kind = 'batch' OR in_points + duplicate + orphaned + discarded + erased + expired = 0);

-- Keep everybody from writing to a chunk while it is taken away.
CREATE PROCEDURE benchmark_data.close_chunk(chunk regclass)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('LOCK TABLE %s IN SHARE MODE', chunk);
END
$$;
