-- Deep samples: how an analysis ended, what made it and what it took. The ledger tells the journal which are due.
ALTER TABLE benchmark_data.deep_samples ADD COLUMN status text;
ALTER TABLE benchmark_data.deep_samples ADD COLUMN reason text;
ALTER TABLE benchmark_data.deep_samples ADD COLUMN gaps text[];
ALTER TABLE benchmark_data.deep_samples ADD COLUMN analyser text;
ALTER TABLE benchmark_data.deep_samples ADD COLUMN bytes bigint;
ALTER TABLE benchmark_data.deep_samples ADD COLUMN seconds double precision;
ALTER TABLE benchmark_data.deep_samples ADD COLUMN calls bigint;
ALTER TABLE benchmark_data.deep_samples ADD COLUMN analysed_at timestamptz;
COMMENT ON COLUMN benchmark_data.deep_samples.inclusion_probability IS
    'Of the record as it stands: a later revision may raise it';
COMMENT ON COLUMN benchmark_data.deep_samples.bytes IS 'Of the content as JSON in UTF-8';

ALTER TABLE benchmark_data.batches ADD COLUMN analyses jsonb NOT NULL DEFAULT '[]';
ALTER TABLE benchmark_data.batches ADD COLUMN sampling jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN benchmark_data.batches.analyses IS 'Trace id, span id and deep facets of tasks to be analysed';
COMMENT ON COLUMN benchmark_data.batches.sampling IS 'What the batch adds to what sampling policies know';

CREATE OR REPLACE VIEW benchmark.deep_samples AS
SELECT
    point.id, sample.timestamp, point.task_id, sample.facet, sample.inclusion_probability, sample.policy,
    sample.content, sample.status, sample.reason, sample.gaps, sample.analyser, sample.bytes, sample.seconds,
    sample.calls, sample.analysed_at
FROM benchmark_data.deep_samples AS sample
JOIN benchmark_data.visible_points AS point ON point.id = sample.id AND point.timestamp = sample.timestamp;
COMMENT ON COLUMN benchmark.deep_samples.status IS 'complete, partial, empty, failed or shed; reason says why it is not complete';

CREATE VIEW benchmark.judge_disagreements AS
SELECT
    judged.id, judged.timestamp, judged.task_id, point.task_type, point.agent_id,
    point.overall_score AS evaluator_score, judged.score AS judge_score,
    judged.score - point.overall_score AS difference, judged.content ->> 'verdict' AS verdict,
    (judged.content ->> 'agreement')::double precision AS agreement, judged.content ->> 'judge' AS judge,
    judged.content ->> 'rubric' AS rubric, judged.inclusion_probability, judged.policy
FROM (
    SELECT *, (content ->> 'overallScore')::double precision AS score
    FROM benchmark.deep_samples
    WHERE facet = 'judge' AND content ? 'overallScore'
) AS judged
JOIN benchmark_data.visible_points AS point ON point.id = judged.id AND point.timestamp = judged.timestamp;
COMMENT ON VIEW benchmark.judge_disagreements IS
    'A row a task that a model judged: its score against the evaluator''s; weigh it by 1 / inclusion_probability';
