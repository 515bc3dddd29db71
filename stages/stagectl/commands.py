"""The verbs of stagectl, apart from the command line: each returns what it did as data."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from stages.stagectl import checks, journal, lock, plan
from stages.stagectl.errors import RefusedError, UndoneError
from stages.stagectl.journal import Promotion
from stages.stagectl.markers import Markers, NoMarkers, SshMarkers, held_by
from stages.stagectl.preview import Preview
from stages.stagectl.promote import Promoter
from stages.stagectl.pulumi_cli import Pulumi
from stages.stagectl.report import Reporter
from stages.stagectl.stackfile import Project
from stages.stagectl.stacks import ASK_NO_HOST
from stages.stagectl.state import Json, State
from stages.stagectl.undo import Undo

DEFAULT_BACKUPS = Path("~/.cache/airbyte-migration/backups")


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """What every verb works with."""

    project: Project
    pulumi: Pulumi
    reporter: Reporter
    backups: Path
    markers: Markers | None = None
    """None: the hosts of the stack files."""

    @property
    def folder(self) -> Path:
        """Where this project's promotions are kept."""
        return self.backups.expanduser() / self.project.name

    def markers_for(self, *stacks: str) -> Markers:
        """Give the adapter to the hosts of these stacks."""
        return self.markers or SshMarkers.of(self.project, stacks, self.reporter)

    @contextmanager
    def locked(self) -> Iterator["Workbench"]:
        """Be the only stagectl, and leave the committed stack files as they are."""
        with (
            lock.held(self.folder, self.reporter) as handle,
            self.project.files_untouched(*plan.STAGES),
        ):
            yield replace(self, pulumi=replace(self.pulumi, keep_open=(handle,)))


@dataclass(frozen=True)
class Copy:
    """A backend of its own with copies of states: nothing real is reached from it."""

    pulumi: Pulumi
    folder: Path

    def promoter(self, source: str, dest: str, *, strict: bool = True) -> Promoter:
        """Give a promotion on the copy, which touches no host."""
        promotion = Promotion.begin(
            self.folder / "backups", source=source, dest=dest, backend=self.pulumi.backend()
        )
        return Promoter(
            pulumi=self.pulumi,
            markers=NoMarkers(),
            reporter=self.pulumi.reporter,
            promotion=promotion,
            strict=strict,
        )


@contextmanager
def copied(bench: Workbench, states: Mapping[str, State]) -> Iterator[Copy]:
    """Copy these states into a scratch `file://` backend, which is forgotten afterwards."""
    with tempfile.TemporaryDirectory(prefix="stagectl-") as scratch:
        backend = Path(scratch) / "backend"
        backend.mkdir()
        environment = {
            **bench.pulumi.environment,
            "PULUMI_BACKEND_URL": f"file://{backend}",
            ASK_NO_HOST: "true",
        }
        pulumi = replace(bench.pulumi, environment=environment)
        for stack, state in states.items():
            if state.document:
                pulumi.create(stack)
                pulumi.write(stack, state)
        yield Copy(pulumi, Path(scratch))


@dataclass(frozen=True)
class Outcome:
    """What a verb did."""

    result: str
    source: str
    dest: str
    resources: int
    backups: str | None = None
    preview: Preview | None = None

    def as_json(self) -> Json:
        """Give the form for --json."""
        return {
            "result": self.result,
            "source": self.source,
            "destination": self.dest,
            "resources": self.resources,
            "backups": self.backups,
            "preview": self.preview.as_json() if self.preview else None,
        }


def check(bench: Workbench, source: str, dest: str) -> tuple[Promotion | None, State, State]:
    """Run all checks; gives an unfinished promotion to go on with, and both states."""
    plan.check_order(source, dest)
    # Somebody may have thought long over a rehearsal: what it read is no ground to move on.
    bench.pulumi.look_again()
    states = read_states(bench, source, dest)
    unfinished = _unfinished(bench, source, dest)
    begun = unfinished is not None and unfinished.happened("backup")
    if not begun and not _already(states[source], states[dest]):
        holder = None if states[source].keys else _holder(bench)
        checks.check_source(source, dest, states[source], holder)
        checks.check_dest(dest, states[dest])
        checks.check_secrets_provider(states[source], states[dest])
    readings = bench.markers_for(source, dest).read()
    checks.check_markers(readings, source, dest, bench.project.settings(dest).deployment)
    return unfinished, states[source], states[dest]


