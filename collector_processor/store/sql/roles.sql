-- The two roles that this product works with. Roles belong to the whole server, so another database on it may
-- have made them, even at this very moment. Neither can log in: the owner of the database changes into them.
DO $$
DECLARE
    wanted text;
    -- Since version 16, who creates a role is its member without the right to change into it.
    may_change text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['benchmark_writer', 'benchmark_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- made by another database's migration between the question and the answer
            END;
        END IF;
        IF NOT pg_has_role(current_user, wanted, may_change) THEN
            BEGIN
                EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
            EXCEPTION WHEN unique_violation OR internal_error THEN
                NULL;  -- the same grant, at the same moment: 'tuple concurrently updated' is an internal error
            END;
        END IF;
    END LOOP;
END
$$;
