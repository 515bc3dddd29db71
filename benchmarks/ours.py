"""Our own side of a measurement: the DB Migration Script with its own configuration and roles.

Run as `python -m benchmarks.ours CONFIG seed|verified|verify`: one measured run in a process of its
own, so that start and imports count as they do for the peers, and the setup's imports do not;
prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from db_migration import config_file
from db_migration.config import slot_name
from db_migration.context import Context
from db_migration.seeding import seed
from db_migration.verification import verify

ROOT = Path(__file__).parents[1]
FEED = "prod-to-core-worker-01"
CONTROL, MIRROR = "airbyte_migration", "airbyte_mirror"
SLOT = slot_name("core-worker-01")


def load(path: Path) -> Context:
    """Return the one feed of the configuration."""
    config = config_file.load(path)
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
