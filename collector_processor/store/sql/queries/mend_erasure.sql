-- An erasure without what was found in its reason.
UPDATE benchmark_data.erasures SET reason = (%(texts)s::text[])[1] WHERE number = %(number)s;
