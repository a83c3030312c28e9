-- Who asks for what. The number stands on every tombstone of it.
INSERT INTO benchmark_data.erasures (kind, subject, author, reason)
VALUES (%(kind)s, %(subject)s, %(author)s, %(reason)s)
RETURNING number;
