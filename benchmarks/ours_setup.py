"""What our side of a measurement needs on both servers before it begins, as Pulumi makes it."""

from __future__ import annotations

import compileall
import json
from pathlib import Path

from benchmarks import ours
from benchmarks.servers import Server
from db_migration.following import prepare, reader_role

TARGET_SETUP = ours.ROOT / "db_migration" / "target_setup.sql"
PASSWORD = "benchmark-migration"  # noqa: S105 - of servers that live as long as the measurement


def set_up(folder: Path, source: Server, target: Server, database: str) -> Path:
    """Make roles and databases of the target as Pulumi does; return the path of the configuration.

    The source gets what `prepare` gives it: the feed's role and the publication.
    """
    for package in ("airbyte", "db_migration"):
        compileall.compile_dir(ours.ROOT / package, quiet=1)  # as in the image
    if not target.value("SELECT true FROM pg_roles WHERE rolname = 'airbyte_migration'"):
        script = TARGET_SETUP.read_text()
        for name in ("migration", "airbyte"):
            script = script.replace(f":'{name}_password'", f"'{PASSWORD}'")
        for statement in script.split(";\n"):
            if statement.strip():
                target.run(statement)
    path = _configuration(folder, source, target, database)
    context = ours.load(path)
    reader_role.create_role(context)
    prepare.publish(context)
    return path


def _configuration(folder: Path, source: Server, target: Server, database: str) -> Path:
    for name, text in (("migration", PASSWORD), ("owner", source.password)):
        (folder / name).write_text(text)
    migration = {"user": "airbyte_migration", "password_file": str(folder / "migration")}
    there = {"host": "127.0.0.1", "port": source.port}
    here = {"host": "127.0.0.1", "port": target.port, "sslmode": "disable", **migration}
    owner = {"user": source.user, "password_file": str(folder / "owner")}
    feed = {
        "name": ours.FEED,
        "source": {
            "name": "prod",
            **there,
            "database": database,
            "sslmode": "disable",
            "owner": owner,
            "reader": migration,
            "address_for_subscriber": there,
        },
        "target": {"name": "core-worker-01", **here},
    }
    whole = {
        "deployment": "benchmark",
        "control": {**here, "database": ours.CONTROL},
        "feeds": [feed],
        "poll_seconds": 0.1,
        "verify_every_seconds": 86400,
    }
    path = folder / "config.json"
    path.write_text(json.dumps(whole))
    return path
