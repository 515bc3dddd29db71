-- An Airbyte with everything in it that a preflight has to name.
CREATE TYPE job_status AS ENUM ('pending', 'running', 'succeeded', 'failed');
CREATE TYPE status_type AS ENUM ('active', 'inactive', 'deprecated');
CREATE TABLE workspace (id uuid PRIMARY KEY);
CREATE TABLE "user" (id uuid PRIMARY KEY);
CREATE TABLE permission (id uuid PRIMARY KEY);
CREATE TABLE organization (id uuid PRIMARY KEY, email text);
INSERT INTO organization VALUES ('00000000-0000-0000-0000-000000000000', '');
CREATE TABLE airbyte_metadata (key text PRIMARY KEY, value text);
INSERT INTO airbyte_metadata VALUES ('airbyte_version', '0.63.15');
CREATE TABLE airbyte_configs_migrations (installed_rank int PRIMARY KEY, version text, success boolean);
CREATE TABLE airbyte_jobs_migrations (installed_rank int PRIMARY KEY, version text, success boolean);
INSERT INTO airbyte_configs_migrations VALUES (1, '0.50.19.001', true), (2, '0.57.4.002', false);
CREATE TABLE actor_definition_version (
    id int PRIMARY KEY, docker_repository text NOT NULL, docker_image_tag text NOT NULL);
CREATE TABLE actor_definition (id int PRIMARY KEY, default_version_id int REFERENCES actor_definition_version (id));
CREATE TABLE actor (
    id int PRIMARY KEY, name text, actor_definition_id int REFERENCES actor_definition (id),
    default_version_id int, configuration jsonb NOT NULL, tombstone boolean NOT NULL DEFAULT false);
CREATE TABLE connection (
    id int PRIMARY KEY, name text NOT NULL, status status_type NOT NULL, source_id int, destination_id int);
CREATE TABLE jobs (id bigint PRIMARY KEY, scope text, status job_status NOT NULL);
CREATE TABLE attempts (id bigint PRIMARY KEY, log_path text);
CREATE TABLE secrets (coordinate text PRIMARY KEY, payload text);
INSERT INTO secrets VALUES ('known', 'planted-secret-value');
INSERT INTO actor_definition_version VALUES
    (1, 'airbyte/source-postgres', '3.6.1'), (2, 'example/source-ours', '0.1.0'), (3, 'airbyte/destination-csv', '1.0.0');
INSERT INTO actor_definition SELECT id, id FROM actor_definition_version;
INSERT INTO actor VALUES
    (1, 'Shop', 1, NULL, '{"host": "localhost", "username": "planted-user", "password": {"_secret": "known"}}', false),
    (2, 'Ours', 2, NULL, '{"url": "https://planted-user:planted-secret-value@192.168.7.8/x", "token": {"_secret": "lost"}}', false),
    (3, 'Files', 3, NULL, '{"destination_path": "/local/out"}', false),
    (4, 'Gone', 1, NULL, '{"host": "db", "password": {"_secret": "lost"}}', true);
INSERT INTO connection VALUES (11, 'Shop to files', 'active', 1, 3), (12, 'Ours to files', 'inactive', 2, 3),
    (13, 'Old', 'deprecated', 1, 3);
