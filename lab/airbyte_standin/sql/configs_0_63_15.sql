-- Stand-in of Airbyte 0.63.15's config tables: a subset with every awkward property of the real ones.
-- Two tables have no primary key and a unique index over a nullable column, "user" needs quotes,
-- and `secrets` is missing on purpose: the application makes it when it first stores a secret.
CREATE TYPE actor_type AS ENUM ('source', 'destination');
CREATE TYPE source_type AS ENUM ('api', 'file', 'database', 'custom');
CREATE TYPE release_stage AS ENUM ('alpha', 'beta', 'generally_available', 'custom');
CREATE TYPE support_state AS ENUM ('supported', 'deprecated', 'unsupported');
CREATE TYPE support_level AS ENUM ('community', 'certified', 'none');
CREATE TYPE scope_type AS ENUM ('organization', 'workspace');
CREATE TYPE geography_type AS ENUM ('AUTO', 'US', 'EU');
CREATE TYPE namespace_definition_type AS ENUM ('source', 'destination', 'customformat');
CREATE TYPE status_type AS ENUM ('active', 'inactive', 'deprecated');
CREATE TYPE schedule_type AS ENUM ('manual', 'basic_schedule', 'cron');
CREATE TYPE non_breaking_change_preference_type AS ENUM (
  'ignore', 'disable', 'propagate_columns', 'propagate_fully');
CREATE TYPE auto_propagation_status AS ENUM (
  'ignore', 'propagate_columns', 'propagate_fully', 'disabled');
CREATE TYPE state_type AS ENUM ('GLOBAL', 'STREAM', 'LEGACY');
CREATE TYPE operator_type AS ENUM ('normalization', 'dbt', 'webhook');
CREATE TYPE notification_type AS ENUM ('webhook', 'email');
CREATE TYPE user_status AS ENUM ('invited', 'registered', 'disabled');
CREATE TYPE auth_provider AS ENUM ('airbyte', 'google_identity_platform', 'keycloak');
CREATE TYPE permission_type AS ENUM (
  'instance_admin', 'organization_admin', 'organization_editor', 'organization_reader',
  'workspace_admin', 'workspace_editor', 'workspace_reader');
CREATE TYPE workload_status AS ENUM (
  'pending', 'claimed', 'launched', 'running', 'success', 'failure', 'cancelled');
CREATE TYPE workload_type AS ENUM ('sync', 'check', 'discover', 'spec');

CREATE TABLE organization (
  id uuid PRIMARY KEY, name varchar(256) NOT NULL, user_id uuid, email varchar(256) NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  pba boolean NOT NULL DEFAULT false, org_level_billing boolean NOT NULL DEFAULT false);
