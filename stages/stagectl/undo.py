"""Takes a promotion back: markers, then the source's state, then an empty destination."""

from dataclasses import dataclass

from stages.stagectl import plan, state
from stages.stagectl.errors import RefusedError
from stages.stagectl.journal import Promotion
from stages.stagectl.markers import Markers, held_by
from stages.stagectl.plan import UndoStep
from stages.stagectl.report import Reporter
from stages.stagectl.stacks import Stacks
from stages.stagectl.state import State

MOST_STEPS = 3 * len(UndoStep)

SAYINGS = {
    UndoStep.RETURN_MARKERS: "moving the markers back on {hosts}",
    UndoStep.RESTORE_SOURCE: "restoring the state of {source} from its backup",
    UndoStep.EMPTY_DEST: "emptying {dest}",
    UndoStep.REMOVE_DEST: "removing the stack {dest}, which the promotion had created",
}


@dataclass(kw_only=True)
class Undo:
    """One undo in progress."""

    pulumi: Stacks
    markers: Markers
    reporter: Reporter
    promotion: Promotion

    def run(self) -> None:
        """Go on to the end from whatever is there."""
        self._refuse_if_used()
        if not self.promotion.happened("undo"):
            self.promotion.write("undo")
        for _ in range(MOST_STEPS):
            seen = self.observe()
            step = plan.next_undo_step(seen)
            if step is UndoStep.FINISH:
                self.promotion.write("undone")
                return
            self._say(step, seen)
            self.promotion.write("step", step=step, hosts=list(seen.markers_to_return))
            self._take(step, seen)
            self.promotion.write("done", step=step)
        raise RefusedError(
            found=f"{MOST_STEPS} steps taken and the states are still not as before",
            needed="each step to change what is observed",
            way_out=f"The backups are in {self.promotion.folder}: put them back with "
            "`pulumi stack import --stack STACK --file FILE`.",
        )

    def observe(self) -> plan.UndoObserved:
        """Look at both stacks and the hosts."""
        exists = self.promotion.dest in self.pulumi.stacks()
        dest = self.pulumi.export(self.promotion.dest) if exists else State({})
        backup = self.promotion.backup_of(self.promotion.source)
        restored = backup is None or (
            self.pulumi.export(self.promotion.source).digest == backup.digest
        )
        return plan.UndoObserved(
            markers_to_return=self._markers_to_return(),
            source_restored=restored,
            dest_exists=exists,
            dest_emptied=not dest.resources,
            dest_was_created=self.promotion.happened("creating"),
        )

    def _take(self, step: UndoStep, seen: plan.UndoObserved) -> None:
        source, dest = self.promotion.source, self.promotion.dest
        if step is UndoStep.RETURN_MARKERS:
            for host in seen.markers_to_return:
                self.markers.move(host, dest, source)
        elif step is UndoStep.RESTORE_SOURCE:
            backup = self.promotion.backup_of(source)
            if backup is not None:
                self.pulumi.write(source, backup)
        elif step is UndoStep.EMPTY_DEST:
            self.pulumi.write(dest, state.emptied(self.pulumi.export(dest)))
        elif step is UndoStep.REMOVE_DEST:
            self.pulumi.remove(dest)

    def _markers_to_return(self) -> tuple[str, ...]:
        # Only what this promotion moved: a host that the destination claimed itself stays its own.
        moved: set[str] = set()
        for entry in self.promotion.entries:
            if entry["event"] == "step" and entry["step"] == plan.Step.MOVE_MARKERS:
                moved |= set(entry["hosts"])
        if not moved:
            return ()
        return tuple(h for h in held_by(self.markers.read(), self.promotion.dest) if h in moved)

    def _refuse_if_used(self) -> None:
        """Refuse once `pulumi up` has worked on the destination: an undo would lose track of it."""
        dest = self.promotion.dest
        if self.promotion.happened("undo") or self._is_ours():
            return
        changed = f"{dest} was changed after its promotion (by `pulumi up --stack {dest}`?)"
        active = [
            f"{a} (on {r.host})" for r in self.markers.read() for a in r.activations if a.active
        ]
        if active:
            raise RefusedError(
                found=f"{changed}, and Airbyte has moved since: {', '.join(active)}",
                needed="no cut-over and no failover: the old side no longer has the newest rows, "
                "and moving the state back would not bring them there",
                way_out=f"Stay on {dest}. If an Airbyte or a host is not well: `docker exec "
                "db-migration db-migration failover --dry-run` (docs/runbooks/failover.md).",
            )
        raise RefusedError(
            found=changed,
            needed=f"{dest} as the promotion left it, or what it created since would be lost",
            way_out=f"Stay on {dest}. To go back, destroy what only {dest} has "
            f"(`pulumi destroy --stack {dest} --exclude-protected --target …`) and undo by hand "
            f"from the backups in {self.promotion.folder}.",
        )

    def _is_ours(self) -> bool:
        """Whether both stacks hold nothing that the backup does not know."""
        dest = self.promotion.dest
        if dest not in self.pulumi.stacks():
            return True
        now = self.pulumi.export(dest)
        line = self.promotion.last("finished") or self.promotion.last("previewed")
        if line is not None:
            return bool(now.digest == line["dest_digest"])
        backup = self.promotion.backup_of(self.promotion.source)
        return now.keys <= (backup.keys if backup else frozenset())

    def _say(self, step: UndoStep, seen: plan.UndoObserved) -> None:
        text = SAYINGS[step].format(
            source=self.promotion.source,
            dest=self.promotion.dest,
            hosts=", ".join(seen.markers_to_return),
        )
        self.reporter.say(f"- {text}")