INSERT INTO jobs VALUES (7, '11', 'running'), (8, '12', 'succeeded');
INSERT INTO attempts VALUES (1, '/tmp/workspace/7/0/logs.log');
CREATE TABLE stream_reset (stream_name text);
CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE computed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TYPE shade AS ENUM ('light', 'dark');
CREATE DOMAIN short AS varchar(9);
CREATE DOMAIN document AS json;
CREATE TYPE wrapped AS (number int, content document);
CREATE TYPE couple AS (number int, word short);
CREATE TABLE blurred (
  plain json, tree xml, place point, binary_one jsonb, label varchar, short short, kind shade, span int4range, list text[],
  docs json[], nested wrapped[], named document, fine couple, couples couple[], worded tsvector, ids oidvector
);
CREATE TABLE unsendable (id int PRIMARY KEY, who aclitem, acl aclitem[]);
CREATE TABLE key_made (a int, b int GENERATED ALWAYS AS (a * 2) STORED PRIMARY KEY);
CREATE TABLE key_chosen (a int NOT NULL UNIQUE, b int GENERATED ALWAYS AS (a * 2) STORED PRIMARY KEY);
ALTER TABLE key_chosen REPLICA IDENTITY USING INDEX key_chosen_a_key;
CREATE TABLE bereft (id int PRIMARY KEY);
CREATE TABLE its_child () INHERITS (bereft);
DROP TABLE its_child;
CREATE TABLE odd (id int PRIMARY KEY, what regclass, big oid, at pg_lsn);
CREATE TABLE guarded (id int PRIMARY KEY);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE SEQUENCE small_seq AS smallint;
SELECT setval('small_seq', 32000);
CREATE SEQUENCE falling INCREMENT -1 MINVALUE -5 START -1;
SELECT nextval('falling');
CREATE SEQUENCE leaping INCREMENT 1000000000000000;
CREATE SEQUENCE low MINVALUE -100 START -50;
SELECT nextval('low');
CREATE SEQUENCE long_fall INCREMENT -1;
SELECT lo_create(0);
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE far (id int) SERVER nowhere;
CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION noted();
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER always BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TRIGGER on_replicas BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TRIGGER ordinary BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION touched();
ALTER TABLE jobs ENABLE ALWAYS TRIGGER always;
ALTER TABLE jobs ENABLE REPLICA TRIGGER on_replicas;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM jobs;
CREATE SCHEMA dotted;
CREATE TABLE dotted."by.both" (id integer PRIMARY KEY);
CREATE SCHEMA "dotted.by";
CREATE TABLE "dotted.by".both (id integer PRIMARY KEY);
CREATE FUNCTION helper(word text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(word)';
CREATE FUNCTION unhelped(word text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN helper(word); END';
CREATE FUNCTION asked(word text) RETURNS boolean LANGUAGE sql AS 'SELECT word <> ''''';
CREATE DOMAIN pathed AS text CHECK (unhelped(VALUE) <> '');
CREATE TABLE pathless (
    word text CONSTRAINT worded CHECK (unhelped(word) <> ''), lower text GENERATED ALWAYS AS (unhelped(word)) STORED,
    path pathed, fine text CONSTRAINT asking CHECK (asked(fine)));
CREATE INDEX pathless_word ON pathless (unhelped(word));
INSERT INTO pathless VALUES ('a', DEFAULT, 'b', 'c');
CREATE OPERATOR FAMILY ours USING btree;
CREATE FUNCTION unsafe(int) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'int4abs';
CREATE FUNCTION noisy() RETURNS int LANGUAGE sql SET log_statement = 'none' AS 'SELECT 1';
CREATE AGGREGATE plain_sum(int) (SFUNC = int4pl, STYPE = int);
CREATE AGGREGATE hidden_sum(bigint) (SFUNC = int8_avg_accum, STYPE = internal, FINALFUNC = numeric_poly_sum);
CREATE TYPE span_one AS RANGE (SUBTYPE = int);
CREATE TYPE span_two AS RANGE (SUBTYPE = int);
CREATE CAST (span_one AS span_two) WITHOUT FUNCTION;
CREATE CAST (varchar AS json) WITH INOUT;
CREATE OPERATOR CLASS storing FOR TYPE int4 USING btree FAMILY integer_ops AS STORAGE int4;
CREATE FUNCTION custom() RETURNS int LANGUAGE sql SET my.own = 'a' AS 'SELECT 1';
CREATE FUNCTION fine() RETURNS int LANGUAGE sql SET work_mem = '1MB' SET search_path = 'public' AS 'SELECT 1';
CREATE FUNCTION dated() RETURNS int LANGUAGE sql SET operator_precedence_warning = 'on' AS 'SELECT 1';
CREATE FUNCTION after(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE OPERATOR !!! (LEFTARG = int, FUNCTION = after);
CREATE POLICY everybody ON odd USING (true);
CREATE POLICY monitors ON odd TO pg_monitor USING (true);
CREATE ROLE stranger;
CREATE POLICY strangers ON odd TO stranger USING (true);
