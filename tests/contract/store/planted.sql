-- The word quince in rows that no record's facts lead to: decisions, erasures, errors, tombstones, samples, halts, and
-- statistics of hours whose records are gone, some of which are counted under the other name as well.
INSERT INTO benchmark_data.audit (id, action, author, reason, patch)
SELECT id, 'correct', 'ada', 'as quince said', '[{"op": "add", "path": "/task/type", "value": "quince"}]'
FROM benchmark_data.points;
INSERT INTO benchmark_data.erasures (kind, subject, author, reason) VALUES ('task', 'sha256:0', 'ada', 'quince asked');
UPDATE benchmark_data.batches
SET
    refused = '[
        {"trace_id": "AA==", "span_id": "AQ==", "spans": 1, "error": "quince"},
        {"trace_id": "AA==", "span_id": "Ag==", "spans": 2, "error": "pear"}
    ]',
    undecodable_spans = '[["AA==", "Aw==", "", "pear"], ["AA==", "BA==", "", "quince"]]';
INSERT INTO benchmark_data.point_keys (id, trace_id, span_id, namespace, revision, state, spans)
VALUES (gen_random_uuid(), '\x01', '\x01', 'quince', 0, 'erased', 0);
INSERT INTO benchmark_data.deep_samples (id, timestamp, facet, inclusion_probability, policy, content)
SELECT id, timestamp, 'conversation', 0.5, 'default', '{"turns": ["quince"]}' FROM benchmark_data.points;
INSERT INTO benchmark_data.privacy_halts (source, id, found)
SELECT source, id, '1 EMAIL'
FROM benchmark_data.points
CROSS JOIN unnest(ARRAY['shop/quince', 'quince', 'quince/quince']) AS source;
INSERT INTO benchmark_data.hourly_statistics (
    bucket, agent_id, task_type, tasks, successful, judged, invalid, evaluated, timed, latency_sum, metered
)
SELECT '2020-01-01 00:00:00Z', agent_id, 'quince', 3, 1, 1, 0, 0, 1, 0.5, 0 FROM unnest(ARRAY['quince', '<>']) AS agent_id;
INSERT INTO benchmark_data.daily_statistics SELECT * FROM benchmark_data.hourly_statistics WHERE bucket < '2021-01-01';
INSERT INTO benchmark_data.hourly_latencies VALUES ('2020-01-01 00:00:00Z', 'quince', 'quince', 7, 1);
INSERT INTO benchmark_data.daily_latencies VALUES ('2020-01-01 00:00:00Z', 'quince', 'quince', 7, 1);
INSERT INTO benchmark_data.outlier_bounds (
    window_end, window_start, task_type, measure, tasks, median, deviation, p99
)
SELECT '2020-01-02 00:00:00Z', '2020-01-01 00:00:00Z', task_type, 'latency_ms', 9, 1, 1, 1
FROM unnest(ARRAY['quince', '<>']) AS task_type;
