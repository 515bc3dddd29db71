"""`python -m db_migration` is the same as `db-migration`."""

if __name__ == "__main__":
    try:
        from db_migration.cli.app import app

        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
