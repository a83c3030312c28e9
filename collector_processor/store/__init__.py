"""Where data points live: PostgreSQL, embedded or given, its schema and its write path."""
