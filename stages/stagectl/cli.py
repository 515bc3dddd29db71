"""The command line of stagectl."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stages.stagectl import commands, preview_markdown, preview_stage, status
from stages.stagectl.commands import DEFAULT_BACKUPS, Outcome, Workbench
from stages.stagectl.errors import ExitCode, StagectlError, UsageError
from stages.stagectl.preview import Preview
from stages.stagectl.preview_report import Report
from stages.stagectl.pulumi_cli import Pulumi
from stages.stagectl.report import Reporter
from stages.stagectl.stackfile import Project
from stages.stagectl.state import Json

EXIT_CODES = ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Move the one deployment from stage to stage (v0, v1, v2) with a way back.\n\n"
    f"Exit codes: {EXIT_CODES}.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
ProjectDir = Annotated[
    Path, typer.Option(help="Folder of Pulumi.yaml, or one below it.", file_okay=False)
]
Backups = Annotated[
    Path,
    typer.Option(help="Where backups and journals are kept.", envvar="STAGECTL_BACKUPS"),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command()
def promote(  # noqa: PLR0913
    source: Annotated[str, typer.Argument(help="Stage that holds the deployment.")],
    dest: Annotated[str, typer.Argument(help="The next stage.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do it on a copy of the states only, and forget it.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    project_dir: ProjectDir = Path(),
    backups: Backups = DEFAULT_BACKUPS,
) -> None:
    """Move the deployment's state from SOURCE to DEST, the next stage.

    Backs up both states, moves everything, and previews DEST: if that would replace or delete
    anything, all is put back. Changes no resource; `pulumi up --stack DEST` then adds what is
    new. May be killed at any moment: run it again and it goes on.
    """

    def verb(bench: Workbench) -> None:
        if not (dry_run or yes or _somebody_to_ask(as_json=as_json)):
            raise _nobody()
        if not yes or dry_run:
            rehearsed = commands.rehearse(bench, source, dest)
            if dry_run:
                _print_outcome(rehearsed, as_json=as_json)
                return
            _print_preview(Console(stderr=True, highlight=False), rehearsed.preview)
            _confirm(f"Move the deployment from {source} to {dest}?")
        _print_outcome(commands.promote(bench, source, dest), as_json=as_json)

    _run(verb, as_json=as_json, project_dir=project_dir, backups=backups)


@app.command()
def undo(
    yes: Yes = False,
    as_json: AsJson = False,
    project_dir: ProjectDir = Path(),
    backups: Backups = DEFAULT_BACKUPS,
) -> None:
    """Take back the last promotion, finished or not, from its backups.

    Refused once `pulumi up` has worked on the destination; a cut-over is not undone by moving
    state. May be killed and run again.
    """

    def verb(bench: Workbench) -> None:
        if not (yes or _somebody_to_ask(as_json=as_json)):
            raise _nobody()
        if not yes:
            _confirm("Take back the last promotion?")
        _print_outcome(commands.undo(bench), as_json=as_json)

    _run(verb, as_json=as_json, project_dir=project_dir, backups=backups)


@app.command(name="preview")
def preview_one(  # noqa: PLR0913
    stage: Annotated[str, typer.Argument(help="Stage to preview.")],
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a Markdown comment, also for an error.")
    ] = False,
    limit: Annotated[
        int, typer.Option(help="Most bytes of the comment.", min=preview_markdown.LEAST_BYTES)
    ] = preview_markdown.COMMENT_BYTES,
    as_json: AsJson = False,
    project_dir: ProjectDir = Path(),
    backups: Backups = DEFAULT_BACKUPS,
) -> None:
    """Show what `pulumi up --stack STAGE` would do, on the deployment promoted to STAGE.

    Works on a copy of the states in a backend of its own and asks no host. Shows names of
    changed properties, never values.
    """

    def verb(bench: Workbench) -> None:
        if markdown and as_json:
            raise UsageError(found="--markdown and --json", needed="one", way_out="Drop one.")
        try:
            report = preview_stage.look(bench, stage)
        except StagectlError as error:
            if markdown:
                print(preview_markdown.render_error(stage, error, limit), end="")
            raise
        if markdown:
            print(preview_markdown.render(report, limit), end="")
        else:
            _print_report(report, as_json=as_json)
        raise typer.Exit(report.exit_code)

    _run(verb, as_json=as_json, project_dir=project_dir, backups=backups)


@app.command(name="status")
def show_status(
    hosts: Annotated[bool, typer.Option(help="Ask the hosts for their markers.")] = True,
    as_json: AsJson = False,
    project_dir: ProjectDir = Path(),
    backups: Backups = DEFAULT_BACKUPS,
) -> None:
    """Tell which stack holds the deployment, the last promotion, and the hosts' markers."""

    def verb(bench: Workbench) -> None:
        found = status.read(bench, ask_hosts=hosts)
        if as_json:
            _print_json(found.as_json())
        else:
            Console().print(found.as_table())

    _run(verb, as_json=as_json, project_dir=project_dir, backups=backups)


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="stagectl")


