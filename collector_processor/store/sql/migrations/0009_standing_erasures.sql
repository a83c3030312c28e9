-- Tasks that were erased by their id: what comes of them only now is refused for a while, whatever its trace.
CREATE TABLE benchmark_data.standing_erasures (
    name text PRIMARY KEY,
    erasure bigint NOT NULL REFERENCES benchmark_data.erasures,
    until timestamptz NOT NULL
);
COMMENT ON COLUMN benchmark_data.standing_erasures.name IS 'As tombstones have it: benchmark_data.erased_name';
