-- What maintenance works with from now on.
UPDATE benchmark_data.maintenance SET tier = %(tier)s WHERE tier <> %(tier)s;
