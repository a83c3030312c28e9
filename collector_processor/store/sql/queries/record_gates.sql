-- The gates as this processor has them.
WITH known AS (
    SELECT * FROM unnest(%(gates)s::text[], %(severities)s::text[]) AS gate (gate, severity)
), gone AS (
    DELETE FROM benchmark_data.gates WHERE (gate, severity) NOT IN (SELECT gate, severity FROM known)
)
INSERT INTO benchmark_data.gates (gate, severity)
SELECT gate, severity FROM known
ON CONFLICT (gate, severity) DO NOTHING;
