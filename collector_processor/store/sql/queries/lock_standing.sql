-- Whoever writes has asked for standing erasures first: he is waited for, and what he stores is found afterwards. Reading
-- them without a lock, as a backup does, goes on.
LOCK TABLE benchmark_data.standing_erasures IN EXCLUSIVE MODE;
