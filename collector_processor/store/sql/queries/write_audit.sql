-- Who decided what, in the transaction that did it.
INSERT INTO benchmark_data.audit (id, action, author, reason, patch)
VALUES (%(id)s, %(action)s, %(author)s, %(reason)s, %(patch)s::jsonb);
