-- From here on the statistics of older hours are final.
UPDATE benchmark_data.maintenance SET horizon = %(horizon)s WHERE horizon < %(horizon)s;
