-- Tables behind the views. One row a task: sections are unnested from the record when they are asked for.

-- Unique with the time column, as a hypertable requires; that an id stands once is the work of point_keys.
CREATE TABLE benchmark_data.points (
    id uuid NOT NULL,
    timestamp timestamptz NOT NULL,
    task_id text,
    task_type text,
    complexity text,
    tenant_id text,
    agent_id text,
    agent_name text,
    model_family text,
    strategy text,
    confidence double precision,
    explored boolean,
    propensity double precision,
    success boolean,
    partial_success boolean,
    latency_ms double precision,
    time_to_first_action_ms double precision,
    tokens_used bigint,
    input_tokens bigint,
    thinking_tokens bigint,
    output_tokens bigint,
    cost_usd double precision,
    tool_call_count bigint,
    tool_call_success_rate double precision,
    token_efficiency double precision,
    overall_score double precision,
    caws_compliant boolean,
    budget_compliant boolean,
    passed_all_mandatory boolean,
    final_outcome text,
    total_reward double precision,
    reward_version text NOT NULL,
    adjusted_count double precision,
    group_id text,
    attempt bigint,
    valid boolean NOT NULL,
    rl_ready boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('accepted', 'quarantined', 'released', 'discarded')),
    withheld boolean NOT NULL,
    gates_failed text[] NOT NULL,
    completeness text[] NOT NULL,
    ended_by text NOT NULL,
    convention text NOT NULL,
    service_name text,
    schema_version integer NOT NULL,
    revision integer NOT NULL,
    trace_id bytea NOT NULL CHECK (octet_length(trace_id) = 16),
    span_id bytea NOT NULL CHECK (octet_length(span_id) = 8),
    record jsonb NOT NULL,
    CONSTRAINT points_key PRIMARY KEY (id, timestamp)
);
COMMENT ON TABLE benchmark_data.points IS 'One BenchmarkDataPoint a row; record is its wire form';
COMMENT ON COLUMN benchmark_data.points.withheld IS 'A critical gate failed: shown in no view but quarantine';

-- A btree entry holds 2,704 bytes, and a task id may be longer: hence hashes.
CREATE INDEX points_timestamp ON benchmark_data.points (timestamp);
CREATE INDEX points_agent ON benchmark_data.points (agent_id, timestamp);
CREATE INDEX points_task ON benchmark_data.points USING hash (task_id);
CREATE INDEX points_trace ON benchmark_data.points (trace_id);

