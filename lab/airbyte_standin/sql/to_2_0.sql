-- Shape of the config migrations between 1.8.5 and 2.0.
ALTER TYPE status_type ADD VALUE 'locked';
CREATE TABLE "group" (
  id uuid PRIMARY KEY, name varchar NOT NULL, description text,
  organization_id uuid NOT NULL REFERENCES organization (id),
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
ALTER TABLE permission ADD COLUMN service_account_id uuid;
