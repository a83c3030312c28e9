-- Which of these names are refused now, and by which erasure.
SELECT name, erasure
FROM benchmark_data.standing_erasures
WHERE name = ANY (%(names)b::text[]) AND until > now()
FOR KEY SHARE;
