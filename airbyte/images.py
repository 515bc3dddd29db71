"""Keys of the images that a deployment needs; the reference of each comes from the settings."""

DB_MIGRATION = "airbyte-migration/db-migration"
POSTGRES = "postgres"
SOCAT = "alpine/socat"

COMPOSE = (
    "airbyte/init",
    "airbyte/bootloader",
    "airbyte/db",
    "airbyte/worker",
    "airbyte/server",
    "airbyte/webapp",
    "airbyte/temporal",
    "airbyte/cron",
    "airbyte/connector-builder-server",
    "airbyte/proxy",
    SOCAT,
)
"""What compose 0.63.x runs."""

KNOWN = frozenset((*COMPOSE, DB_MIGRATION, POSTGRES))
"""Every key that some stage uses."""
