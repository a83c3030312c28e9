-- What people wrote into these records. Who decided what and why stays.
UPDATE benchmark_data.audit SET patch = NULL WHERE id = ANY (%(ids)s::uuid[]) AND patch IS NOT NULL;
