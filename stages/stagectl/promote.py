"""Carries out a promotion: observe, ask the planner, do one step, again."""

from dataclasses import dataclass

from stages.stagectl import plan, preview, state
from stages.stagectl.errors import EngineError, StagectlError, UndoneError
from stages.stagectl.journal import Promotion
from stages.stagectl.markers import Markers, held_by
from stages.stagectl.plan import Step
from stages.stagectl.preview import Preview
from stages.stagectl.report import Reporter
from stages.stagectl.stacks import Stacks
from stages.stagectl.state import State
from stages.stagectl.undo import Undo

# More than any plan is long: a planner that circles must not run for ever.
MOST_STEPS = 3 * len(Step)

SAYINGS = {
    Step.CREATE_DEST: "creating the stack {dest} (empty)",
    Step.BACK_UP: "backing up the states of {source} and {dest}",
    Step.CLEAR_DEST: "removing providers left behind in {dest}",
    Step.LOOSEN: "preparing providers for the move",
    Step.MOVE: "moving {count} resources from {source} to {dest}",
    Step.ARRANGE: "restoring their order and links in {dest}",
    Step.CLEAN_SOURCE: "cleaning up {source}",
    Step.PREVIEW: "previewing {dest}",
    Step.MOVE_MARKERS: "moving the markers on {hosts}",
}


@dataclass(kw_only=True)
class Promoter:
    """One promotion in progress."""

    pulumi: Stacks
    markers: Markers
    reporter: Reporter
    promotion: Promotion
    deployment: str = ""
    strict: bool = True
    """False, on a copy only: a preview that would replace or delete is read, not undone."""
    result: Preview | None = None

    @property
    def source(self) -> str:
        """Stack that the deployment comes from."""
        return self.promotion.source

    @property
    def dest(self) -> str:
        """Stack that it goes to."""
        return self.promotion.dest

    def run(self) -> None:
        """Go on to the end from whatever is there; undo if the preview forbids it."""
        for _ in range(MOST_STEPS):
            seen = self.observe()
            step = plan.next_step(seen)
            if step is Step.FINISH:
                digest = self.pulumi.export(self.dest).digest
                self.promotion.write("finished", dest_digest=digest)
                return
            self._say(step, seen)
            self.promotion.write("step", step=step, hosts=list(seen.markers_to_move))
            self._take(step, seen)
            self.promotion.write("done", step=step)
        raise EngineError(
            found=f"{MOST_STEPS} steps taken and {self.dest} is still not ready",
            needed="each step to change what is observed",
            way_out="Put everything back with `stagectl undo`, and report this.",
        )

    def observe(self) -> plan.Observed:
        """Look at both stacks, the backups and the hosts."""
        exists = self.dest in self.pulumi.stacks()
        source = self.pulumi.export(self.source)
        dest = self.pulumi.export(self.dest) if exists else State({})
        backup = self.promotion.backup_of(self.source)
        previewed = self.promotion.happened("previewed")
        usable = backup is not None and (bool(dest.keys) or _unchanged(source, backup))
        return plan.Observed(
            dest_exists=exists,
            backed_up=usable,
            expected=backup.keys if backup and usable else source.keys,
            source_keys=source.keys,
            source_has_providers=bool(source.providers),
            source_blocked=bool(state.blocked_providers(source)),
            dest_keys=dest.keys,
            dest_has_providers=bool(dest.providers),
            dest_arranged=backup is None or state.is_arranged(dest, backup, self.dest),
            previewed=previewed,
            markers_to_move=self._markers_to_move() if previewed else (),
        )

    def _markers_to_move(self) -> tuple[str, ...]:
        return held_by(self.markers.read(), self.source, self.deployment)

    def _take(self, step: Step, seen: plan.Observed) -> None:
        actions = {
            Step.CREATE_DEST: self._create_dest,
            Step.BACK_UP: self._back_up,
            Step.CLEAR_DEST: self._clear_dest,
            Step.LOOSEN: self._loosen,
            Step.MOVE: self._move,
            Step.ARRANGE: self._arrange,
            Step.CLEAN_SOURCE: self._clean_source,
            Step.PREVIEW: self._preview,
        }
        if step is Step.MOVE_MARKERS:
            for host in seen.markers_to_move:
                self.markers.move(host, self.source, self.dest)
        else:
            actions[step]()

    def _create_dest(self) -> None:
        self.promotion.write("creating", stack=self.dest)
        self.pulumi.create(self.dest)

    def _back_up(self) -> None:
        self.promotion.save_backup(
            self.pulumi.export(self.source),
            self.pulumi.export(self.dest),
            dest_created=self.promotion.happened("creating"),
        )

    def _clear_dest(self) -> None:
        self.pulumi.write(self.dest, state.emptied(self.pulumi.export(self.dest)))

    def _loosen(self) -> None:
        self.pulumi.write(self.source, state.loosen(self.pulumi.export(self.source)))

    def _move(self) -> None:
        urns = [r["urn"] for r in self.pulumi.export(self.source).held]
        self.pulumi.move(self.source, self.dest, urns)

    def _arrange(self) -> None:
        moved = self.pulumi.export(self.dest)
        self.pulumi.write(self.dest, state.arrange(moved, self._backup(), self.dest))

    def _clean_source(self) -> None:
        self.pulumi.write(self.source, state.emptied(self.pulumi.export(self.source)))

    def _preview(self) -> None:
        try:
            found = preview.read(self.dest, self.pulumi.preview(self.dest))
        except EngineError as error:
            if not self.strict:
                raise
            self._undo_because(f"the preview of {self.dest} failed: {error.found}", None)
            raise AssertionError from error
        self.result = found
        if found.violations and self.strict:
            first = ", ".join(f"{c.op} {c.name}" for c in found.violations[:5])
            self._undo_because(f"`pulumi up --stack {self.dest}` would {first}", found)
        digest = self.pulumi.export(self.dest).digest
        self.promotion.write("previewed", preview=found.as_json(), dest_digest=digest)

    def _undo_because(self, reason: str, found: Preview | None) -> None:
        self.promotion.write("refused", reason=reason)
        self.reporter.say(f"  {reason}: putting everything back")
        undo = Undo(
            pulumi=self.pulumi,
            markers=self.markers,
            reporter=self.reporter,
            promotion=self.promotion,
        )
        try:
            undo.run()
        except StagectlError as error:
            error.way_out = f"{error.way_out} Then finish with `stagectl undo`."
            raise
        raise UndoneError(
            found=reason,
            needed="a program for the next stage that only creates and updates in place",
            way_out=f"Everything was put back: {self.source} holds the deployment as before. "
            "Mend the program or the settings, then promote again.",
        )

    def _backup(self) -> State:
        backup = self.promotion.backup_of(self.source)
        if backup is None:
            raise AssertionError
        return backup

    def _say(self, step: Step, seen: plan.Observed) -> None:
        text = SAYINGS[step].format(
            source=self.source,
            dest=self.dest,
            count=len(seen.expected),
            hosts=", ".join(seen.markers_to_move),
        )
        self.reporter.say(f"- {text}")


def _unchanged(source: State, backup: State) -> bool:
    return source.digest in (backup.digest, state.loosen(backup).digest)
