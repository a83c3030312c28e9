-- Count under what the label is called by now.
CALL benchmark_data.rename_label(%(label)s, %(value)s, (%(texts)s::text[])[1]);
