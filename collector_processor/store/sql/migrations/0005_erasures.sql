-- What people asked to have erased. Nothing here says it in clear; what is gone leaves a tombstone with the number.

CREATE TABLE benchmark_data.erasures (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL CHECK (kind IN ('tenant', 'user', 'task')),
    subject text NOT NULL,
    removed jsonb NOT NULL DEFAULT '{}',
    author text NOT NULL,
    reason text NOT NULL
);
COMMENT ON COLUMN benchmark_data.erasures.subject IS 'Hash or pseudonym of the tenant, user or task';
COMMENT ON COLUMN benchmark_data.erasures.removed IS 'How much of each place is gone';

ALTER TABLE benchmark_data.point_keys ADD COLUMN erasure bigint REFERENCES benchmark_data.erasures;
COMMENT ON COLUMN benchmark_data.point_keys.erasure IS 'The erasure that left this tombstone';
CREATE INDEX point_keys_erasure ON benchmark_data.point_keys (erasure) WHERE erasure IS NOT NULL;

-- Under this name a tombstone still knows its task: what comes later for that task is refused.
CREATE FUNCTION benchmark_data.erased_name(task_id text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN 'sha256:' || encode(sha256(convert_to(task_id, 'UTF8')), 'hex');

-- Whether one of these pseudonyms stands in the text. A text has few, so there may be any number to compare with.
CREATE FUNCTION benchmark_data.mentions(content text, pseudonyms text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN EXISTS (
    SELECT FROM regexp_matches(content, '<[A-Z_]+:[a-z][a-z0-9]*:[a-z2-7]{16}>', 'g') AS found (pseudonym)
    WHERE found.pseudonym[1] = ANY (pseudonyms)
);

-- Spans of what was erased are counted as such from then on.
ALTER TABLE benchmark_data.batches DROP CONSTRAINT batches_kind_check;
ALTER TABLE benchmark_data.batches
ADD CONSTRAINT batches_kind_check CHECK (kind IN ('batch', 'join', 'review', 'retention', 'erasure'));

CREATE VIEW benchmark.erasures AS
SELECT erasures.number, erasures.time, erasures.kind, erasures.subject, erasures.removed, erasures.author, erasures.reason
FROM benchmark_data.erasures;
COMMENT ON VIEW benchmark.erasures IS 'Who had what erased, when and why; tenants, users and tasks by hash or pseudonym';

CREATE VIEW benchmark.erased_records AS
SELECT key.id, key.timestamp, key.erasure, erasures.time AS erased_at
FROM benchmark_data.point_keys AS key
JOIN benchmark_data.erasures ON erasures.number = key.erasure;
COMMENT ON VIEW benchmark.erased_records IS
    'Ids that are gone, also of records that were still to come; what was exported of them before has to go too';
