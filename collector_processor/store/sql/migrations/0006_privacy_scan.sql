-- A scan for personal data and credentials is written down beside people's decisions.
ALTER TABLE benchmark_data.audit DROP CONSTRAINT audit_action_check;
ALTER TABLE benchmark_data.audit
ADD CONSTRAINT audit_action_check CHECK (action IN ('correct', 'revalidate', 'release', 'discard', 'scan'));
