-- Settings of one writing transaction. As the writer, durable at commit, and never holding others up for ever.
SELECT
    set_config('role', 'benchmark_writer', true),
    set_config('synchronous_commit', 'on', true),
    set_config('timezone', 'UTC', true),
    set_config('lock_timeout', %(lock)s, true),
    set_config('statement_timeout', %(statement)s, true),
    set_config('idle_in_transaction_session_timeout', '60s', true);
