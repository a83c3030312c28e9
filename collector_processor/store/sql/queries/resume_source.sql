-- A person has looked at it.
DELETE FROM benchmark_data.privacy_halts WHERE source = %(source)s RETURNING id;
