-- How much is gone by now.
UPDATE benchmark_data.erasures SET removed = %(removed)s::jsonb WHERE number = %(number)s;
