"""`make demo`: a running Airbyte goes from v0 to v2 and loses its host, under load."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab.demo import final, load, measure, places
from lab.demo.commands import CommandFailedError, captured, lab_environment, shown
from lab.demo.follow import following
from lab.demo.history import bring_up
from lab.demo.report import Copy, MainJob, Outcome, show
from lab.spec import LabSpec

CONSOLE = Console(width=100)

app = typer.Typer(add_completion=False)


def credentials(env: Mapping[str, str]) -> places.Credentials:
    """Open the lab's passwords, which the committed file of v2 holds all of."""
    command = ["pulumi", "config", "get", "--stack", "v0", "--config-file", "Pulumi.v2.yaml"]
    return places.credentials(lambda key: captured([*command, key], env).strip())


def verified_copy(env: Mapping[str, str]) -> Copy:
    """Have the DB Migration Script compare every table of prod and the copy by hash."""
    shown([*final.AGENT, "status"], env)
    feeds = json.loads(captured([*final.AGENT, "verify", "--json"], env))["feeds"]
    found = next(feed for feed in feeds if "skipped" not in feed)
    return Copy(
        tables=found["tables"],
        rows=found["rows"],
        source_bytes=found["source_bytes"],
        target_bytes=found["target_bytes"],
        equal=found["equal"],
    )


def run(rate: int, jobs: int) -> Outcome:
    """Run the commands of a migration under load; measure while they run and after them."""
    shown([sys.executable, "-m", "lab", "down"])
    shown([sys.executable, "-m", "lab", "up"])
    env = lab_environment()
    shown(["pulumi", "stack", "init", "v0", "--non-interactive"], env)
    stages = [bring_up("v0", env)]
    secrets = credentials(env)
    CONSOLE.print(f"\nfilling prod with {jobs:,} jobs through its API")
    measure.post("/lab/seed", {"connections": 20, "jobs": jobs}, secrets.prod_basic_auth)
    folder = LabSpec().folder / "load"
    with load.running(rate=rate, secrets=secrets, folder=folder, env=env) as generator:
        promotion = shown(["stagectl", "promote", "v0", "v1", "--yes"], env)
        stages.append(bring_up("v1", env))
        lag = measure.feed_lag(secrets, samples=50)
        missing = measure.missing_on_copy(generator.ids(), secrets)
        main = MainJob(
            stages=stages,
            promotion_seconds=promotion,
            copy=verified_copy(env),
            lag=lag,
            load=load.on_the_copy(generator, missing, load.restart_of_prod_database(env)),
        )
        with following(generator.target) as follower:
            ended = final.run(generator, follower, secrets, env)
    return Outcome(main=main, final=ended)


def dirty_files(env: Mapping[str, str]) -> str:
    """Return what `git status` says was changed, made or removed in the checkout."""
    return captured(["git", "status", "--porcelain"], env).strip()


@app.command()
def demo(
    rate: Annotated[int, typer.Option(help="writes a second on prod, all the time")] = 30,
    jobs: Annotated[int, typer.Option(help="jobs in prod before the copy starts")] = 5000,
) -> None:
    """Bring a running Airbyte from v0 to v2, kill prod's host, and measure it from outside."""
    started = time.monotonic()
    before = dirty_files({**lab_environment()}) if Path(".git").exists() else ""
    try:
        outcome = run(rate, jobs)
    except (CommandFailedError, TimeoutError) as error:
        CONSOLE.print(f"[red]the demo stopped:[/red] {error}; the output above says why")
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
        "  lab status                               the hosts; prod is dead\n"
        "  pulumi preview --stack v2                says so, and proposes nothing\n"
        "  lab start prod                           boots it; its database lets it do no harm\n"
        "  lab ssh core-worker-01 -- docker exec db-migration db-migration rebuild\n"
        "                                           makes it the standby\n"
        "  make clean-lab                           remove the lab"
    )
    raise typer.Exit(1 if problems else 0)


if __name__ == "__main__":
    app()
