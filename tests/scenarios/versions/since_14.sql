-- What a source from PostgreSQL 14 on may have besides.
CREATE TYPE span AS RANGE (subtype = int8, multirange_type_name = spans);
CREATE TABLE of_14 (
    id int PRIMARY KEY, spans int4multirange, own spans, moments tstzmultirange, payload text COMPRESSION pglz,
    unbounded numeric, "order" int);
CREATE STATISTICS of_14_expressions ON lower(payload), ("order" % 10) FROM of_14;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT n * 2; END;
CREATE PROCEDURE counted(IN n int, OUT found bigint) LANGUAGE sql
    BEGIN ATOMIC SELECT count(*) FROM of_14 WHERE of_14.id < counted.n; END;
CREATE FUNCTION piece(jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$ SELECT ($1)['a'] $$;
CREATE VIEW of_14_seen AS SELECT id, date_bin('1 day', lower(range_merge(moments)), 'epoch') AS day FROM of_14;
ALTER TABLE of_14 ADD COLUMN doubled int GENERATED ALWAYS AS (twice("order")) STORED;
INSERT INTO of_14 VALUES
    (1, '{[1,3),[5,9)}', '{(,4)}', '{[2024-01-01 00:00+00,2024-01-02 00:00+00)}', repeat('x', 5000), 'Infinity', 7),
    (2, '{}', NULL, NULL, '', '-Infinity', NULL);
