-- What the preflight reads of an Airbyte 0.63.15 beyond the common tables: nothing of it is amiss.
CREATE TABLE airbyte_metadata (key text PRIMARY KEY, value text);
INSERT INTO airbyte_metadata VALUES ('airbyte_version', '0.63.15');
CREATE TABLE airbyte_configs_migrations (installed_rank int PRIMARY KEY, version text, success boolean);
CREATE TABLE airbyte_jobs_migrations (installed_rank int PRIMARY KEY, version text, success boolean);
INSERT INTO airbyte_configs_migrations VALUES (1, '0.57.4.013', true);
INSERT INTO airbyte_jobs_migrations VALUES (1, '0.57.2.005', true);
CREATE TABLE organization (id uuid PRIMARY KEY, name text, email text);
INSERT INTO organization VALUES ('00000000-0000-0000-0000-000000000000', 'Default', 'a@example.com');
CREATE TABLE "user" (id uuid PRIMARY KEY);
CREATE TABLE permission (id uuid PRIMARY KEY);
CREATE TABLE state (id uuid PRIMARY KEY);
CREATE TABLE secrets (coordinate text PRIMARY KEY, payload text);
CREATE TABLE actor_definition_version (
    id uuid PRIMARY KEY, docker_repository text NOT NULL, docker_image_tag text NOT NULL);
CREATE TABLE actor_definition (id uuid PRIMARY KEY, default_version_id uuid REFERENCES actor_definition_version (id));
CREATE TABLE actor (
    id uuid PRIMARY KEY, name text, actor_definition_id uuid REFERENCES actor_definition (id),
    default_version_id uuid, configuration jsonb NOT NULL, tombstone boolean NOT NULL DEFAULT false);
ALTER TABLE connection ADD source_id uuid, ADD destination_id uuid;
ALTER TABLE attempts ADD log_path text;
