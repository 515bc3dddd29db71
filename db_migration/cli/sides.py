"""Commands that change which side is active: cutover, failover, rebuild; and idle beside them."""

from __future__ import annotations

import signal
import threading
from typing import Annotated, Any

import typer
from rich.console import Console

from db_migration import config as configuration
from db_migration.airbytes import connections
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, reported
from db_migration.config import Config, DrainPolicy, InstanceConfig
from db_migration.context import over_ssh
from db_migration.cutover import cutover
from db_migration.cutover import report as cutover_report
from db_migration.errors import ConfigError, DeadlinePassedError
from db_migration.failback.failback import failback
from db_migration.failover.failover import Failover
from db_migration.failover.plan import Kind
from db_migration.rebuild import rebuild
from db_migration.sides.hosts import HostControl
from db_migration.verification import report

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be done, and on which evidence.")
]
HostIsDown = Annotated[
    list[str] | None,
    typer.Option(
        help="Your word that this host is down (repeatable). Asked for only where it does not "
        "answer, because one that is merely cut off may go on syncing."
    ),
]

LongestSync = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="Instead of your word, where prod's database answers: its Airbyte is shut out there, "
        "and this time passes, the longest that a sync of yours takes.",
    ),
]

Drain = Annotated[
    DrainPolicy | None,
    typer.Option(help="What to do about syncs that still run after the time to drain."),
]
DrainSeconds = Annotated[
    float | None, typer.Option(min=1, help="How long running syncs may take to end.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("cutover")(cutover_command)
    app.command("failover")(failover_command)
    app.command("failback")(failback_command)
    app.command("rebuild")(rebuild_command)
    app.command("idle")(idle_command)


def cutover_command(  # noqa: PLR0913 - each is an option
    config: ConfigPath = DEFAULT,
    hold: Annotated[bool, typer.Option("--hold", help="Only check the gates.")] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Put compose back, if no write has moved on yet.")
    ] = False,
    leave: Annotated[
        bool, typer.Option("--leave", help="Only refuse while an abctl is prod (for a destroy).")
    ] = False,
    drain: Drain = None,
    drain_seconds: DrainSeconds = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Move prod, as planned: drain, fence compose, prove both copies equal, promote, activate.

    Runs beside core-worker-01. Until the new side has taken a write, any failure puts compose back;
    run it again to go on with one that was interrupted.
    """
    if sum((hold, abort, leave, dry_run)) > 1:
        msg = "give one of --hold, --abort, --leave and --dry-run"
        raise typer.BadParameter(msg)
    mode = cutover.Mode.GO
    for asked, other in (
        (hold, cutover.Mode.HOLD),
        (abort, cutover.Mode.ABORT),
        (leave, cutover.Mode.LEAVE),
        (dry_run, cutover.Mode.DRY_RUN),
    ):
        mode = other if asked else mode
    with reported(as_json):
        say = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        means = cutover.Means(host=_host, prove=connections.touch_and_prove, say=say.print)
        loaded = _with_drain(configuration.load(config), drain, drain_seconds)
        found = cutover.run(loaded, mode, means)
        if as_json:
            report.print_json(found)
        else:
            cutover_report.show(found)


def _with_drain(loaded: Config, policy: DrainPolicy | None, seconds: float | None) -> Config:
    given = {"drain": policy, "drain_seconds": seconds}
    change = {key: asked for key, asked in given.items() if asked is not None}
    if loaded.cutover is None or not change:
        return loaded
    return loaded.model_copy(update={"cutover": loaded.cutover.model_copy(update=change)})


def _host(instance: InstanceConfig) -> HostControl:
    control = over_ssh(instance)
    if control is None:
        raise ConfigError(instance.name, [f"`{instance.name}` has no `host_control`"])
    return control


def failover_command(
    config: ConfigPath = DEFAULT,
    host_is_down: HostIsDown = None,
    longest_sync: LongestSync = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make an up-to-date Airbyte available after the death of a host.

    Decides from what it observes; needs neither Pulumi nor the dead host. Run it again if it was
    interrupted. Exit code 3: it must not, or not without your word; the error says what to type.
    """
    with reported(as_json):
        loaded, down = configuration.load(config), frozenset(host_is_down or ())
        run = Failover(loaded, down=down, longest_sync=longest_sync)
        _carry_out(run, dry_run=dry_run, as_json=as_json)


def failback_command(
    config: ConfigPath = DEFAULT,
    drain: Drain = None,
    drain_seconds: DrainSeconds = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Bring prod back home after a failover, once everything answers again; no row is lost.

    Syncs drain, the active Airbyte is stopped, the copy at home applies all that is left and is
    promoted, prod starts there. Run `rebuild` before it and after it.
    """
    with reported(as_json):
        run = failback(_with_drain(configuration.load(config), drain, drain_seconds))
        _carry_out(run, dry_run=dry_run, as_json=as_json)


def _carry_out(run: Failover, *, dry_run: bool, as_json: bool) -> None:
    """Say what is to be done and do it, or only say it."""
    if dry_run:
        _print_plan(run, as_json)
        return
    if not as_json:
        _say_plan(run)
    try:
        run.run()
    except DeadlinePassedError:
        _print_report(run, as_json)
        raise
    _print_report(run, as_json)


def _print_plan(run: Failover, as_json: bool) -> None:
    if not as_json:
        _say_plan(run)
        return
    steps = [{"name": step.name, "what": step.text} for step in run.steps()]
    words = {"words_needed": run.missing_words, "command": run.command}
    report.print_json({**run.report.as_dict(), "dry_run": True, "steps": steps, **words})


def _say_plan(run: Failover) -> None:
    out = Console(markup=False, highlight=False, soft_wrap=True)
    for line in run.plan.evidence:
        out.print(f"seen: {line}")
    out.print(f"decision: {run.plan.kind}: {run.plan.why}")
    if run.plan.kind is not Kind.NOTHING:
        out.print(f"lost: {run.plan.rpo}")
    for number, step in enumerate(run.steps(), start=1):
        out.print(f"{number:2}. {step.name}: {step.text}")
    if run.missing_words:
        out.print(f"needs your word; type: {run.command}")


def _print_report(run: Failover, as_json: bool) -> None:
    """Print what was reached, also when a wait has ended in vain: the phases are known."""
    found: dict[str, Any] = run.report.as_dict()
    phases = found["seconds"]
    if as_json:
        report.print_json({**found, "dry_run": False})
        return
    out = Console(markup=False, highlight=False, soft_wrap=True)
    out.print("seconds: " + ", ".join(f"{name} {taken:.2f}" for name, taken in phases.items()))
    first = found["first_write_seconds"]
    for who in ("database", "airbyte"):
        if first[who] is not None:
            out.print(f"first write accepted by the {who}: {first[who]:.2f} s after the command")
    proven = run.report.connections
    if proven is not None:
        out.print(
            f"connections: {proven.scheduled} of {proven.active} active ones are scheduled, "
            f"touched within {proven.touch_seconds:.1f} s"
        )
        for job in proven.interrupted:
            out.print(f"cut off with the old side: {job}")


def rebuild_command(
    config: ConfigPath = DEFAULT,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    deadline: Annotated[
        float, typer.Option(help="Give up waiting for the mirror after so many seconds.")
    ] = rebuild.FOLLOW_SECONDS,
) -> None:
    """Bring redundancy back, while prod runs: a lost mirror, a returned server, a standby.

    What prod once wrote on a returned server is kept under another name. Safe to repeat.
    """
    with reported(as_json):
        found = rebuild.rebuild(configuration.load(config), dry_run=dry_run, seconds=deadline)
        if as_json:
            report.print_json({**found.as_dict(), "dry_run": dry_run})
            return
        out = Console(markup=False, highlight=False, soft_wrap=True)
        head = "would be done" if dry_run else "done"
        out.print(f"{len(found.done)} thing(s) {head}" + ("" if found.done else ": all is there"))
        for line in found.done:
            out.print(f"  - {line}")
        for silent in found.waiting_for:
            out.print(f"  {silent} does not answer: run this again when it is back")


def idle_command(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> None:
    """Wait for SIGTERM: keeps the container of a host without a database server of its own.

    So that `docker exec db-migration db-migration failover` works there, too. Ends by itself when
    the configuration has changed, to be started with the new one.
    """
    with reported(as_json):
        idle(configuration.load(config))


def idle(loaded: Config) -> None:
    """Wait until SIGTERM, or until the configuration has changed."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(loaded.poll_seconds) and not loaded.outdated():
        continue