def read_states(bench: Workbench, *stages: str) -> dict[str, State]:
    """Read the states of these stages, empty where there is no stack; all fit to work with."""
    for stage in stages:
        bench.project.check_stack_file(stage)
    stacks = bench.pulumi.stacks()
    states = {s: bench.pulumi.export(s) if s in stacks else State({}) for s in stages}
    checks.check_engine(bench.pulumi.version(), [s.written_by for s in states.values()])
    for stack, state in states.items():
        checks.check_pending(stack, state)
    return states


def promote(bench: Workbench, source: str, dest: str) -> Outcome:
    """Promote, or go on with a promotion that was interrupted."""
    unfinished, held, there = check(bench, source, dest)
    markers = bench.markers_for(source, dest)
    deployment = bench.project.settings(dest).deployment
    if unfinished is None and _already(held, there):
        left = held_by(markers.read(), source, deployment)
        for host in left:
            markers.move(host, source, dest)
        return Outcome("already", source, dest, len(there.keys))
    promotion = unfinished or Promotion.begin(
        bench.folder, source=source, dest=dest, backend=bench.pulumi.backend()
    )
    if unfinished:
        bench.reporter.say(f"Going on with the promotion begun at {promotion.began_at}")
    promoter = Promoter(
        pulumi=bench.pulumi,
        markers=markers,
        reporter=bench.reporter,
        promotion=promotion,
        deployment=deployment,
    )
    try:
        promoter.run()
    except UndoneError as error:
        error.preview = promoter.result
        raise
    count = len(held.keys | there.keys)
    return Outcome("promoted", source, dest, count, str(promotion.folder), promoter.result)


def rehearse(bench: Workbench, source: str, dest: str) -> Outcome:
    """Do the whole promotion on a copy of the states, in a backend of its own; then forget it."""
    unfinished, held, there = check(bench, source, dest)
    if unfinished or _already(held, there):
        result = "unfinished" if unfinished else "already"
        return Outcome(result, source, dest, len(held.keys | there.keys))
    with copied(bench, {source: held, dest: there}) as copy:
        promoter = copy.promoter(source, dest)
        try:
            promoter.run()
        except UndoneError as error:
            refusal = RefusedError(
                found=f"rehearsed on a copy: {error.found}",
                needed=error.needed,
                way_out="Nothing was changed. Mend the program or the settings.",
            )
            refusal.preview = promoter.result
            raise refusal from error
        return Outcome("rehearsed", source, dest, len(held.keys), preview=promoter.result)


def undo(bench: Workbench) -> Outcome:
    """Take back the last promotion of this backend."""
    promotion = last_promotion(bench)
    if promotion is None or promotion.state == "undone":
        raise RefusedError(
            found=f"no promotion to take back in {bench.folder}",
            needed="one made on this machine, with this backend",
            way_out="`stagectl status` shows who holds the deployment.",
        )
    Undo(
        pulumi=bench.pulumi,
        markers=bench.markers_for(promotion.source, promotion.dest),
        reporter=bench.reporter,
        promotion=promotion,
    ).run()
    held = bench.pulumi.export(promotion.source)
    return Outcome(
        "undone", promotion.source, promotion.dest, len(held.keys), str(promotion.folder)
    )


def last_promotion(bench: Workbench) -> Promotion | None:
    """Give the newest promotion recorded for the backend in use."""
    found = journal.find(bench.folder, bench.pulumi.backend())
    return found[-1] if found else None


def _holder(bench: Workbench) -> str | None:
    """Give the stage that holds resources, whichever it is."""
    stacks = bench.pulumi.stacks()
    return next((s for s in plan.STAGES if s in stacks and bench.pulumi.export(s).keys), None)


def _already(source: State, dest: State) -> bool:
    return bool(dest.keys) and not source.keys


def _unfinished(bench: Workbench, source: str, dest: str) -> Promotion | None:
    last = last_promotion(bench)
    if last is None or last.state in ("finished", "undone"):
        return None
    if last.state == "undoing":
        raise RefusedError(
            found=f"the promotion {last.source} -> {last.dest} is being taken back",
            needed="that to be finished first",
            way_out="Run `stagectl undo`, then promote.",
        )
    if (last.source, last.dest) != (source, dest):
        raise RefusedError(
            found=f"the promotion {last.source} -> {last.dest} is unfinished",
            needed="one promotion at a time",
            way_out=f"Finish it (`stagectl promote {last.source} {last.dest}`) or take it back "
            "(`stagectl undo`).",
        )
    return last
