-- As airbyte/db does it: nothing sets wal_level, so it stays `replica`.
CREATE DATABASE airbyte;
GRANT ALL PRIVILEGES ON DATABASE airbyte TO docker;
ALTER SYSTEM SET max_connections = 150;
