"""`python -m db_migration` is the same as `db-migration`."""

from db_migration.cli.app import app

if __name__ == "__main__":
    app()
