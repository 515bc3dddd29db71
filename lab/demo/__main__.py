"""`make demo`: brings a running Airbyte from v0 to v1 with the product's own commands."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab.demo import load, measure
from lab.demo.commands import CommandFailedError, captured, lab_environment, shown
from lab.demo.history import last_update
from lab.demo.report import Copy, Outcome, Stage, show
from lab.spec import LabSpec

CONSOLE = Console(width=100)
HOST_COMMAND = ["python", "-m", "lab", "ssh", "core-worker-01", "--"]
AGENT = [*HOST_COMMAND, "docker", "exec", "db-migration", "db-migration"]

app = typer.Typer(add_completion=False)


def bring_up(stack: str, env: Mapping[str, str]) -> Stage:
    """Run `pulumi up` and read from the engine's history what it did."""
    seconds = shown(["pulumi", "up", "--yes", "--non-interactive", "--stack", stack], env)
    return Stage(name=stack, update=last_update(stack, env), seconds=seconds)


def verified_copy(env: Mapping[str, str]) -> Copy:
    """Have the DB Migration Script compare every table of prod and the copy by hash."""
    shown([*AGENT, "status"], env)
    found = json.loads(captured([*AGENT, "verify", "--json"], env))["feeds"][0]
    return Copy(
        tables=found["tables"],
        rows=found["rows"],
        source_bytes=found["source_bytes"],
        target_bytes=found["target_bytes"],
        equal=found["equal"],
    )


def run_main_job(rate: int, jobs: int) -> Outcome:
    """Run the three commands under load; measure while it runs and after it."""
    shown([sys.executable, "-m", "lab", "down"])
    shown([sys.executable, "-m", "lab", "up"])
    env = lab_environment()
    shown(["pulumi", "stack", "init", "v0", "--non-interactive"], env)
    stages = [bring_up("v0", env)]
    secrets = measure.credentials("v0", env)
    CONSOLE.print(f"\nfilling prod with {jobs:,} jobs through its API")
    measure.post("/lab/seed", {"connections": 20, "jobs": jobs}, secrets.prod_basic_auth)
    folder = LabSpec().folder / "load"
    with load.running(
        rate=rate, password=secrets.prod_basic_auth, folder=folder, env=env
    ) as generator:
        promotion = shown(["stagectl", "promote", "v0", "v1", "--yes"], env)
        stages.append(bring_up("v1", env))
        secrets = measure.credentials("v1", env)
        lag = measure.feed_lag(secrets, samples=50)
    ids = measure.acknowledged_ids(generator.acknowledged)
    return Outcome(
        stages=stages,
        promotion_seconds=promotion,
        copy=verified_copy(env),
        lag=lag,
        load=load.verdict(
            generator,
            measure.missing_on_copy(ids, secrets),
            load.restart_of_prod_database(env),
        ),
    )


def dirty_files(env: Mapping[str, str]) -> str:
    """Return what `git status` says was changed, made or removed in the checkout."""
    return captured(["git", "status", "--porcelain"], env).strip()


@app.command()
def demo(
    rate: Annotated[int, typer.Option(help="writes a second on prod while it is copied")] = 30,
    jobs: Annotated[int, typer.Option(help="jobs in prod before the copy starts")] = 5000,
) -> None:
    """Bring a running Airbyte from v0 to v1, under load, and measure it from outside."""
    started = time.monotonic()
    before = dirty_files({**lab_environment()}) if Path(".git").exists() else ""
    try:
        outcome = run_main_job(rate, jobs)
    except CommandFailedError as error:
        CONSOLE.print(f"[red]the demo stopped:[/red] {error}; its output above says why")
        raise typer.Exit(1) from error
    show(outcome, CONSOLE)
    problems = outcome.problems()
    if (after := dirty_files(lab_environment())) != before:
        problems.append(f"the demo changed files of the checkout:\n{after}")
    for problem in problems:
        CONSOLE.print(f"[red]not as promised:[/red] {problem}")
    CONSOLE.print(f"\ndemo took {time.monotonic() - started:.0f} s. The lab is still running:")
    CONSOLE.print(
        '  eval "$(.venv/bin/python -m lab env)"    then pulumi, stagectl and lab are on PATH\n'
        "  pulumi stack output --stack v1           where everything is, and what to do next\n"
        "  lab status                               the hosts\n"
        "  lab ssh core-worker-01 -- docker exec db-migration db-migration status\n"
        "  make clean-lab                           remove the lab"
    )
    raise typer.Exit(1 if problems else 0)


if __name__ == "__main__":
    app()
