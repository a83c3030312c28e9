-- Let nothing more of this source be stored.
INSERT INTO benchmark_data.privacy_halts (source, id, found)
VALUES (%(source)s, %(id)s, %(found)s)
ON CONFLICT (source) DO NOTHING;
