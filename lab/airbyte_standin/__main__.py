"""Start the role that STANDIN_ROLE names."""

from __future__ import annotations

import importlib
import sys

from . import settings
from .runtime import log, stop_on_signals

ROLES = {
    "init": "small",
    "webapp": "small",
    "connector-builder-server": "small",
    "bootloader": "bootloader",
    "server": "server",
    "worker": "worker",
    "cron": "cron",
    "temporal": "temporal",
    "proxy": "proxy",
    "workload-api-server": "workloads",
    "workload-launcher": "launcher",
}


def main() -> int:
    """Run until the role ends or is stopped."""
    read = settings.read()
    if read.role not in ROLES:
        log(f"STANDIN_ROLE must be one of {', '.join(ROLES)}, got {read.role!r}")
        return 2
    stop_on_signals()
    # Only the role's own module is loaded: ten of these share a small machine.
    module = importlib.import_module(f".{ROLES[read.role]}", __package__)
    log(f"lab stand-in of Airbyte {read.version}, role {read.role}, instance {read.instance}")
    try:
        return int(module.run(read))
    except settings.StandinError as error:
        log(f"ERROR {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
