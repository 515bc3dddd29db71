"""The commands `failover` and `failback`: prod goes where it can be, and home again."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from db_migration import config_file
from db_migration.cli.base import DEFAULT, AsJson, ConfigPath, finite, reported
from db_migration.cli.options import Drain, DrainSeconds, DryRun, with_drain
from db_migration.errors import DeadlinePassedError
from db_migration.failback.failback import failback
from db_migration.failover.failover import Failover
from db_migration.failover.plan import Kind
from db_migration.verification import report

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
        callback=finite,
        metavar="SECONDS",
        help="Instead of your word, where prod's database answers: its Airbyte is shut out there, "
        "and this time passes, the longest that a sync of yours takes.",
    ),
]


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
        loaded, down = config_file.load(config), frozenset(host_is_down or ())
        hosts = {instance.host for instance in loaded.instances}
        if unknown := sorted(down - hosts):
            known = ", ".join(sorted(hosts)) or "no host, for none is configured"
            msg = f"--host-is-down must name one of {known}, got {', '.join(unknown)}"
            raise typer.BadParameter(msg)
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
        run = failback(with_drain(config_file.load(config), drain, drain_seconds))
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
    for line in found["lacks"]:
        out.print(f"lacks: {line}")
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
