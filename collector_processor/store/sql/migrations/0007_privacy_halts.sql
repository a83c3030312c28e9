-- Sources whose records held what nobody may see: their tasks wait in the journals until a person has looked.
CREATE TABLE benchmark_data.privacy_halts (
    source text PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now(),
    id uuid NOT NULL,
    found text NOT NULL
);
COMMENT ON COLUMN benchmark_data.privacy_halts.id IS 'The first record in which something was found';

ALTER TABLE benchmark_data.audit DROP CONSTRAINT audit_action_check;
ALTER TABLE benchmark_data.audit
ADD CONSTRAINT audit_action_check CHECK (
    action IN ('correct', 'revalidate', 'release', 'discard', 'scan', 'resume')
);
