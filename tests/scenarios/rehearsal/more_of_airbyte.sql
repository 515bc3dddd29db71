-- What a rehearsal looks at, and what the small Airbyte of the scenarios lacks.
CREATE TABLE airbyte_metadata (key text PRIMARY KEY, value text);
CREATE TABLE actor (id uuid PRIMARY KEY, configuration jsonb NOT NULL, tombstone boolean);
CREATE TABLE secrets (coordinate text PRIMARY KEY, payload text);
INSERT INTO airbyte_metadata VALUES ('airbyte_version', '0.63.15');
INSERT INTO actor SELECT gen_random_uuid(),
    jsonb_build_object('host', 'db.example', 'password', jsonb_build_object('_secret', 'secret_' || n || '_v1'))
FROM generate_series(1, 4) n;
INSERT INTO secrets SELECT 'secret_' || n || '_v1', 'planted payload ' || n FROM generate_series(1, 4) n;
