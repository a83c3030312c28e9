-- Nobody writes to the chunk until this transaction has ended.
CALL benchmark_data.close_chunk(%(chunk)s::regclass);
