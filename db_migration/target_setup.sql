-- What the feed's roles need on the target's server (PostgreSQL 16 or newer), and nothing more.
-- Pulumi declares the same (components/core_worker.py); the tests run this file, so it is true.
-- Run as an administrator:
--   psql -v migration_password=... -v airbyte_password=... -f target_setup.sql

-- Airbyte's role: owns what is in the mirror, and the working database. Not a superuser.
CREATE ROLE airbyte LOGIN PASSWORD :'airbyte_password';

-- The feed's role. CREATEDB: it makes every new copy in a database of its own and renames databases.
CREATE ROLE airbyte_migration LOGIN CREATEDB PASSWORD :'migration_password';

-- SET: tables are made in Airbyte's name, and the apply worker acts as their owner.
-- INHERIT: it may rename and comment on databases that Airbyte's role owns.
GRANT airbyte TO airbyte_migration WITH INHERIT TRUE, SET TRUE;

-- To subscribe without being a superuser.
GRANT pg_create_subscription TO airbyte_migration;

-- To keep the statement that holds the source's password out of the server's log.
GRANT SET ON PARAMETER log_statement, log_min_duration_statement, log_min_error_statement
    TO airbyte_migration;

-- Journal, intents, verification results.
CREATE DATABASE airbyte_migration OWNER airbyte_migration;
REVOKE ALL ON DATABASE airbyte_migration FROM PUBLIC;

-- The mirror: written by the feed alone. Airbyte's role gets CONNECT at promotion only.
CREATE DATABASE airbyte_mirror OWNER airbyte_migration;
REVOKE ALL ON DATABASE airbyte_mirror FROM PUBLIC;

-- The working database: empty until the first clone of the mirror is swapped in.
CREATE DATABASE airbyte OWNER airbyte;
REVOKE ALL ON DATABASE airbyte FROM PUBLIC;