CREATE TABLE "user" (
  id uuid PRIMARY KEY, name varchar(256) NOT NULL, default_workspace_id uuid, status user_status,
  company_name varchar(256), email varchar(256) NOT NULL, news boolean, ui_metadata jsonb,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE UNIQUE INDEX user_email_unique_key ON "user" (lower(email));
CREATE TABLE auth_user (
  id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
  auth_user_id varchar(256) NOT NULL, auth_provider auth_provider NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (auth_user_id, auth_provider));
CREATE TABLE workspace (
  id uuid PRIMARY KEY, customer_id uuid, name varchar(256) NOT NULL, slug varchar(256) NOT NULL,
  email varchar(256), initial_setup_complete boolean NOT NULL, anonymous_data_collection boolean,
  send_newsletter boolean, tombstone boolean, notifications jsonb, notification_settings jsonb,
  geography geography_type NOT NULL DEFAULT 'AUTO', webhook_operation_configs jsonb,
  organization_id uuid REFERENCES organization (id),
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE permission (
  id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
  workspace_id uuid REFERENCES workspace (id) ON DELETE CASCADE,
  organization_id uuid REFERENCES organization (id), permission_type permission_type NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT permission_check_workspace_id_or_organization_id
    CHECK (workspace_id IS NULL OR organization_id IS NULL));
CREATE TABLE sso_config (
  id uuid PRIMARY KEY, organization_id uuid NOT NULL UNIQUE REFERENCES organization (id),
  keycloak_realm varchar(256) NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE actor_definition (
  id uuid PRIMARY KEY, name varchar(256) NOT NULL, icon varchar(256), actor_type actor_type NOT NULL,
  source_type source_type, tombstone boolean NOT NULL DEFAULT false, resource_requirements jsonb,
  public boolean NOT NULL DEFAULT false, custom boolean NOT NULL DEFAULT false,
  max_seconds_between_messages int, default_version_id uuid,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE actor_definition_version (
  id uuid PRIMARY KEY, actor_definition_id uuid NOT NULL REFERENCES actor_definition (id),
  docker_repository varchar(256) NOT NULL, docker_image_tag varchar(256) NOT NULL,
  spec jsonb NOT NULL, protocol_version varchar(256), release_date date, release_stage release_stage,
  support_state support_state NOT NULL DEFAULT 'supported', support_level support_level NOT NULL,
  allowed_hosts jsonb, suggested_streams jsonb, supports_dbt boolean,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (actor_definition_id, docker_image_tag));
ALTER TABLE actor_definition ADD CONSTRAINT actor_definition_default_version_id_fkey
  FOREIGN KEY (default_version_id) REFERENCES actor_definition_version (id);
CREATE TABLE actor_definition_breaking_change (
  actor_definition_id uuid NOT NULL REFERENCES actor_definition (id), version varchar(256) NOT NULL,
  migration_documentation_url varchar(256) NOT NULL, upgrade_deadline date NOT NULL,
  message text NOT NULL, scoped_impact jsonb,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (actor_definition_id, version));
CREATE TABLE actor_definition_workspace_grant (
  actor_definition_id uuid NOT NULL REFERENCES actor_definition (id), workspace_id uuid,
  scope_id uuid, scope_type scope_type NOT NULL DEFAULT 'workspace',
  CONSTRAINT actor_definition_workspace_gr_workspace_id_actor_definition_key
    UNIQUE (workspace_id, actor_definition_id));
CREATE TABLE actor (
  id uuid PRIMARY KEY, workspace_id uuid NOT NULL REFERENCES workspace (id),
  actor_definition_id uuid NOT NULL REFERENCES actor_definition (id), name varchar(256) NOT NULL,
  configuration jsonb NOT NULL, actor_type actor_type NOT NULL,
  tombstone boolean NOT NULL DEFAULT false, default_version_id uuid,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX actor_workspace_id_idx ON actor (workspace_id);
CREATE TABLE actor_catalog (
  id uuid PRIMARY KEY, catalog jsonb NOT NULL, catalog_hash varchar(32) NOT NULL,
  created_at timestamptz NOT NULL, modified_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE actor_catalog_fetch_event (
  id uuid PRIMARY KEY, actor_catalog_id uuid NOT NULL REFERENCES actor_catalog (id),
  actor_id uuid NOT NULL REFERENCES actor (id), config_hash varchar(32) NOT NULL,
  actor_version varchar(256) NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), modified_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE connection (
  id uuid PRIMARY KEY, namespace_definition namespace_definition_type NOT NULL,
  namespace_format varchar(256), prefix varchar(256),
  source_id uuid NOT NULL REFERENCES actor (id), destination_id uuid NOT NULL REFERENCES actor (id),
  name varchar(256) NOT NULL, catalog jsonb NOT NULL, status status_type, schedule jsonb,
  manual boolean, resource_requirements jsonb, source_catalog_id uuid REFERENCES actor_catalog (id),
  schedule_type schedule_type, schedule_data jsonb,
  geography geography_type NOT NULL DEFAULT 'AUTO',
  non_breaking_change_preference non_breaking_change_preference_type NOT NULL DEFAULT 'ignore',
  breaking_change boolean NOT NULL DEFAULT false, field_selection_data jsonb,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX connection_source_id_idx ON connection (source_id);
CREATE INDEX connection_destination_id_idx ON connection (destination_id);
CREATE TABLE operation (
  id uuid PRIMARY KEY, workspace_id uuid NOT NULL REFERENCES workspace (id),
  name varchar(256) NOT NULL, operator_type operator_type NOT NULL, operator_normalization jsonb,
  operator_dbt jsonb, operator_webhook jsonb, tombstone boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE connection_operation (
  id uuid NOT NULL, connection_id uuid NOT NULL REFERENCES connection (id),
  operation_id uuid NOT NULL REFERENCES operation (id),
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id, connection_id, operation_id));
CREATE TABLE connection_timeline_event (
  id uuid PRIMARY KEY, connection_id uuid NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
  user_id uuid REFERENCES "user" (id), event_type varchar NOT NULL, summary jsonb,
  created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX idx_connection_timeline_connection_id
  ON connection_timeline_event (connection_id, created_at DESC, event_type);
CREATE TABLE notification_configuration (
  id uuid PRIMARY KEY, enabled boolean NOT NULL, notification_type notification_type NOT NULL,
  connection_id uuid NOT NULL REFERENCES connection (id),
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE schema_management (
  id uuid PRIMARY KEY, connection_id uuid NOT NULL UNIQUE REFERENCES connection (id),
  auto_propagation_status auto_propagation_status NOT NULL DEFAULT 'ignore',
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE state (
  id uuid NOT NULL, connection_id uuid NOT NULL REFERENCES connection (id), state jsonb,
  stream_name text, namespace text, type state_type NOT NULL DEFAULT 'LEGACY',
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id, connection_id),
  CONSTRAINT state__connection_id__stream_name__namespace__uq
    UNIQUE (connection_id, stream_name, namespace));
CREATE TABLE stream_reset (
  id uuid NOT NULL, connection_id uuid NOT NULL, stream_namespace text, stream_name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT stream_reset_connection_id_stream_name_stream_namespace_key
    UNIQUE (connection_id, stream_name, stream_namespace));
CREATE TABLE stream_generation (
  id uuid PRIMARY KEY, connection_id uuid NOT NULL, stream_name varchar NOT NULL,
  stream_namespace varchar, generation_id bigint NOT NULL, start_job_id bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE declarative_manifest (
  actor_definition_id uuid NOT NULL REFERENCES actor_definition (id),
  description varchar(256) NOT NULL, manifest jsonb NOT NULL, spec jsonb NOT NULL,
  version bigint NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (actor_definition_id, version));
CREATE TABLE connector_builder_project (
  id uuid PRIMARY KEY, workspace_id uuid NOT NULL REFERENCES workspace (id),
  name varchar(256) NOT NULL, manifest_draft jsonb, actor_definition_id uuid,
  tombstone boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE workload (
  id varchar(256) PRIMARY KEY, dataplane_id varchar(256), status workload_status NOT NULL,
  input_payload text NOT NULL, last_heartbeat_at timestamptz, log_path text NOT NULL,
  geography varchar, mutex_key varchar, type workload_type NOT NULL DEFAULT 'sync',
  termination_source varchar, termination_reason text, deadline timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX workload_status_idx ON workload (status);
-- Not a table of Airbyte: kinds of values whose real bearers are tables left out of this subset.
CREATE TABLE lab_peculiar_values (
  "Id" bigint PRIMARY KEY, "Mixed Case" text, a_bytea bytea, text_array text[], int_grid int[][],
  uuid_array uuid[], enum_array status_type[], big_number numeric, a_double double precision,
  a_date date, a_time timetz, an_interval interval, an_inet inet, a_range int8range, a_json json,
  char_padded char(8), always_null text);
