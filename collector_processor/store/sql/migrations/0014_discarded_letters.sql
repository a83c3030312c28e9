-- A person who discards a dead letter stands in the trail of the record that it would have been.
ALTER TABLE benchmark_data.audit DROP CONSTRAINT audit_action_check;
ALTER TABLE benchmark_data.audit
ADD CONSTRAINT audit_action_check CHECK (
    action IN ('correct', 'revalidate', 'release', 'discard', 'scan', 'resume', 'discard-letter')
);
