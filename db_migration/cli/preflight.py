"""The command `preflight`."""

from __future__ import annotations

import typer

from db_migration import config_file
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, feeds_of, reported
from db_migration.context import context_of
from db_migration.errors import ExitCode
from db_migration.preflight import preflight
from db_migration.preflight.checklist import counted, exit_code
from db_migration.verification import report


def preflight_command(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Check, without changing anything, whether each feed can work and what a move endangers.

    Exit code 0: every check passed. 5: warnings only. 3: a check failed, or there is no feed on
    this host. 2: the configuration can not be used. Rights are tried in transactions that are
    rolled back.
    """
    with reported(as_json):
        loaded = config_file.load(config)
        found = {
            feed.name: preflight.preflight(context_of(loaded, feed)) for feed in feeds_of(loaded)
        }
        checks = [check for of_feed in found.values() for check in of_feed]
        if as_json:
            listed = [
                {"name": name, "counts": counted(of_feed), "checks": [c.as_dict() for c in of_feed]}
                for name, of_feed in found.items()
            ]
            report.print_json({"deployment": loaded.deployment, "feeds": listed})
        else:
            for name, of_feed in found.items():
                report.print_checks(name, of_feed)
        if exit_code(checks) is not ExitCode.OK:
            raise typer.Exit(exit_code(checks))