-- Records are five kilobytes. PostgreSQL's own compression takes two thirds of the writing time; lz4 doesn't, but
-- isn't compiled into every server.
DO $$
BEGIN
    IF (SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE benchmark_data.points ALTER COLUMN record SET COMPRESSION lz4;
    ELSE
        ALTER TABLE benchmark_data.points ALTER COLUMN record SET STORAGE EXTERNAL;
    END IF;
END
$$;

-- Identity, lock and look-up of a point, so that no write has to probe the (later compressed) points.
CREATE TABLE benchmark_data.point_keys (
    id uuid PRIMARY KEY,
    trace_id bytea NOT NULL,
    span_id bytea NOT NULL,
    timestamp timestamptz,
    task_id text,
    namespace text,
    tenant text,
    started timestamptz,
    ended timestamptz,
    revision integer NOT NULL,
    state text NOT NULL
        CHECK (state IN ('awaited', 'accepted', 'quarantined', 'released', 'discarded', 'erased')),
    spans bigint NOT NULL,
    CHECK ((state IN ('awaited', 'erased')) OR timestamp IS NOT NULL)
);
COMMENT ON COLUMN benchmark_data.point_keys.state IS
    'State of the record; awaited: facts came before their task; discarded, erased: tombstones against a resend';
COMMENT ON COLUMN benchmark_data.point_keys.spans IS 'Spans that are counted as stored in this point';
CREATE INDEX point_keys_task ON benchmark_data.point_keys USING hash (task_id);
CREATE INDEX point_keys_trace ON benchmark_data.point_keys (trace_id);
CREATE INDEX point_keys_state ON benchmark_data.point_keys (state) WHERE state <> 'accepted';

-- Facts that came before their task.
CREATE TABLE benchmark_data.awaited (
    id uuid PRIMARY KEY REFERENCES benchmark_data.point_keys ON DELETE CASCADE,
    facts jsonb NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);

-- Lifecycle facts that came without a task span above them. Waiting ones are the orphans; one that found its point
-- keeps its row, so that the same span sent again is known and facts never move between records.
CREATE TABLE benchmark_data.strays (
    fact_id text PRIMARY KEY,
    trace_id bytea NOT NULL,
    span_id bytea NOT NULL,
    parent_id text NOT NULL,
    timestamp timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('route', 'execution', 'tool_call', 'evaluation')),
    task_id text,
    namespace text,
    tenant text,
    traces bytea[] NOT NULL,
    spans smallint NOT NULL,
    fact jsonb,
    anomalies jsonb NOT NULL,
    waiting_since timestamptz NOT NULL DEFAULT now(),
    id uuid,
    CHECK ((id IS NULL) = (fact IS NOT NULL))
);
COMMENT ON COLUMN benchmark_data.strays.id IS 'The point that it joined; null while it waits';
COMMENT ON COLUMN benchmark_data.strays.parent_id IS 'Fact id of its parent span';
COMMENT ON COLUMN benchmark_data.strays.traces IS 'Its own trace and those it links to';
COMMENT ON COLUMN benchmark_data.strays.anomalies IS 'What was cleaned in its span; goes with the fact to its record';
COMMENT ON COLUMN benchmark_data.strays.spans IS '1 for a span, 0 for an event or log record of one';
CREATE INDEX strays_traces ON benchmark_data.strays USING gin (traces);
CREATE INDEX strays_task ON benchmark_data.strays USING hash (task_id) WHERE id IS NULL;
CREATE INDEX strays_waiting ON benchmark_data.strays (fact_id) WHERE id IS NULL;

-- What became of every span, written in the transaction that did it. Rows of kind batch tell the journal; the others
-- move spans between counts and sum to nothing.
CREATE TABLE benchmark_data.batches (
    batch_id uuid PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL CHECK (kind IN ('batch', 'join', 'review')),
    in_points bigint NOT NULL DEFAULT 0,
    duplicate bigint NOT NULL DEFAULT 0,
    orphaned bigint NOT NULL DEFAULT 0,
    discarded bigint NOT NULL DEFAULT 0,
    erased bigint NOT NULL DEFAULT 0,
    undecodable bigint NOT NULL DEFAULT 0,
    accepted bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    revised bigint NOT NULL DEFAULT 0,
    joined bigint NOT NULL DEFAULT 0,
    refused jsonb NOT NULL DEFAULT '[]',
    undecodable_spans jsonb NOT NULL DEFAULT '[]',
    CHECK (kind = 'batch' OR in_points + duplicate + orphaned + discarded + erased = 0)
);
COMMENT ON COLUMN benchmark_data.batches.undecodable_spans IS 'Identities and reasons; the bytes stay in the journal';

-- Deep analyses, a row a facet.
CREATE TABLE benchmark_data.deep_samples (
    id uuid NOT NULL,
    timestamp timestamptz NOT NULL,
    task_id text,
    facet text NOT NULL,
    inclusion_probability double precision NOT NULL,
    policy text NOT NULL,
    content jsonb NOT NULL,
    PRIMARY KEY (id, facet, timestamp)
);
CREATE INDEX deep_samples_timestamp ON benchmark_data.deep_samples (timestamp);

-- Who changed which record by hand, and why.
CREATE TABLE benchmark_data.audit (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time timestamptz NOT NULL DEFAULT now(),
    id uuid NOT NULL,
    action text NOT NULL CHECK (action IN ('correct', 'release', 'discard')),
    author text NOT NULL,
    reason text NOT NULL,
    patch jsonb
);
CREATE INDEX audit_id ON benchmark_data.audit (id);
