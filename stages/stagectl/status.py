"""Who holds the deployment: the stacks' states, the journal, the hosts' markers."""

from dataclasses import dataclass

from rich.table import Table

from stages.stagectl.commands import Workbench, last_promotion
from stages.stagectl.journal import Promotion
from stages.stagectl.markers import Reading
from stages.stagectl.plan import STAGES
from stages.stagectl.state import Json


@dataclass(frozen=True)
class Status:
    """All that `stagectl status` tells."""

    backend: str
    held: dict[str, int | None]
    """Resources per stage; None where the stack does not exist."""
    promotion: Promotion | None
    readings: list[Reading] | None
    """None when the hosts were not asked."""

    @property
    def holders(self) -> list[str]:
        """Stages that hold resources: one, unless a promotion is under way."""
        return [stage for stage, count in self.held.items() if count]

    @property
    def next(self) -> str:
        """What to do now, for people."""
        last = self.promotion
        if last and last.state == "open":
            return f"stagectl promote {last.source} {last.dest}   (or: stagectl undo)"
        if last and last.state == "undoing":
            return "stagectl undo"
        if not self.holders:
            return f"pulumi up --stack {STAGES[0]}"
        if len(self.holders) > 1:
            return "two stacks hold resources without an open promotion: look before any `up`"
        stage = self.holders[0]
        if stage == STAGES[-1]:
            return f"pulumi up --stack {stage}"
        following = STAGES[STAGES.index(stage) + 1]
        return f"pulumi up --stack {stage}, or onward: stagectl promote {stage} {following}"

    def as_json(self) -> Json:
        """Give the form for --json."""
        last = self.promotion
        return {
            "backend": self.backend,
            "holders": self.holders,
            "stacks": self.held,
            "promotion": last
            and {
                "source": last.source,
                "destination": last.dest,
                "began_at": last.began_at,
                "state": last.state,
                "last_step": last.last_step,
                "backups": str(last.folder),
            },
            "markers": None if self.readings is None else [r.as_json() for r in self.readings],
            "next": self.next,
        }

    def as_table(self) -> Table:
        """Give the form for people."""
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        table.add_row("backend", self.backend)
        for stage, count in self.held.items():
            text = "no stack" if count is None else f"{count} resources" if count else "empty"
            table.add_row(stage, text, style="bold" if count else "")
        last = self.promotion
        if last:
            table.add_row(
                "promotion", f"{last.source} -> {last.dest}, {last.began_at}: {last.state}"
            )
            table.add_row("backups", str(last.folder))
        for reading in self.readings or []:
            table.add_row(f"marker on {reading.host}", str(reading))
        table.add_row("next", self.next)
        return table


def read(bench: Workbench, *, ask_hosts: bool) -> Status:
    """Look at everything; changes nothing."""
    stacks = bench.pulumi.stacks()
    held = {s: len(bench.pulumi.export(s).keys) if s in stacks else None for s in STAGES}
    present = tuple(s for s in STAGES if bench.project.stack_file(s).is_file())
    readings = bench.markers_for(*present).read() if ask_hosts and present else None
    return Status(bench.pulumi.backend(), held, last_promotion(bench), readings)
