-- The ledger row comes first: who inserts it applies the batch; a second one waits here and then finds it.
INSERT INTO benchmark_data.batches (batch_id, kind)
VALUES (%(batch_id)s, 'batch')
ON CONFLICT (batch_id) DO NOTHING
RETURNING batch_id;
