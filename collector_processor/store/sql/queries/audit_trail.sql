-- What was decided about a record, oldest first.
SELECT time, action, author, reason, patch FROM benchmark_data.audit WHERE id = %(id)s ORDER BY entry;
