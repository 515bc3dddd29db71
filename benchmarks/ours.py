"""Our own side of a measurement: the DB Migration Script with its own configuration and roles.

Run as `python -m benchmarks.ours CONFIG seed|verified|verify`: one measured run in a process of its
own, so that start and imports count as they do for the peers; prints one line of JSON.
"""

from __future__ import annotations

import compileall
import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.servers import Server
from db_migration import config as configuration
from db_migration.config import slot_name
from db_migration.context import Context
from db_migration.following import prepare
from db_migration.seeding import seed
from db_migration.verification import verify

ROOT = Path(__file__).parents[1]
TARGET_SETUP = ROOT / "db_migration" / "target_setup.sql"
PASSWORD = "benchmark-migration"  # noqa: S105 - of servers that live as long as the measurement
FEED = "prod-to-core-worker-01"
CONTROL, MIRROR = "airbyte_migration", "airbyte_mirror"
SLOT = slot_name("core-worker-01")


def set_up(folder: Path, source: Server, target: Server, database: str) -> Path:
    """Make roles and databases of the target as Pulumi does; return the path of the configuration.

    The source gets what `prepare` gives it: the feed's role and the publication.
    """
    for package in ("airbyte", "db_migration"):
        compileall.compile_dir(ROOT / package, quiet=1)  # as in the image
    if not target.value("SELECT true FROM pg_roles WHERE rolname = 'airbyte_migration'"):
        script = TARGET_SETUP.read_text()
        for name in ("migration", "airbyte"):
            script = script.replace(f":'{name}_password'", f"'{PASSWORD}'")
        for statement in script.split(";\n"):
            if statement.strip():
                target.run(statement)
    path = _configuration(folder, source, target, database)
    context = load(path)
    prepare.create_role(context)
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
        "name": FEED,
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
        "control": {**here, "database": CONTROL},
        "feeds": [feed],
        "poll_seconds": 0.1,
        "verify_every_seconds": 86400,
    }
    path = folder / "config.json"
    path.write_text(json.dumps(whole))
    return path


def load(path: Path) -> Context:
    """Return the one feed of the configuration."""
    config = configuration.load(path)
    return Context(config, config.feeds[0])


def measured(path: Path, what: str) -> dict[str, Any]:
    """Do one measured piece of work."""
    began = time.monotonic()
    context = load(path)
    found: dict[str, Any] = {}
    if what == "verify":
        found = {"differences": verify.verify(context).as_dict()["differences"]}
    else:
        found = asdict(seed.seed(context, verify=what == "verified"))
    return {
        **found,
        "inside_seconds": time.monotonic() - began,
        "memory_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "pg_dump_memory_kib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
    }


def main() -> int:
    """Measure once; exit 3 when the copies differ."""
    found = measured(Path(sys.argv[1]), sys.argv[2])
    sys.stdout.write(json.dumps(found) + "\n")
    return 3 if found.get("differences") else 0


if __name__ == "__main__":
    raise SystemExit(main())
