-- Refresh a continuous aggregate where its hours or days have changed, and nowhere else.
CALL refresh_continuous_aggregate(%(aggregate)s::regclass, %(since)s::timestamptz, %(until)s::timestamptz);