def _run(
    verb: Callable[[Workbench], None], *, as_json: bool, project_dir: Path, backups: Path
) -> None:
    try:
        project = Project.find(project_dir.resolve())
        reporter = Reporter()
        pulumi = Pulumi(project_dir=project.folder, reporter=reporter)
        bench = Workbench(project=project, pulumi=pulumi, reporter=reporter, backups=backups)
        with bench.locked() as locked:
            verb(locked)
    except StagectlError as error:
        _print_error(error, as_json=as_json)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        way_out = "Interrupted. Run the same command again to go on, or `stagectl undo`."
        Console(stderr=True).print(way_out)
        raise typer.Exit(ExitCode.INTERRUPTED) from error


def _somebody_to_ask(*, as_json: bool) -> bool:
    return sys.stdin.isatty() and not as_json


def _confirm(question: str) -> None:
    if not typer.confirm(question, err=True):
        raise UsageError(found="your no", needed="a yes", way_out="Nothing was changed.")


def _nobody() -> UsageError:
    return UsageError(
        found="nobody to ask",
        needed="a decision",
        way_out="Add --yes (or, to look only: --dry-run, `stagectl status`).",
    )


def _print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        _print_json(outcome.as_json())
        return
    source, dest = outcome.source, outcome.dest
    count = f"{outcome.resources} resources"
    sayings = {
        "promoted": f"{dest} holds the deployment ({count}). Next: pulumi up --stack {dest}",
        "already": f"{dest} holds the deployment already ({count}).",
        "unfinished": f"A promotion {source} -> {dest} is unfinished: run it without --dry-run.",
        "rehearsed": f"Rehearsed on a copy: {count} can move to {dest}. Nothing was changed.",
        "undone": f"{source} holds the deployment again ({count}).",
    }
    console = Console(highlight=False)
    _print_preview(console, outcome.preview)
    console.print(sayings[outcome.result], soft_wrap=True)
    if outcome.backups:
        console.print(f"Backups and journal: {outcome.backups}", soft_wrap=True)
    if outcome.result == "promoted":
        console.print("Back, as long as nothing ran since: stagectl undo")


def _print_report(report: Report, *, as_json: bool) -> None:
    if as_json:
        _print_json(report.as_json())
        return
    console = Console(highlight=False)
    for line in (f"{report.stage}: {report.summary}", report.sentence):
        console.print(line, markup=False, soft_wrap=True)
    for change in report.preview.violations:
        warning = f"warning: would {change.op} {change.name} ({change.type})"
        console.print(warning, markup=False, soft_wrap=True, style="bold red")
    _print_preview(console, report.preview)


def _print_preview(console: Console, preview: Preview | None) -> None:
    if preview is not None:
        console.print(preview.as_table())


def _print_error(error: StagectlError, *, as_json: bool) -> None:
    if as_json:
        facts = {"found": error.found, "needed": error.needed, "way_out": error.way_out}
        facts |= {"details": error.details} if error.details else {}
        preview = error.preview.as_json() if error.preview else None
        _print_json({"error": facts, "exit_code": int(error.exit_code), "preview": preview})
    console = Console(stderr=True, highlight=False)
    _print_preview(console, error.preview)
    for label, text in (
        ("error", error.details.removeprefix("error: ") or error.found),
        ("needed", error.needed),
        ("way out", error.way_out),
    ):
        console.print(f"{label}: {text}", markup=False, soft_wrap=True)


def _print_json(document: Json) -> None:
    print(json.dumps(document, indent=2))
