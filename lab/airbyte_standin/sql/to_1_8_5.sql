-- Shape of the config migrations between 0.63.15 and 1.8.5: they rename and drop, so there is no way back.
ALTER TYPE workload_type ADD VALUE 'replicate';
ALTER TYPE job_config_type ADD VALUE 'clear';
ALTER TYPE permission_type ADD VALUE 'organization_runner';
ALTER TYPE permission_type ADD VALUE 'workspace_runner';
CREATE TYPE secret_reference_scope_type AS ENUM ('actor', 'secret_storage');
CREATE TYPE secret_storage_type AS ENUM (
  'aws_secrets_manager', 'google_secret_manager', 'azure_key_vault', 'vault', 'local_testing');
CREATE TABLE dataplane_group (
  id uuid PRIMARY KEY, organization_id uuid NOT NULL REFERENCES organization (id),
  name varchar NOT NULL, enabled boolean NOT NULL DEFAULT true,
  tombstone boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by uuid, CONSTRAINT dataplane_group_organization_id_name_key UNIQUE (organization_id, name));
CREATE TABLE service_accounts (
  id uuid PRIMARY KEY, name varchar NOT NULL, secret varchar NOT NULL, managed boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE dataplane (
  id uuid PRIMARY KEY,
  dataplane_group_id uuid NOT NULL REFERENCES dataplane_group (id) ON DELETE CASCADE,
  name varchar NOT NULL, enabled boolean NOT NULL DEFAULT true,
  tombstone boolean NOT NULL DEFAULT false,
  service_account_id uuid REFERENCES service_accounts (id),
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE dataplane_client_credentials (
  id uuid PRIMARY KEY, dataplane_id uuid NOT NULL REFERENCES dataplane (id) ON DELETE CASCADE,
  client_id varchar NOT NULL UNIQUE, client_secret varchar NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE application (
  id uuid, auth_user_id varchar(256), name varchar(256) NOT NULL, client_id varchar(256) NOT NULL,
  client_secret varchar(256) NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE secret_storage (
  id uuid PRIMARY KEY, scope_type scope_type NOT NULL, scope_id uuid NOT NULL, descriptor text,
  storage_type secret_storage_type NOT NULL, configured_from_environment boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE secret_config (
  id uuid PRIMARY KEY, secret_storage_id uuid NOT NULL REFERENCES secret_storage (id),
  descriptor text NOT NULL, external_coordinate text NOT NULL, tombstone boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE secret_reference (
  id uuid PRIMARY KEY, secret_config_id uuid NOT NULL REFERENCES secret_config (id),
  scope_type secret_reference_scope_type NOT NULL, scope_id uuid NOT NULL, hydration_path text,
  created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE workload_queue (
  id uuid PRIMARY KEY, dataplane_group varchar NOT NULL, priority int NOT NULL, workload_id varchar,
  poll_deadline timestamptz NOT NULL DEFAULT now(), acked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE commands (
  id varchar PRIMARY KEY, workload_id varchar NOT NULL, command_type varchar NOT NULL,
  command_input jsonb NOT NULL, workspace_id uuid NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now());
INSERT INTO dataplane_group (id, organization_id, name)
  SELECT md5('dataplane_group' || organization_id || geography)::uuid, organization_id, geography::text
  FROM (SELECT DISTINCT organization_id, geography FROM workspace
        WHERE organization_id IS NOT NULL) AS found;
ALTER TABLE workspace ADD COLUMN dataplane_group_id uuid REFERENCES dataplane_group (id);
UPDATE workspace w SET dataplane_group_id = g.id FROM dataplane_group g
  WHERE g.organization_id = w.organization_id AND g.name = w.geography::text;
ALTER TABLE workspace DROP COLUMN geography;
ALTER TABLE connection DROP COLUMN geography;
DROP TYPE geography_type;
ALTER TABLE workload RENAME COLUMN geography TO dataplane_group;
ALTER TABLE workload ADD COLUMN workspace_id uuid, ADD COLUMN organization_id uuid,
  ADD COLUMN signal_input text, ADD COLUMN auto_id uuid;
ALTER TABLE jobs ADD COLUMN is_scheduled boolean NOT NULL DEFAULT false;
ALTER TABLE connector_builder_project ADD COLUMN base_actor_definition_version_id uuid;
ALTER TABLE organization ADD COLUMN tombstone boolean NOT NULL DEFAULT false;
