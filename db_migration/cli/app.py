"""Command line of the DB Migration Script. Data on stdout, everything else on stderr."""

from __future__ import annotations

import gc
from importlib import import_module
from pathlib import Path
from typing import Annotated, cast

import typer
from typer.core import TyperCommand, TyperGroup

from db_migration import journal
from db_migration.cli.base import DEFAULT, Verb

VERBS = {
    "preflight": "preflight",
    "prepare": "source",
    "run": "run",
    "status": "status",
    "history": "status",
    "verify": "verify",
    "release": "source",
    "cutover": "cutover",
    "failover": "failover",
    "failback": "failover",
    "rebuild": "rebuild",
    "rehearse": "rehearse",
    "idle": "idle",
}
"""Each verb, and the module of this package that has its `<verb>_command`."""


class Verbs(TyperGroup):
    """Imports a verb when it is asked for: all of them take longer than `status` itself does."""

    def list_commands(self, ctx: object) -> list[str]:
        """Name every verb, in the order of `--help`."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | None:
        """Return a verb; of one that there is not, Typer suggests another, and must know them."""
        del ctx
        for name in (cmd_name,) if cmd_name in VERBS else VERBS:
            if name not in self.commands:
                self.commands[name] = _command(name)
        return cast("TyperCommand | None", self.commands.get(cmd_name))


def _command(verb: str) -> TyperCommand:
    # What is imported stays: looking for garbage in it again and again costs a tenth of the start.
    gc.disable()
    module = import_module(f"db_migration.cli.{VERBS[verb]}")
    gc.enable()
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(verb, cls=Verb)(getattr(module, f"{verb}_command"))
    return cast("TyperCommand", typer.main.get_command(alone))


app = typer.Typer(
    name="db-migration",
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def main(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option(envvar="DB_MIGRATION_CONFIG", help="Configuration file (JSON).")
    ] = DEFAULT,
) -> None:
    """Copies Airbyte's database to another server, keeps the copy in step and proves it equal."""
    journal.act_as(context.invoked_subcommand or "nothing")
    context.default_map = {name: {"config": str(config)} for name in VERBS}
