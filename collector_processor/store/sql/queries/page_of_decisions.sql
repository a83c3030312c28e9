-- The next entries of the audit trail, with the tenant of their record.
SELECT audit.entry, key.tenant, ARRAY[audit.reason, audit.patch::text] AS texts
FROM benchmark_data.audit
LEFT JOIN benchmark_data.point_keys AS key ON key.id = audit.id
WHERE audit.entry > %(entry)s
ORDER BY audit.entry
LIMIT %(page)s
FOR UPDATE OF audit;
