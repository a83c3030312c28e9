-- Settings of one transaction that answers a person's query: the views without their schema's name, and no writing.
SELECT
    set_config('role', 'benchmark_reader', true),
    set_config('transaction_read_only', 'on', true),
    set_config('search_path', 'benchmark, public', true),
    set_config('timezone', 'UTC', true),
    set_config('statement_timeout', %(timeout)s, true);
