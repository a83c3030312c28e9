-- A chunk that somebody reads for long is left for the next time: who waits for it holds up everybody behind.
SELECT set_config('lock_timeout', '5s', true);
