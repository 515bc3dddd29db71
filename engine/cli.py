"""Command line: ``ensure`` makes the engine ready, ``env`` prints how to use it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from engine import pins
from engine.ensure import Engine
from engine.ensure import ensure as make_ready
from engine.ensure import ready as find_ready
from engine.errors import EngineError

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)

Python = Annotated[
    Path,
    typer.Option(help="Interpreter of the environment that holds the Pulumi SDKs."),
]
Json = Annotated[bool, typer.Option("--json", help="Print data instead of a table.")]
# Not `sys.executable`: `python` and `python3` of one environment must find the same engine.
THIS_PYTHON = Path(sys.prefix) / "bin" / "python"


def _say(line: str) -> None:
    sys.stderr.write(f"engine: {line}\n")
    sys.stderr.flush()


def _fail(error: EngineError) -> typer.Exit:
    _say(f"error: {error}")
    return typer.Exit(1)


def _table(engine: Engine) -> Table:
    table = Table("piece", "version", "where it came from", "path", title="Pulumi engine")
    for piece in engine.pieces:
        table.add_row(piece.name, piece.version, piece.source, piece.path)
    return table


@app.command()
def ensure(python: Python = THIS_PYTHON, as_json: Json = False) -> None:
    """Make the pinned engine and plugins available; does nothing when they are."""
    try:
        # The link of a virtual environment must stay: what it points to has no SDKs.
        engine = make_ready(pins.load(), python.absolute(), _say)
    except EngineError as error:
        raise _fail(error) from error
    if as_json:
        typer.echo(json.dumps(asdict(engine), indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(_table(engine))


@app.command()
def env(python: Python = THIS_PYTHON, as_json: Json = False) -> None:
    """Print ``export`` lines that put the engine to use: ``eval "$(python -m engine env)"``."""
    engine = find_ready(pins.load(), python.absolute())
    if engine is None:
        error = EngineError(
            "the engine is not ready", "one run of ensure", "`python -m engine ensure`"
        )
        raise _fail(error)
    variables = engine.environment(os.environ.get("PATH", ""))
    if as_json:
        typer.echo(json.dumps(variables, indent=2))
        return
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
