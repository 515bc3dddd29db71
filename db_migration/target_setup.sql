-- What one of our servers (PostgreSQL 16 or newer) has, so that it can be a feed's target and prod's own.
-- Pulumi declares the same (components/airbyte_databases.py); the tests run this file, so it is true.
-- Run as an administrator:
--   psql -v migration_password=... -v airbyte_password=... -f target_setup.sql

-- Airbyte's role: owns what is in the mirror, and the working database. Not a superuser.
CREATE ROLE airbyte LOGIN PASSWORD :'airbyte_password';

-- A login for each Airbyte, which acts as `airbyte`. NOINHERIT: the owner's right to connect is not
-- theirs, so the database admits or shuts out each of them by CONNECT alone.
CREATE ROLE airbyte_prod LOGIN NOINHERIT IN ROLE airbyte PASSWORD :'airbyte_password';
CREATE ROLE airbyte_replica LOGIN NOINHERIT IN ROLE airbyte PASSWORD :'airbyte_password';
ALTER ROLE airbyte_prod SET role = 'airbyte';
ALTER ROLE airbyte_replica SET role = 'airbyte';

-- The feed's role. CREATEDB: it makes every new copy in a database of its own and renames databases.
-- REPLICATION: the other server subscribes with it when this one is prod's.
CREATE ROLE airbyte_migration LOGIN CREATEDB REPLICATION PASSWORD :'migration_password';

-- SET: tables are made in Airbyte's name, and the apply worker acts as their owner.
-- INHERIT: it may rename and comment on databases that Airbyte's role owns.
GRANT airbyte TO airbyte_migration WITH INHERIT TRUE, SET TRUE;

-- To end the sessions of an Airbyte that is shut out.
GRANT airbyte_prod, airbyte_replica TO airbyte_migration WITH INHERIT TRUE, SET FALSE;

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

-- Temporal's, made anew by each Airbyte that comes here: its data is never migrated.
CREATE DATABASE temporal OWNER airbyte;
REVOKE ALL ON DATABASE temporal FROM PUBLIC;
CREATE DATABASE temporal_visibility OWNER airbyte;
REVOKE ALL ON DATABASE temporal_visibility FROM PUBLIC;
